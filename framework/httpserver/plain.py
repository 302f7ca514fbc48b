"""Plain requests that are not the plainest: with a body, of HTTP/1.0, with Host behind other fields, or of a proxy that
is not our nginx.

They are found by one pattern as well; what it does not match goes the long way, through HeadReader and Framing.
"""

import re
from typing import TYPE_CHECKING

from framework.http1 import match_late_host_head, match_plain_request
from framework.httpserver.targets import Known
from framework.request import HTTPRequest

if TYPE_CHECKING:
    from framework.httpserver.connection import Connection
    from framework.httpserver.server import HTTPServer

# Of a plain head there is no other spelling.
_keeps_alive = re.compile(rb"\n[Cc]onnection: [Kk]eep-[Aa]live\r").search


def begin_rarer(connection: "Connection", server: "HTTPServer", data: bytes) -> HTTPRequest | None:
    """The request, if `data` is one whole plain request that the pattern of most does not match; or else None."""
    # A peer that is believed may say in other words than our nginx's who its client is.
    match = match_plain_request(data) if connection.is_believed else None
    if match is None:
        request = _begin_with_late_host(connection, server, data)
    else:
        request = begin_plain(connection, server, server.find_target(match[1]), match)
    if request is not None and connection.is_believed:
        server.believe_headers(request)
    return request


def begin_plain(
    connection: "Connection", server: "HTTPServer", known: Known | None, match: re.Match[bytes]
) -> HTTPRequest | None:
    """The request of a match of http1's; None if its target is not known, it is not all there, or too large."""
    data = match.string
    if match.lastgroup is None:
        if len(data) > server.plain_head_bytes:
            return None
        if known is not None:
            return connection.begin(known, data)
        known = server.targets.find_old(match[1])
        return None if known is None else _begin_old(connection, known, data)
    start = match.start("body")
    length = int(match["length"])
    if known is None or match.end() - start != length or start > server.plain_head_bytes:
        return None
    if length > server.limits.max_body_bytes or (length and server.may_stream(known)):
        return None
    request = connection.begin(known, data[:start])
    request.body = match["body"]
    return request


def _begin_old(connection: "Connection", known: Known, data: bytes) -> HTTPRequest:
    request = connection.begin(known, data)
    connection.keep_alive = connection.keep_alive and _keeps_alive(data) is not None
    return request


def _begin_with_late_host(connection: "Connection", server: "HTTPServer", data: bytes) -> HTTPRequest | None:
    """The request, if `data` is one whole plain request in which Host is not the first field; or else None."""
    match = match_late_host_head(data)
    if match is None:
        return None
    line, host, length, early_length, late_host = match.groups()
    key = line, host or late_host
    known = server.find_target(key)
    start = match.end()
    body_bytes = int(length or early_length or 0)
    if known is None:
        # ApacheBench says Connection before Host.
        known = server.targets.find_old(key)
        if known is None or start != len(data) or start > server.plain_head_bytes or length or early_length:
            return None
        return _begin_old(connection, known, data)
    if len(data) - start != body_bytes or start > server.plain_head_bytes:
        return None
    if body_bytes and (body_bytes > server.limits.max_body_bytes or server.may_stream(known)):
        return None
    request = connection.begin(known, data[:start])
    request.body = data[start:]
    return request
