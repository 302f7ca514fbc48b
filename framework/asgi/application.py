"""ASGIApplication: any application of ours under an ASGI server (uvicorn, granian, hypercorn).

A wrapper, and no subclass of web.Application as WSGIApplication is one: nothing is refused here, so whatever takes a
request (s3server too) can be served as it is. The answer is written as HTTP, as everywhere, and taken apart again on
its way.
"""

import asyncio
import inspect
from collections.abc import Awaitable, Callable
from typing import Any, BinaryIO
from urllib.parse import quote

from framework.asgi.exchange import ASGIError
from framework.asgi.pretended import PretendedTransport
from framework.asgi.scope import Scope
from framework.httputil import HTTPHeaders
from framework.request import BodyReceiver, HTTPRequest

Receive = Callable[[], Awaitable[dict[str, Any]]]
Send = Callable[[dict[str, Any]], Awaitable[None]]

MAX_BODY_BYTES = 32 * 1024 * 1024
_FILE_PIECE_BYTES = 256 * 1024
_PATH_CHARACTERS = "/:@!$&'()*+,;="  # besides unreserved ones (RFC 3986 §3.3)
# What a websocket's handshake needs, and what ASGI servers may keep for themselves.
_HANDSHAKE = {
    "Connection": "Upgrade",
    "Upgrade": "websocket",
    "Sec-WebSocket-Version": "13",
    "Sec-WebSocket-Key": "AAAAAAAAAAAAAAAAAAAAAA==",
}


class ASGIApplication:
    """An ASGI application that answers as `application`, a callable that takes a request, does.

    `max_body_bytes` is the limit of bodies that the application does not take while they arrive.
    """

    def __init__(self, application: Callable[[HTTPRequest], Any], max_body_bytes: int = MAX_BODY_BYTES) -> None:
        self.application = application
        self.max_body_bytes = max_body_bytes

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """See the ASGI specification.

        Raises:
            ASGIError: a scope of a kind that is neither http, websocket nor lifespan.
        """
        if scope["type"] == "lifespan":
            await self._live(receive, send)
        elif scope["type"] == "http":
            await self._answer(scope, receive, send)
        elif scope["type"] == "websocket":
            await self._connect(scope, receive, send)
        else:
            raise ASGIError(f"{scope['type']}: expected http, websocket or lifespan")

    async def _live(self, receive: Receive, send: Send) -> None:
        """The application's `warm_up` and `shut_down`, which the appliance's frontends call as well."""
        for name, order in (("warm_up", "startup"), ("shut_down", "shutdown")):
            await receive()
            try:
                waiting = getattr(self.application, name, lambda: None)()
                if inspect.isawaitable(waiting):
                    await waiting
            except Exception as error:  # the server logs it, and ends
                await send({"type": f"lifespan.{order}.failed", "message": str(error)})
                return
            await send({"type": f"lifespan.{order}.complete"})

    async def _answer(self, scope: Scope, receive: Receive, send: Send) -> None:
        connection = Outgoing(send, scope["method"] == "HEAD")
        request = read_request(scope, connection)
        ask = getattr(self.application, "body_receiver", None)
        taker = ask(request) if ask is not None and _has_body(request) else None
        is_whole = await (
            self._stream(request, taker, receive) if taker is not None else self._buffer(request, receive)
        )
        if not is_whole:
            return
        if taker is None:
            waiting = self.application(request)
            if inspect.isawaitable(waiting):
                asyncio.ensure_future(waiting).add_done_callback(connection.settle)
        await connection.run(receive)

    async def _buffer(self, request: HTTPRequest, receive: Receive) -> bool:
        """Whether all of the body came; if there is too much, that is the answer."""
        body = bytearray()
        while True:
            message = await receive()
            if message["type"] == "http.disconnect":
                return False
            body += message.get("body", b"")
            if len(body) > self.max_body_bytes:
                request.connection.answer(b"HTTP/1.1 413 Content Too Large\r\nContent-Length: 0\r\n\r\n")
                await request.connection.run(receive)
                return False
            if not message.get("more_body", False):
                request.body = bytes(body)
                return True

    async def _stream(self, request: HTTPRequest, taker: BodyReceiver, receive: Receive) -> bool:
        while not request.connection.is_finished:
            message = await receive()
            if message["type"] == "http.disconnect":
                request.connection.leave()
                taker.connection_lost()
                return False
            if message.get("body"):
                waiting = taker.data_received(message["body"])
                if waiting is not None:
                    await waiting
            if not message.get("more_body", False):
                taker.body_complete()
                return True
        return True

    async def _connect(self, scope: Scope, receive: Receive, send: Send) -> None:
        await receive()
        connection = Outgoing(send, is_websocket=True)
        connection.denies = "websocket.http.response" in scope.get("extensions", {})
        headers = {**_HANDSHAKE}
        if scope.get("subprotocols"):
            headers["Sec-WebSocket-Protocol"] = ", ".join(scope["subprotocols"])
        request = read_request({**scope, "method": "GET", "http_version": "1.1"}, connection, headers)
        self.application(request)
        await connection.run(receive)


