"""websocket_connect: the client's side."""

import asyncio
import base64
import os
import ssl
from collections import deque
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any
from urllib.parse import urlsplit

from framework.errors import ProtocolError
from framework.escape import json_encode
from framework.frames import Decoder, Deflate, accept_key, check_deflate
from framework.httpclient import HTTPRequest
from framework.httputil import HTTPHeaders, parse_response_start_line
from framework.websocket.connection import Limits, Sent, WebSocketConnection, WebSocketError

_MAX_HEAD_BYTES = 65_536
_MAX_QUEUED_MESSAGES = 64


class WebSocketClientConnection:
    """An open websocket to a server. `read_message` gives message after message, and None at the end."""

    def __init__(self, headers: HTTPHeaders, on_message: Callable[[str | bytes | None], Any] | None) -> None:
        self.headers = headers
        self.selected_subprotocol = headers.get("Sec-WebSocket-Protocol")
        self._on_message = on_message
        self._messages: deque[str | bytes] = deque()
        self._waiting: deque[asyncio.Future[str | bytes | None]] = deque()
        self._room: asyncio.Future[None] | None = None
        self._has_ended = False
        self._socket: WebSocketConnection | None = None

    def start(self, transport: asyncio.Transport, ahead: bytes, limits: Limits, deflate: Deflate | None) -> None:
        """Begin on a transport whose handshake is done."""
        decoder = Decoder(True, limits.max_message_bytes, deflate.decompressor(True) if deflate else None)
        compressor = deflate.compressor(True) if deflate else None
        self._socket = WebSocketConnection(self, True, limits, decoder, compressor)
        self._socket.start(transport, ahead)

    @property
    def close_code(self) -> int | None:
        """The code with which it was closed; None while it is open."""
        return self._socket.close_code if self._socket else None

    @property
    def close_reason(self) -> str | None:
        """The reason that went with it."""
        return self._socket.close_reason if self._socket else None

    def read_message(
        self, callback: Callable[["asyncio.Future[str | bytes | None]"], object] | None = None
    ) -> "asyncio.Future[str | bytes | None]":
        """The next message when awaited; None if the websocket is closed. The callback of old gets the future."""
        future: asyncio.Future[str | bytes | None] = asyncio.get_running_loop().create_future()
        if self._messages:
            future.set_result(self._messages.popleft())
            if self._room is not None and not self._room.done():
                self._room.set_result(None)
        elif self._has_ended:
            future.set_result(None)
        else:
            self._waiting.append(future)
        if callback is not None:
            future.add_done_callback(callback)
        return future

    def write_message(self, message: str | bytes | dict[Any, Any], binary: bool = False) -> Sent:
        """Send a message; awaiting the result waits for a slow reader.

        Raises:
            WebSocketClosedError: the websocket is closed.
        """
        data: str | bytes = json_encode(message) if isinstance(message, dict) else message
        if binary and isinstance(data, str):
            data = data.encode()
        return self._open_socket().send_message(data)

    def ping(self, data: bytes = b"") -> None:
        """Send a ping.

        Raises:
            WebSocketClosedError: the websocket is closed.
        """
        self._open_socket().send_ping(data)

    def close(self, code: int | None = None, reason: str | None = None) -> None:
        """Close it."""
        self._open_socket().close(code, reason)

    def _open_socket(self) -> WebSocketConnection:
        if self._socket is None:
            raise WebSocketError("the websocket is not open")
        return self._socket

    # ---- what the connection tells

    def take_open(self) -> None:
        """Nothing: who connects goes on by itself."""

    def take_message(self, data: str | bytes) -> Awaitable[None] | None:
        """A message: for the callback, for who waits, or for the queue, which has an end."""
        if self._on_message is not None:
            waiting: Awaitable[None] | None = self._on_message(data)
            return waiting
        while self._waiting:
            future = self._waiting.popleft()
            if not future.done():
                future.set_result(data)
                return None
        self._messages.append(data)
        if len(self._messages) < _MAX_QUEUED_MESSAGES:
            return None
        self._room = asyncio.get_running_loop().create_future()
        return self._room

    def take_ping(self, data: bytes) -> None:
        """Nothing: it is answered."""

    def take_pong(self, data: bytes) -> None:
        """Nothing."""

    def take_end(self) -> None:
        """Tell all who wait."""
        self._has_ended = True
        for future in self._waiting:
            if not future.done():
                future.set_result(None)
        self._waiting.clear()
        if self._on_message is not None:
            self._on_message(None)

    def take_error(self, error: Exception) -> None:
        """The callback has failed: whoever runs the loop hears of it."""
        asyncio.get_running_loop().call_exception_handler({"message": "websocket callback", "exception": error})


class _Handshake(asyncio.Protocol):
    """Waits for the answer's head."""

    def __init__(self) -> None:
        self.head: asyncio.Future[tuple[bytes, bytes]] = asyncio.get_running_loop().create_future()
        self._data = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        self._data += data
        head, end, ahead = self._data.partition(b"\r\n\r\n")
        if self.head.done():
            return
        if end:
            self.head.set_result((head, ahead))
        elif len(self._data) > _MAX_HEAD_BYTES:
            self.head.set_exception(WebSocketError(f"handshake: expected a head of at most {_MAX_HEAD_BYTES} bytes"))

    def connection_lost(self, exc: Exception | None) -> None:
        if not self.head.done():
            self.head.set_exception(WebSocketError("handshake: the server closed the connection"))


