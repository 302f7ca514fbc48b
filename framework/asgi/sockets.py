"""Websockets of an ASGI application, on our websocket handler: its handshake, limits, compression and release."""

import asyncio
import logging
from collections import deque
from typing import TYPE_CHECKING, Any

from framework.asgi.exchange import ASGIError, ClientDisconnected, Message, check_headers
from framework.asgi.scope import make_scope
from framework.web import Application
from framework.websocket import WebSocketClosedError, WebSocketHandler

if TYPE_CHECKING:
    from framework.asgi.container import ASGIContainer

app_log = logging.getLogger("framework.application")

_MOST_WAITING = 8  # messages that the application has not asked for; then nothing more is read
_CONNECTING, _OPEN, _DENYING, _CLOSED = range(4)


class SocketHandler(WebSocketHandler):
    """One websocket of an ASGI application."""

    def initialize(self, container: "ASGIContainer") -> None:
        """`container` holds the application."""
        self._container = container
        self._phase = _CONNECTING
        self._messages: deque[Message] = deque(({"type": "websocket.connect"},))
        self._waiter: asyncio.Future[None] | None = None
        self._room: asyncio.Future[None] | None = None
        loop = asyncio.get_running_loop()
        self._decided: asyncio.Future[None] = loop.create_future()
        self._opened: asyncio.Future[None] = loop.create_future()
        self._subprotocol: str | None = None

    async def get(self, *args: Any, **kwargs: Any) -> None:
        """Ask the application; then turn the request into a websocket, or answer as the application wants it."""
        self._check_request(self.request.headers)
        self.request.connection.set_close_callback(self._leave)
        offered = self.request.headers.get("Sec-WebSocket-Protocol", "").split(",")
        scope = make_scope(self.request, "websocket", self._container.state)
        del scope["method"]
        scope["subprotocols"] = [name.strip() for name in offered if name.strip()]
        scope["extensions"] = {"websocket.http.response": {}}
        # The application outlives the handshake, and must not be ended with it.
        self._task = asyncio.create_task(self._asgi_run(scope))
        await self._decided
        if self._phase == _OPEN:
            WebSocketHandler.get(self)
        elif self._phase == _CLOSED and not self._finished and not self.request.connection.closed:
            self.send_error(403)
        _settle(self._opened)

    async def _asgi_run(self, scope: dict[str, Any]) -> None:
        try:
            await self._container.asgi_application(scope, self._asgi_receive, self._asgi_send)
        except ClientDisconnected:
            pass
        except (Exception, SystemExit):  # the websocket ends here
            app_log.exception("websocket %s: the ASGI application failed", self.request.path)
            if self._phase == _CONNECTING:
                self.send_error(500)
            self.close(1011)
        else:
            self.close()
        if self._phase == _DENYING and not self._finished:
            app_log.error("websocket %s: the ASGI application left its answer incomplete", self.request.path)
            self.request.connection.abort()
        self._phase = _CLOSED
        self._decide()

    # ---- for the application

    async def _asgi_receive(self) -> Message:
        while not self._messages:
            if self._waiter is None:
                self._waiter = asyncio.get_running_loop().create_future()
            await asyncio.shield(self._waiter)
        room, self._room = self._room, None
        _settle(room)
        return self._messages.popleft()

    async def _asgi_send(self, message: Message) -> None:
        kind = message["type"]
        if self._phase == _CLOSED:
            raise ClientDisconnected("the websocket is closed")
        if kind == "websocket.accept" and self._phase == _CONNECTING:
            self._subprotocol = message.get("subprotocol")
            for name, value in check_headers(message.get("headers", ())):
                self.add_header(name.decode("latin-1"), value.decode("latin-1"))
            self._phase = _OPEN
            self._decide()
            await self._opened
        elif kind == "websocket.send" and self._phase == _OPEN:
            await self._send_message(message)
        elif kind == "websocket.close":
            # Before the handshake this means: no (403).
            if self._phase == _OPEN:
                self.close(message.get("code", 1000), message.get("reason") or "")
            self._phase = _CLOSED
            self._decide()
        elif kind.startswith("websocket.http.response.") and self._phase in (_CONNECTING, _DENYING):
            self._deny(kind, message)
        else:
            raise ASGIError(f"{kind} has no place here")

    async def _send_message(self, message: Message) -> None:
        text, data = message.get("text"), message.get("bytes")
        if text is None and data is None:
            raise ASGIError("websocket.send: expected text or bytes")
        try:
            await self.write_message(text if text is not None else data or b"")
        except WebSocketClosedError as error:
            raise ClientDisconnected(str(error)) from error

    def _deny(self, kind: str, message: Message) -> None:
        """An HTTP answer in place of the handshake (extension websocket.http.response)."""
        if kind.endswith("start"):
            self._phase = _DENYING
            self.clear()
            self.set_status(int(message["status"]))
            for name, value in check_headers(message.get("headers", ())):
                if name.lower() not in (b"content-length", b"transfer-encoding", b"connection"):
                    self.add_header(name.decode("latin-1"), value.decode("latin-1"))
            return
        self.write(bytes(message.get("body", b"")))
        if not message.get("more_body", False):
            self.finish()
            self._phase = _CLOSED
            self._decide()

    # ---- from the client

    def select_subprotocol(self, subprotocols: list[str]) -> str | None:
        """What the application chose."""
        return self._subprotocol

    def check_origin(self, origin: str) -> bool:
        """Every origin: ASGI applications look for themselves."""
        return True

    def get_compression_options(self) -> dict[str, int]:
        """Compression, if the client offers it."""
        return {}

    @property
    def max_message_size(self) -> int:
        """The container's limit."""
        return self._container.max_message_bytes

    def on_message(self, message: str | bytes) -> Any:
        """A message for the application. The next is read when it has taken this one."""
        key = "text" if isinstance(message, str) else "bytes"
        self._messages.append({"type": "websocket.receive", key: message})
        self._wake()
        if len(self._messages) < _MOST_WAITING:
            return None
        self._room = asyncio.get_running_loop().create_future()
        return self._room

    def on_close(self) -> None:
        """The end, for the application."""
        self._leave()

    def on_connection_close(self) -> None:
        """The client left before the handshake was done."""
        self._leave()

    def _leave(self) -> None:
        code = 1006 if self.close_code is None else self.close_code
        self._messages.append({"type": "websocket.disconnect", "code": code, "reason": self.close_reason or ""})
        self._phase = _CLOSED
        self._decide()
        self._wake()

    def _decide(self) -> None:
        _settle(self._decided)

    def _wake(self) -> None:
        waiter, self._waiter = self._waiter, None
        _settle(waiter)


def _settle(future: "asyncio.Future[None] | None") -> None:
    if future is not None and not future.done():
        future.set_result(None)


def make_socket_application(container: "ASGIContainer") -> Application:
    """What answers the container's websocket requests."""

    def log(handler: SocketHandler) -> None:
        # An answer that is no handshake was counted as those of all handlers are.
        note = container.record if handler._status_code == 101 else container.log
        note(handler.request, handler._status_code)

    return Application([(r".*", SocketHandler, {"container": container})], log_function=log)
