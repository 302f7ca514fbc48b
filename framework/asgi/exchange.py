"""One request and its answer: what `receive` and `send` do for an ASGI application."""

import asyncio
import logging
import re
from collections import deque
from collections.abc import Awaitable, Callable
from typing import Any

from framework import clock
from framework.errors import FrameworkError
from framework.httputil import responses
from framework.request import HTTPRequest

app_log = logging.getLogger("framework.application")

Message = dict[str, Any]

_BODILESS = frozenset((204, 304))
_HOP_BY_HOP = frozenset((b"connection", b"keep-alive", b"transfer-encoding", b"upgrade"))
_STATUS_LINES = {status: f"HTTP/1.1 {status} {reason}\r\n".encode() for status, reason in responses.items()}
_NAME = re.compile(rb"[!#$%&'*+\-.^_`|~0-9A-Za-z]+").fullmatch
_ENDS_A_LINE = re.compile(rb"[\r\n\0]").search
_FAILED = b"500: Internal Server Error\n"


class ASGIError(FrameworkError):
    """An application broke the rules of ASGI; the text says which."""


class ClientDisconnected(ConnectionResetError):
    """The client is gone: nobody takes what is sent. An OSError, as ASGI wants it."""


def check_headers(headers: Any) -> list[tuple[bytes, bytes]]:
    """The headers of a message.

    Raises:
        ASGIError: a name is no token, or a value holds what would end the line or the head.
    """
    checked = []
    for name, value in headers:
        if not _NAME(name) or _ENDS_A_LINE(value):
            raise ASGIError(f"headers: {bytes(name)!r} can't be sent: {bytes(value)!r}")
        checked.append((bytes(name), bytes(value)))
    return checked