def _has_body(request: HTTPRequest) -> bool:
    return (
        request.find_header(b"transfer-encoding") is not None
        or (request.find_header(b"content-length") or b"0").strip(b"0") != b""
    )


def read_request(scope: Scope, connection: "Outgoing", more: dict[str, str] | None = None) -> HTTPRequest:
    """The request that a scope describes; `more` are headers that take the place of the client's."""
    headers = HTTPHeaders()
    replaced = {name.lower() for name in more or {}} | ({"sec-websocket-extensions"} if more else set())
    for name, value in scope["headers"]:
        text = name.decode("latin-1")
        if text.lower() not in replaced:
            headers.add(text.title(), value.decode("latin-1"))
    for text, given in (more or {}).items():
        headers[text] = given
    raw_path = scope.get("raw_path")
    # A server need not say how the path was spelled.
    target = raw_path.decode("latin-1").partition("?")[0] if raw_path else quote(scope["path"], _PATH_CHARACTERS)
    if scope.get("query_string"):
        target += "?" + scope["query_string"].decode("latin-1")
    client = scope.get("client") or ("127.0.0.1", 0)
    scheme = "https" if scope.get("scheme") in ("https", "wss") else "http"
    version = "HTTP/1.0" if scope["http_version"] == "1.0" else "HTTP/1.1"
    return HTTPRequest(scope["method"], target, version, headers, b"", client[0], scheme, connection=connection)


