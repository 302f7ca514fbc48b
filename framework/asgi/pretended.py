"""A transport that is none: a websocket of ours speaks to it in frames, the ASGI server in messages."""

import asyncio
from collections.abc import Callable
from typing import Any

from framework.frames import BINARY, PONG, TEXT, Close, Decoder, Message, Ping, encode_close, encode_frame

_MOST = 1 << 40  # our own frames need no limit


class PretendedTransport(asyncio.Transport):
    """What a WebSocketConnection writes to. `put` takes the messages for the server; `ended` hears of the end."""

    def __init__(self, put: Callable[[dict[str, Any]], None], ended: Callable[[], None]) -> None:
        super().__init__()
        self._put = put
        self._ended = ended
        self._decoder = Decoder(True, _MOST)
        self._protocol: asyncio.BaseProtocol | None = None
        self._is_closing = False
        self._held: list[bytes] = []
        self._is_paused = False

    # ---- what the websocket calls

    def set_protocol(self, protocol: asyncio.BaseProtocol) -> None:
        """Who reads."""
        self._protocol = protocol

    def write(self, data: "bytes | bytearray | memoryview[Any]") -> None:
        """Frames for the client."""
        for event in self._decoder.feed(bytes(data)):
            if isinstance(event, Message):
                key = "text" if isinstance(event.data, str) else "bytes"
                self._put({"type": "websocket.send", key: event.data})
            elif isinstance(event, Ping):
                # The server pings by itself; who gets messages through it is alive. Not at once: the websocket that
                # pings may be in the middle of reading.
                asyncio.get_running_loop().call_soon(self._feed, encode_frame(PONG, event.data, True))
            elif isinstance(event, Close) and not self._is_closing:
                self._put({"type": "websocket.close", "code": event.code or 1000, "reason": event.reason or ""})
                asyncio.get_running_loop().call_soon(self._end)

    def is_closing(self) -> bool:
        """Whether it is over."""
        return self._is_closing

    def close(self) -> None:
        """End it."""
        asyncio.get_running_loop().call_soon(self._end)

    def abort(self) -> None:
        """End it."""
        self._put({"type": "websocket.close", "code": 1011, "reason": ""})
        self.close()

    def pause_reading(self) -> None:
        """Hold messages back."""
        self._is_paused = True

    def resume_reading(self) -> None:
        """Give out what was held back."""
        self._is_paused = False
        held, self._held = self._held, []
        for data in held:
            self._feed(data)

    def get_write_buffer_size(self) -> int:
        """Nothing: the server holds back who sends too fast."""
        return 0

    # ---- what the server says

    def take(self, message: dict[str, Any]) -> None:
        """A message of the server."""
        if message["type"] == "websocket.receive":
            text, data = message.get("text"), message.get("bytes")
            if text is not None:
                self._feed(encode_frame(TEXT, text.encode(), True))
            else:
                self._feed(encode_frame(BINARY, data or b"", True))
        elif message["type"] == "websocket.disconnect":
            code = message.get("code", 1005)
            if code not in (1005, 1006) and not self._is_closing:
                self._feed(encode_close(code, message.get("reason") or "", True))
            self._end()

    def _feed(self, data: bytes) -> None:
        if self._is_paused:
            self._held.append(data)
        elif isinstance(self._protocol, asyncio.Protocol) and not self._is_closing:
            self._protocol.data_received(data)

    def _end(self) -> None:
        if not self._is_closing:
            self._is_closing = True
            if isinstance(self._protocol, asyncio.Protocol):
                self._protocol.connection_lost(None)
            self._ended()