async def websocket_connect(
    url: str | HTTPRequest,
    *,
    connect_timeout: float = 20.0,
    on_message_callback: Callable[[str | bytes | None], Any] | None = None,
    compression_options: Mapping[str, Any] | None = None,
    ping_interval: float = 0.0,
    ping_timeout: float = 0.0,
    max_message_size: int = Limits().max_message_bytes,
    subprotocols: Sequence[str] = (),
    ssl_context: ssl.SSLContext | None = None,
) -> WebSocketClientConnection:
    """An open websocket to a ws: or wss: URL; an HTTPRequest brings headers. Time-outs are seconds.

    Raises:
        WebSocketError: there is no websocket at that address.
        OSError: there is no connection to it.
        TimeoutError: it took longer than connect_timeout.
    """
    headers = HTTPHeaders(url.headers or {}) if isinstance(url, HTTPRequest) else HTTPHeaders()
    address = url.url if isinstance(url, HTTPRequest) else url
    key = base64.b64encode(os.urandom(16)).decode()
    headers.update({"Upgrade": "websocket", "Connection": "Upgrade"})
    headers.update({"Sec-WebSocket-Key": key, "Sec-WebSocket-Version": "13"})
    if subprotocols:
        headers["Sec-WebSocket-Protocol"] = ", ".join(subprotocols)
    if compression_options is not None:
        headers["Sec-WebSocket-Extensions"] = "permessage-deflate; client_max_window_bits"
    async with asyncio.timeout(connect_timeout or None):
        transport, head, ahead = await _shake_hands(address, headers, ssl_context)
    try:
        answer = _parse_answer(head)
        deflate = _check_answer(answer, key, compression_options is not None, subprotocols)
    except BaseException:
        transport.abort()
        raise
    connection = WebSocketClientConnection(answer, on_message_callback)
    limits = Limits(max_message_size, ping_interval_s=ping_interval, ping_timeout_s=ping_timeout)
    connection.start(transport, ahead, limits, deflate)
    return connection


async def _shake_hands(
    url: str, headers: HTTPHeaders, ssl_context: ssl.SSLContext | None
) -> tuple[asyncio.Transport, bytes, bytes]:
    """The connection, the head of the answer, and what was read behind it."""
    parts = urlsplit(url)
    is_secure = parts.scheme in ("wss", "https")
    if parts.scheme not in ("ws", "wss", "http", "https") or not parts.hostname or not url.isprintable() or " " in url:
        raise WebSocketError(f"expected a ws: or wss: URL, got {url!r}")
    context = (ssl_context or ssl.create_default_context()) if is_secure else None
    port = parts.port or (443 if is_secure else 80)
    transport, protocol = await asyncio.get_running_loop().create_connection(
        _Handshake, parts.hostname, port, ssl=context
    )
    try:
        headers.setdefault("Host", parts.netloc.rpartition("@")[2])
        target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
        lines = "".join(f"{name}: {value}\r\n" for name, value in headers.get_all())
        transport.write(f"GET {target} HTTP/1.1\r\n{lines}\r\n".encode())
        return (transport, *await protocol.head)
    except BaseException:
        transport.abort()
        raise


def _parse_answer(head: bytes) -> HTTPHeaders:
    line, _, block = head.decode("latin-1").partition("\r\n")
    try:
        start = parse_response_start_line(line)
        headers = HTTPHeaders.parse(block)
    except ProtocolError as error:
        raise WebSocketError(f"handshake: {error}") from error
    if start.code != 101:
        raise WebSocketError(f"handshake: expected 101, got {start.code} {start.reason}")
    return headers


def _check_answer(headers: HTTPHeaders, key: str, has_offered: bool, subprotocols: Sequence[str]) -> Deflate | None:
    """What was agreed on for compression (RFC 6455 §4.1, what the client must validate)."""
    if headers.get("Upgrade", "").lower() != "websocket" or "upgrade" not in headers.get("Connection", "").lower():
        raise WebSocketError("handshake: expected an upgrade to websocket")
    if headers.get("Sec-WebSocket-Accept") != accept_key(key):
        raise WebSocketError("handshake: Sec-WebSocket-Accept is not the answer to our key")
    chosen = headers.get("Sec-WebSocket-Protocol")
    if chosen is not None and chosen not in subprotocols:
        raise WebSocketError(f"handshake: the server speaks {chosen!r}, which we have not offered")
    extensions = headers.get("Sec-WebSocket-Extensions", "")
    if extensions and not has_offered:
        raise WebSocketError(f"handshake: the server uses {extensions!r}, which we have not offered")
    try:
        return check_deflate(extensions)
    except ValueError as error:
        raise WebSocketError(f"handshake: {error}") from error