class Outgoing:
    """The connection of a request under ASGI: what is written to it becomes messages."""

    keep_alive = True

    def __init__(self, send: Send, is_head: bool = False, is_websocket: bool = False) -> None:
        self.is_finished = False
        self.closed = False
        self.denies = False
        self._send = send
        self._is_head = is_head
        self._is_websocket = is_websocket
        self._head = bytearray()
        self._chunks: Dechunker | None = None
        self._messages: list[dict[str, Any]] = []
        self._changed = asyncio.Event()
        self._drained: asyncio.Future[None] | None = None
        self._close_callback: Callable[[], object] | None = None
        self._transport: PretendedTransport | None = None
        self._error: BaseException | None = None

    # ---- what the application calls; see framework.request.ServerConnection

    def write(self, data: bytes) -> None:
        """Send bytes of the answer."""
        if self.is_finished or self.closed:
            return
        if self._head is not None:
            self._head += data
            end = self._head.find(b"\r\n\r\n")
            if end < 0:
                return
            head, data = bytes(self._head[: end + 2]), bytes(self._head[end + 4 :])
            self._begin(head)
        self._add_body(data)
        self._changed.set()

    def finish(self) -> None:
        """The answer is complete."""
        if not self.is_finished:
            self.is_finished = True
            self._close_callback = None
            if self._transport is None:
                self._messages.append(self._body(b"", False))
            self._changed.set()

    def answer(self, data: bytes) -> None:
        """Send a whole answer."""
        self.write(data)
        self.finish()

    def drained(self) -> Awaitable[None] | None:
        """None if the server has taken what was written."""
        if self.closed:
            failed = asyncio.get_running_loop().create_future()
            failed.set_exception(ConnectionResetError("the client closed the connection"))
            failed.exception()
            return failed
        if not self._messages:
            return None
        if self._drained is None:
            self._drained = asyncio.get_running_loop().create_future()
        return self._drained

    async def send_file(self, file: BinaryIO, offset: int, count: int) -> None:
        """Send a part of a file.

        Raises:
            EOFError: the file is shorter than that.
        """
        while count > 0:
            file.seek(offset)
            piece = file.read(min(count, _FILE_PIECE_BYTES))
            if not piece:
                raise EOFError(f"send_file: expected {count} more bytes in the file")
            self.write(piece)
            offset, count = offset + len(piece), count - len(piece)
            waiting = self.drained()
            if waiting is not None:
                await waiting

    def set_close_callback(self, callback: Callable[[], object] | None) -> None:
        """Have `callback` called if the client goes away before the answer is complete."""
        self._close_callback = callback

    def set_max_body_size(self, max_body_bytes: int) -> None:
        """The server's business."""

    def set_body_timeout(self, timeout_s: float) -> None:
        """The server's business."""

    def may_detach(self) -> bool:
        """Whether there is room for one more connection that stays: the server sees to that."""
        return True

    def detach(self) -> tuple[Any, bytes]:
        """A transport for a websocket.

        Raises:
            ASGIError: the request is none: ASGI has no way to hand its socket over.
        """
        if not self._is_websocket:
            raise ASGIError("detach() is not possible under ASGI")
        self._transport = PretendedTransport(self._put, self._changed.set)
        self.is_finished = True
        self._changed.set()
        return self._transport, b""

    def close(self) -> None:
        """The server closes when it sees fit."""

    def abort(self) -> None:
        """Leave the answer incomplete."""
        self._error = ASGIError("the answer was broken off")
        self._changed.set()

    # ---- for ASGIApplication

    def leave(self) -> None:
        """The client is gone."""
        self.closed = True
        callback, self._close_callback = self._close_callback, None
        if callback is not None:
            callback()
        if self._drained is not None and not self._drained.done():
            self._drained.set_exception(ConnectionResetError("the client closed the connection"))
            self._drained.exception()
        self._changed.set()

    def settle(self, task: "asyncio.Future[Any]") -> None:
        """An application that answers asynchronously is done; its error ends the request."""
        if not task.cancelled() and task.exception() is not None:
            self._error = task.exception()
            self._changed.set()

    async def run(self, receive: Receive) -> None:
        """Send what is written, until the answer is complete or the client is gone.

        Raises:
            Exception: what ended the application.
        """
        watching = asyncio.ensure_future(self._watch(receive))
        try:
            while True:
                while self._messages:
                    messages, self._messages = self._messages, []
                    for message in messages:
                        if message["type"] == "websocket.close":
                            watching.cancel()  # granian sends no close frame while somebody waits in receive()
                            await asyncio.sleep(0)
                        await self._send(message)
                drained, self._drained = self._drained, None
                if drained is not None and not drained.done():
                    drained.set_result(None)
                if self._error is not None:
                    raise self._error
                if not self._messages and (self.closed or (self.is_finished and self._is_over())):
                    return
                self._changed.clear()
                if not self._messages:
                    await self._changed.wait()
        finally:
            watching.cancel()

    def _is_over(self) -> bool:
        return self._transport is None or self._transport.is_closing()

    async def _watch(self, receive: Receive) -> None:
        while True:
            message = await receive()
            if message["type"] == "http.disconnect":
                if not self.is_finished:
                    self.leave()
                return
            if self._transport is not None:
                self._transport.take(message)
            if message["type"] == "websocket.disconnect":
                self.leave()
                return

    # ---- HTTP taken apart

    def _put(self, message: dict[str, Any]) -> None:
        self._messages.append(message)
        self._changed.set()

    def _begin(self, head: bytes) -> None:
        start, *lines = head.decode("latin-1").split("\r\n")[:-1]
        status = int(start.split(" ", 2)[1])
        pairs = [(name.lower(), value.strip()) for name, _, value in (line.partition(":") for line in lines)]
        if ("transfer-encoding", "chunked") in pairs:
            self._chunks = Dechunker()
        dropped = {"transfer-encoding", "connection", "keep-alive"}
        if status == 101:
            dropped |= {"upgrade", "sec-websocket-accept", "sec-websocket-protocol", "sec-websocket-extensions"}
        headers = [(n.encode("latin-1"), v.encode("latin-1")) for n, v in pairs if n not in dropped]
        self._head = None  # type: ignore[assignment]
        if status == 101:
            protocol = next((value for name, value in pairs if name == "sec-websocket-protocol"), None)
            self._messages.append({"type": "websocket.accept", "subprotocol": protocol, "headers": headers})
        elif self._is_websocket and not self.denies:
            self._messages.append({"type": "websocket.close", "code": 1008, "reason": ""})
        else:
            self._messages.append({"type": self._kind("start"), "status": status, "headers": headers})

    def _kind(self, what: str) -> str:
        return f"websocket.http.response.{what}" if self._is_websocket else f"http.response.{what}"

    def _body(self, data: bytes, has_more: bool) -> dict[str, Any]:
        return {"type": self._kind("body"), "body": data, "more_body": has_more}

    def _add_body(self, data: bytes) -> None:
        if self._chunks is not None:
            data = self._chunks.feed(data)
        if data and not self._is_head and not (self._is_websocket and not self.denies):
            self._messages.append(self._body(data, True))


class Dechunker:
    """Chunked bytes to bytes; what comes in is our own writing, and right."""

    def __init__(self) -> None:
        self._buffer = b""

    def feed(self, data: bytes) -> bytes:
        """The content that is complete now."""
        self._buffer += data
        found = []
        while True:
            end = self._buffer.find(b"\r\n")
            if end < 0:
                break
            size = int(self._buffer[:end], 16)
            if not size or len(self._buffer) < end + 4 + size:
                break
            found.append(self._buffer[end + 2 : end + 2 + size])
            self._buffer = self._buffer[end + 4 + size :]
        return b"".join(found)
