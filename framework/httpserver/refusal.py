"""The answers that the server gives by itself, before or instead of the application."""

from framework import clock
from framework.httputil import responses

RETRY_AFTER_S = 5
"""When to come again after a 503: by then bodies and connections have come and gone, or an operator is on the way."""


def format_refusal(status: int) -> bytes:
    """A whole response of that status, the last one on its connection. It says nothing of what the client sent."""
    reason = responses.get(status, "Unknown")
    body = f"{status}: {reason}\n"
    retry = f"Retry-After: {RETRY_AFTER_S}\r\n" if status == 503 else ""
    head = (
        f"HTTP/1.1 {status} {reason}\r\nServer: Squall/0.1\r\n{retry}Content-Type: text/plain\r\n"
        f"Content-Length: {len(body)}\r\nConnection: close\r\nDate: "
    )
    return head.encode("ascii") + clock.http_date + b"\r\n\r\n" + body.encode("ascii")
