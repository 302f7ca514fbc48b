"""WebSocketHandler: a request handler that stays.

prepare() and current_user work as in every handler, before the upgrade: what they refuse never becomes a websocket.
"""

import functools
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

from framework.escape import json_encode
from framework.frames import Decoder, Deflate, accept_deflate, accept_key
from framework.httputil import HTTPHeaders
from framework.ioloop import catching
from framework.log import Repeated, gen_log
from framework.slots import on_release
from framework.web import HTTPError, RequestHandler
from framework.web.heads import format_head
from framework.web.output import DONE
from framework.websocket.connection import Limits, Sent, WebSocketClosedError, WebSocketConnection

# Every handler has these; a handshake's answer has no body to describe.
_OF_BODIES = frozenset(("Content-Type", "Content-Length", "Server", "Date"))
# A client that is too many is no one's fault, as in the server; and who was refused comes again at once.
_log_full = Repeated(gen_log.info)


class WebSocketHandler(RequestHandler):
    """A websocket; subclass it and define on_message(). open(), on_message() and on_close() may be `async def`.

    Settings of the application: websocket_ping_interval, websocket_ping_timeout (seconds, 0: off),
    websocket_max_message_size (bytes after decompression, 10 MiB).
    """

    SUPPORTED_METHODS = ("GET",)

    close_code: int | None = None
    close_reason: str | None = None
    selected_subprotocol: str | None = None
    _socket: WebSocketConnection | None = None

    # ---- hooks

    def open(self, *args: Any, **kwargs: Any) -> Any:
        """Hook: the websocket is open; the arguments are the route's groups."""

    def on_message(self, message: str | bytes) -> Any:
        """Hook: a message. The next one is given out when this is done."""
        raise TypeError(f"{type(self).__name__} has no on_message()")

    def on_ping(self, data: bytes) -> None:
        """Hook: a ping came, and was answered."""

    def on_pong(self, data: bytes) -> None:
        """Hook: a pong came."""

    def on_close(self) -> Any:
        """Hook: the websocket is closed; called once. `close_code` and `close_reason` say how."""

    def on_release(self) -> None:
        """Hook: this process is to be replaced. Asks the client to connect again (1012, service restart)."""
        self.close(1012, "restarting, connect again")

    def check_origin(self, origin: str) -> bool:
        """Hook: whether pages of this origin may connect. The default: pages of our own host."""
        return urlsplit(origin).netloc.lower() == self.request.host.lower()

    def select_subprotocol(self, subprotocols: list[str]) -> str | None:
        """Hook: which of the client's subprotocols is spoken; None: none."""
        return None

    def get_compression_options(self) -> Mapping[str, int] | None:
        """Hook: None for no compression, or a mapping, empty or with `compression_level` and `mem_level`."""
        return None

    @property
    def ping_interval(self) -> float:
        """Seconds between pings; 0: none are sent."""
        return float(self.settings.get("websocket_ping_interval") or 0)

    @property
    def ping_timeout(self) -> float:
        """Seconds to wait for a sign of life after a ping; 0: as long as ping_interval."""
        return float(self.settings.get("websocket_ping_timeout") or 0)

    @property
    def max_message_size(self) -> int:
        """Bytes of a message, after decompression."""
        return int(self.settings.get("websocket_max_message_size") or Limits().max_message_bytes)

    # ---- what the application calls

    def write_message(self, message: str | bytes | dict[Any, Any], binary: bool = False) -> Sent:
        """Send text, bytes (if binary, or bytes) or a dict as JSON. Awaiting the result waits for a slow reader.

        Raises:
            WebSocketClosedError: the websocket is closed.
        """
        if self._socket is None:
            raise WebSocketClosedError("the websocket is not open")
        data: str | bytes = json_encode(message) if isinstance(message, dict) else message
        if binary and isinstance(data, str):
            data = data.encode()
        return self._socket.send_message(data)

    def ping(self, data: str | bytes = b"") -> None:
        """Send a ping.

        Raises:
            WebSocketClosedError: the websocket is closed.
        """
        if self._socket is None:
            raise WebSocketClosedError("the websocket is not open")
        self._socket.send_ping(data.encode() if isinstance(data, str) else data)

    def close(self, code: int | None = None, reason: str | None = None) -> None:
        """Close the websocket, with a code of RFC 6455 §7.4 and a reason of at most 123 bytes."""
        if self._socket is not None:
            self._socket.close(code, reason)

    def set_nodelay(self, value: bool) -> None:
        """Send small messages at once (True, as from the start), or let the kernel gather them for a moment (False).

        Raises:
            WebSocketClosedError: the websocket is closed.
        """
        if self._socket is None:
            raise WebSocketClosedError("the websocket is not open")
        self._socket.set_nodelay(value)

    # ---- the handshake (RFC 6455 §4.2)

    def get(self, *args: Any, **kwargs: Any) -> Any:
        """Turn the request into a websocket. What comes back may be awaited: `await super().get(…)` is code of today.

        Raises:
            HTTPError: 426 if it asks for no websocket or for another version, 400 if malformed, 403 by origin; 503 if
                websockets hold seven eighths of all connections that may be open.
        """
        headers = self.request.headers
        key = self._check_request(headers)
        if not self.request.connection.may_detach():
            self.request.connection.keep_alive = False
            _log_full("%s: 503 more websockets than there is room for beside requests", self.request.remote_ip)
            raise HTTPError(503)
        subprotocols = [name.strip() for name in headers.get("Sec-WebSocket-Protocol", "").split(",") if name.strip()]
        self.selected_subprotocol = self.select_subprotocol(subprotocols) if subprotocols else None
        if self.selected_subprotocol is not None and self.selected_subprotocol not in subprotocols:
            raise RuntimeError(f"select_subprotocol(): got {self.selected_subprotocol!r}, not one of {subprotocols}")
        options = self.get_compression_options()
        offer = headers.get("Sec-WebSocket-Extensions")
        deflate = accept_deflate(offer) if offer and options is not None else None
        head = [("Upgrade", "websocket"), ("Connection", "Upgrade"), ("Sec-WebSocket-Accept", accept_key(key))]
        if self.selected_subprotocol is not None:
            head.append(("Sec-WebSocket-Protocol", self.selected_subprotocol))
        if deflate is not None:
            head.append(("Sec-WebSocket-Extensions", deflate.header()))
        given = self._headers.get_all() if self._headers is not None else (self._extra or {}).values()
        head += [(name, text) for name, text in given if name not in _OF_BODIES]
        head += [("Set-Cookie", cookie) for cookie in (self._new_cookies or {}).values()]
        self._open = functools.partial(self.open, *args, **kwargs)
        self._upgrade(format_head(101, None, head), deflate, dict(options or {}))
        return DONE

    def _check_request(self, headers: HTTPHeaders) -> str:
        upgrades = [name.strip().lower() for name in headers.get("Upgrade", "").split(",")]
        options = [name.strip().lower() for name in headers.get("Connection", "").split(",")]
        if "websocket" not in upgrades or "upgrade" not in options or self.request.version != "HTTP/1.1":
            raise HTTPError(426, "expected a websocket's handshake")
        if headers.get("Sec-WebSocket-Version") != "13":
            raise HTTPError(426, "Sec-WebSocket-Version: expected 13, got %r", headers.get("Sec-WebSocket-Version"))
        key = headers.get("Sec-WebSocket-Key", "")
        try:
            accept_key(key)
        except ValueError as error:
            raise HTTPError(400, str(error)) from error
        # Scripts of any page may connect, with the user's cookies: the server has to look where the page is from.
        origin = headers.get("Origin")
        if origin is not None and not self.check_origin(origin):
            message = "websocket: the origin %r is not allowed here (the request's host is %r)"
            raise HTTPError(403, message, origin, self.request.host)
        return key

    def _upgrade(self, head: bytes, deflate: Deflate | None, options: dict[str, int]) -> None:
        connection = self.request.connection
        connection.write(head)
        transport, ahead = connection.detach()
        self._finished = self._headers_written = True
        self._auto_finish = False
        self._status_code = 101
        self.application.log_request(self)
        limits = Limits(self.max_message_size, ping_interval_s=self.ping_interval, ping_timeout_s=self.ping_timeout)
        decoder = Decoder(False, limits.max_message_bytes, deflate.decompressor(False) if deflate else None)
        level, mem_level = options.get("compression_level", 6), options.get("mem_level", 8)
        compressor = deflate.compressor(False, level, mem_level) if deflate else None
        # Whatever its hooks ask of the loop knows whose error its error is.
        with catching(self.handle_exception):
            self._socket = WebSocketConnection(self, False, limits, decoder, compressor)
        self._forget_release = on_release(self.on_release)
        self._socket.start(transport, ahead)

    # ---- what the connection tells

    def take_open(self) -> Any:
        """The start, for open."""
        opening = self._open
        del self._open  # it knows us
        return opening()

    def take_message(self, data: str | bytes) -> Any:
        """A message, for on_message."""
        return self.on_message(data)

    def take_ping(self, data: bytes) -> None:
        """A ping."""
        self.on_ping(data)

    def take_pong(self, data: bytes) -> None:
        """A pong."""
        self.on_pong(data)

    def take_end(self) -> Any:
        """The end, for on_close."""
        self._forget_release()
        del self._forget_release  # it knows us
        if self._socket is not None:
            self.close_code, self.close_reason = self._socket.close_code, self._socket.close_reason
        try:
            return self.on_close()
        finally:
            self.on_finish()

    def take_error(self, error: Exception) -> None:
        """A hook has failed."""
        self.log_exception(type(error), error, error.__traceback__)

    def handle_exception(self, error: BaseException) -> bool:
        """As in every handler; once the websocket is open the error closes it (1011)."""
        if self._socket is None:
            return super().handle_exception(error)
        if not (isinstance(error, WebSocketClosedError) and self._socket.is_closing):
            self.log_exception(type(error), error, error.__traceback__)
        self._socket.close(1011)
        return True

    def send_error(self, status_code: int = 500, **kwargs: Any) -> None:
        """As in every handler; an open websocket is closed (1011)."""
        if self._socket is not None:
            self._socket.close(1011)
        else:
            super().send_error(status_code, **kwargs)

    def write_error(self, status_code: int, **kwargs: Any) -> None:
        """As in every handler; 426 says what would have been right (RFC 9110 §15.5.22)."""
        if status_code == 426:
            self.set_header("Upgrade", "websocket")
            self.set_header("Sec-WebSocket-Version", "13")
        super().write_error(status_code, **kwargs)
