"""Plain requests that are not the plainest: with a short body, or with Host behind other fields.

They are found by one pattern as well; what it does not match goes the long way, through HeadReader and Framing.
"""

from typing import TYPE_CHECKING

from framework.http1 import match_late_host_head, match_plain_head_and_body, match_proxied_head_and_body
from framework.httpserver.targets import known_targets
from framework.httpserver.xheaders import believe_proxy
from framework.request import HTTPRequest

if TYPE_CHECKING:
    from framework.httpserver.connection import Connection
    from framework.httpserver.server import HTTPServer


def find_plain_request(connection: "Connection", server: "HTTPServer", data: bytes) -> HTTPRequest | None:
    """The request, begun, that `data` is, whole and with nothing behind it; None if there is more to find out."""
    known: bytes | tuple[bytes, bytes]
    proxied = match_proxied_head_and_body(data) if connection.is_believed else None
    match = proxied or match_plain_head_and_body(data)
    if match is not None:
        known, *_, length = match.groups()
    else:
        match = match_late_host_head(data)
        if match is None:
            return None
        line, host, length, early_length, late_host = match.groups()
        known = line, host or late_host
        length = length or early_length or 0
    target = known_targets.get(known)
    start = match.end()
    if target is None or len(data) - start != int(length) or start > server.plain_head_bytes:
        return None
    if length and (int(length) > server.limits.max_body_bytes or server.may_stream(target)):
        return None
    request = connection.begin(target, data[:start])
    request.body = data[start:]
    if proxied is not None:
        believe_proxy(request, proxied)
    elif connection.is_believed:
        server.believe_headers(request)
    return request
