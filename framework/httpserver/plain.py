"""Plain requests that are not the plainest: with a body, of HTTP/1.0, or with Host behind other fields.

They are found by one pattern as well; what it does not match goes the long way, through HeadReader and Framing.
"""

import re
from typing import TYPE_CHECKING

from framework.http1 import match_late_host_head
from framework.httpserver.targets import Target, find_old_target, find_target
from framework.request import HTTPRequest

if TYPE_CHECKING:
    from framework.httpserver.connection import Connection
    from framework.httpserver.server import HTTPServer

# Of a plain head there is no other spelling.
_keeps_alive = re.compile(rb"\n[Cc]onnection: [Kk]eep-[Aa]live\r").search


def begin_with_body(
    connection: "Connection", server: "HTTPServer", target: Target, match: re.Match[bytes]
) -> HTTPRequest | None:
    """The request of a plain head with a length and of what followed it; None if that is not the whole body."""
    start = match.start("body")
    length = int(match["length"])
    if match.end() - start != length or start > server.plain_head_bytes:
        return None
    if length > server.limits.max_body_bytes or (length and server.may_stream(target)):
        return None
    request = connection.begin(target, match.string[:start])
    request.body = match["body"]
    return request


def begin_old(
    connection: "Connection", server: "HTTPServer", data: bytes, match: re.Match[bytes]
) -> HTTPRequest | None:
    """The request of a plain head of HTTP/1.0 without a body; None if it is something else."""
    target = find_old_target(match[1])
    if target is None or match.lastgroup is not None or len(data) > server.plain_head_bytes:
        return None
    return _begin_old(connection, target, data)


def _begin_old(connection: "Connection", target: Target, data: bytes) -> HTTPRequest:
    request = connection.begin(target, data)
    connection.keep_alive = connection.keep_alive and _keeps_alive(data) is not None
    return request


def begin_with_late_host(connection: "Connection", server: "HTTPServer", data: bytes) -> HTTPRequest | None:
    """The request, if `data` is one whole plain request in which Host is not the first field; or else None."""
    match = match_late_host_head(data)
    if match is None:
        return None
    line, host, length, early_length, late_host = match.groups()
    key = line, host or late_host
    target = find_target(key)
    start = match.end()
    body_bytes = int(length or early_length or 0)
    if target is None:
        # ApacheBench says Connection before Host.
        target = find_old_target(key)
        if target is None or start != len(data) or start > server.plain_head_bytes or length or early_length:
            return None
        return _begin_old(connection, target, data)
    if len(data) - start != body_bytes or start > server.plain_head_bytes:
        return None
    if body_bytes and (body_bytes > server.limits.max_body_bytes or server.may_stream(target)):
        return None
    request = connection.begin(target, data[:start])
    request.body = data[start:]
    return request