class Exchange:
    """A request whose body is there, or arrives through `feed`; and the answer on its way out.

    `is_streaming`: the body arrives by and by. `finished(status)` is called once the answer is complete, or cut off.
    """

    __slots__ = (
        "_finished",
        "_head",
        "_is_body_complete",
        "_is_chunked",
        "_is_end_told",
        "_left",
        "_pieces",
        "_status",
        "_taken",
        "_waiter",
        "is_complete",
        "is_gone",
        "is_started",
        "request",
    )

    def __init__(self, request: HTTPRequest, finished: Callable[[HTTPRequest, int], None], is_streaming: bool) -> None:
        self.request = request
        self.is_gone = self.is_started = self.is_complete = False
        self._finished = finished
        self._pieces: deque[bytes] = deque() if is_streaming else deque((request.body,))
        self._is_body_complete = not is_streaming
        self._is_end_told = False
        self._waiter: asyncio.Future[None] | None = None
        self._taken: asyncio.Future[None] | None = None
        self._status = 0
        self._head: bytes | None = None
        self._is_chunked = False
        self._left = -1  # bytes that Content-Length still promises; -1: none was given
        request.connection.set_close_callback(self.disconnect)

    # ---- the request's body

    def feed(self, piece: bytes) -> Awaitable[None] | None:
        """Take a piece of the body; what is returned is done when the application has taken it."""
        self._pieces.append(piece)
        self._wake()
        if self.is_complete or not self._pieces:
            return None
        if self._taken is None or self._taken.done():
            self._taken = asyncio.get_running_loop().create_future()
        return self._taken

    def end_body(self) -> None:
        """The body is there."""
        self._is_body_complete = True
        self._wake()

    def disconnect(self) -> None:
        """The client is gone."""
        self.is_gone = True
        if not self.is_complete:
            self.is_complete = True
            self._finished(self.request, self._status or 499)
        self._wake()
        self._let_go()

    def _wake(self) -> None:
        waiter, self._waiter = self._waiter, None
        if waiter is not None and not waiter.done():
            waiter.set_result(None)

    def _let_go(self) -> None:
        taken, self._taken = self._taken, None
        if taken is not None and not taken.done():
            taken.set_result(None)

    async def receive(self) -> Message:
        """The next message for the application: a piece of the body; then, when it is so, the client's leaving."""
        while not self.is_gone:
            if self._pieces:
                body = b"".join(self._pieces) if len(self._pieces) > 1 else self._pieces[0]
                self._pieces.clear()
                self._let_go()
                self._is_end_told = self._is_body_complete
                return {"type": "http.request", "body": body, "more_body": not self._is_end_told}
            if self._is_body_complete and not self._is_end_told:
                self._is_end_told = True
                return {"type": "http.request", "body": b"", "more_body": False}
            if self.is_complete:
                break
            if self._waiter is None:
                self._waiter = asyncio.get_running_loop().create_future()
            await asyncio.shield(self._waiter)  # whoever gives up waiting must not end it for another
        return {"type": "http.disconnect"}

    # ---- the answer

    async def send(self, message: Message) -> None:
        """Send a message of the application; returns when the client has taken enough.

        Raises:
            ClientDisconnected: the client is gone.
            ASGIError: the message has no place here.
        """
        if self.is_gone:
            raise ClientDisconnected("the client closed the connection")
        kind = message["type"]
        if kind == "http.response.start":
            if self._status:
                raise ASGIError("http.response.start was sent twice")
            status = int(message["status"])
            if not 200 <= status <= 999:  # an interim answer (1xx) has no end that a client could wait for
                raise ASGIError(f"http.response.start: expected a status of 200 to 999, got {status}")
            self._status = status
            self._head = self._format_head(check_headers(message.get("headers", ())))
        elif not self._status or self.is_complete:
            raise ASGIError(f"{kind}: expected {'nothing more' if self.is_complete else 'http.response.start'}")
        elif kind == "http.response.body":
            waiting = self._send_body(message.get("body", b""), not message.get("more_body", False))
            if waiting is not None:
                try:
                    await waiting
                except ConnectionError as error:
                    raise ClientDisconnected(str(error)) from error
                finally:
                    del waiting  # its error's traceback knows this frame: a cycle that would wait for the collector
        elif kind == "http.response.pathsend":
            await self._send_file(message["path"])
        else:
            raise ASGIError(f"{kind}: there is no such message")

    def _format_head(self, headers: list[tuple[bytes, bytes]]) -> bytes:
        """Everything but what depends on the body: see _begin."""
        status = self._status
        lines = [_STATUS_LINES.get(status) or b"HTTP/1.1 %d \r\n" % status]
        has_server = has_date = False
        for name, value in headers:
            lower = name.lower()
            if lower in _HOP_BY_HOP:
                if lower == b"connection" and value.lower() == b"close":
                    self.request.connection.keep_alive = False
                continue
            if lower == b"content-length":
                if status == 204:
                    continue  # RFC 9110 §8.6
                if not value.isdigit() or self._left not in (-1, int(value)):
                    raise ASGIError(f"content-length: expected one length in digits, got {value!r}")
                if self._left >= 0:
                    continue
                self._left = int(value)
            elif lower == b"server":
                has_server = True
            elif lower == b"date":
                has_date = True
            lines.append(b"%b: %b\r\n" % (name, value))
        if not has_server:
            lines.append(b"Server: Squall\r\n")
        if not has_date:
            lines.append(b"Date: %b\r\n" % clock.http_date)
        return b"".join(lines)

    def _begin(self, whole_length: int | None) -> bytes:
        """The rest of the head; `whole_length` is the body's, if all of it is there."""
        head, self._head = self._head or b"", None
        self.is_started = True
        request, connection = self.request, self.request.connection
        if self._left < 0 and self._status not in _BODILESS and self._status >= 200:
            if whole_length is not None:
                head += b"Content-Length: %d\r\n" % whole_length
            elif request.version == "HTTP/1.1":
                self._is_chunked = request.method != "HEAD"
                head += b"Transfer-Encoding: chunked\r\n"
            else:
                connection.keep_alive = False  # the end of the connection is the end of the body
        if not connection.keep_alive:
            return head + b"Connection: close\r\n\r\n"
        if request.version != "HTTP/1.1":
            return head + b"Connection: keep-alive\r\n\r\n"
        return head + b"\r\n"

    def _send_body(self, body: bytes, is_last: bool) -> Awaitable[None] | None:
        connection = self.request.connection
        length = len(body)
        if self.request.method == "HEAD" or self._status in _BODILESS:
            body = b""
        elif self._left >= 0:
            if length > self._left:
                raise ASGIError("http.response.body: more than Content-Length said")
            if is_last and length < self._left:
                raise ASGIError(f"http.response.body: {self._left - length} bytes less than Content-Length said")
        data = self._begin(length if is_last else None) if not self.is_started else b""
        if self._left > 0:
            self._left -= len(body)
        if self._is_chunked:
            data += (b"%x\r\n%b\r\n" % (len(body), body) if body else b"") + (b"0\r\n\r\n" if is_last else b"")
        else:
            data += body
        if not is_last:
            if data:
                connection.write(data)
            waiting: Awaitable[None] | None = connection.drained()
            return waiting
        self._complete()
        connection.answer(data)
        return None

    async def _send_file(self, path: str) -> None:
        with open(path, "rb") as file:
            file.seek(0, 2)
            size = file.tell()
            head = self._begin(size)
            if self._left < 0:
                self._left = size
            connection = self.request.connection
            connection.write(head)
            if self.request.method != "HEAD":
                try:
                    await connection.send_file(file, 0, size)
                except ConnectionError as error:
                    raise ClientDisconnected(str(error)) from error
        self._complete()
        connection.finish()

    def _complete(self) -> None:
        self.is_complete = True
        self._finished(self.request, self._status)
        self._wake()
        self._let_go()

    def fail(self) -> None:
        """The application is done with the request, and the answer is not: 500, or the connection is cut."""
        if self.is_complete:
            return
        self.is_complete = True
        connection = self.request.connection
        if self.is_started:
            # What was sent must not be taken for the whole.
            self._finished(self.request, self._status)
            connection.abort()
        else:
            self._status, self._left = 500, -1
            self._head = self._format_head([(b"Content-Type", b"text/plain; charset=utf-8")])
            self._finished(self.request, 500)
            body = b"" if self.request.method == "HEAD" else _FAILED
            connection.answer(self._begin(len(_FAILED)) + body)
        self._wake()
        self._let_go()
