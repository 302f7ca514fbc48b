"""The request of a connection that ends with it, answered before there is a transport.

A client that opens a connection for each request (ApacheBench, HTTP/1.0, `Connection: close`) has mostly sent all of it
when the connection is accepted. What is then written to an EarlyTransport, and whatever else is asked of it, it only
notes. If that is an answer and a close(), both go out in one packet, and the loop has never heard of the connection.
In all other cases (the application waits, the client does not read, the request is refused) a transport proper is
made, and asked the same in the same order.
"""

import asyncio
import re
import socket
from contextvars import copy_context
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from framework.httpserver.connection import Connection

_find_connection = re.compile(rb"\n[Cc]onnection: ?+([^\r]*+)\r").search
_LONGEST_LINE_BYTES = 256
# Held back until close(), which sends it along with the end of the stream.
_SEND_FLAGS = socket.MSG_DONTWAIT | socket.MSG_MORE


def is_sole_request(data: bytes) -> bool:
    """Whether this looks like one whole request without a body, after whose answer the connection ends."""
    if data[-4:] != b"\r\n\r\n":
        return False
    connection = _find_connection(data)
    if connection is None:
        return data.find(b" HTTP/1.0\r\n", 0, _LONGEST_LINE_BYTES) > 0
    return connection[1].lower() == b"close"


class EarlyTransport(asyncio.Transport):
    """Stands for the transport of `connection` until that is there, if it is ever needed; then passes on to it."""

    __slots__ = (
        "_calls",
        "_connection",
        "_is_closing",
        "_is_early",
        "_limit_bytes",
        "_output",
        "_peer",
        "_proper",
        "_socket",
        "_unsent_bytes",
    )

    def __init__(self, connection: "Connection", accepted: socket.SocketType, peer: Any) -> None:
        """`accepted` belongs to this transport from now on."""
        self._connection = connection
        self._socket: socket.SocketType = accepted
        self._peer = peer
        self._is_early = True
        self._is_closing = False
        self._output: list[bytes] = []
        self._calls: list[tuple[str, Any]] = []  # for the transport proper, after the output
        self._unsent_bytes = 0
        self._limit_bytes = 65_536
        self._proper: asyncio.Transport | None = None

    def serve(self, data: bytes) -> bool:
        """Whether that was all, and the socket is closed; if not, a transport proper must be made for `arrival`."""
        connection = self._connection
        connection.begin_early(self, self._peer)
        # As the loop does it for each transport: what a request sets in its context is nothing to the next one.
        copy_context().run(connection.data_received, data)
        if not self._is_closing or self._calls:
            return False
        output = self._output[0] if len(self._output) == 1 else b"".join(self._output)
        error = None
        try:
            sent = self._socket.send(output, _SEND_FLAGS)
        except BlockingIOError:
            sent = 0
        except OSError as broken:
            sent, error = len(output), broken
        if sent != len(output):
            self._output = [output[sent:]]
            return False
        self._socket.close()
        connection.end_early(error)
        return True

    def arrival(self) -> "tuple[Arrival, socket.socket]":
        """The protocol and the socket for the transport proper; everything waits for that from now on."""
        self._is_early = False
        self._calls[:0] = [("write", (data,)) for data in self._output]
        self._output = []
        if self._is_closing:
            self._calls.append(("close", ()))
        accepted = self._socket = socket.socket(fileno=self._socket.detach())
        self._connection.stay()
        return Arrival(self), accepted

    def hand_over(self, proper: asyncio.Transport) -> None:
        """Let `proper` take over."""
        calls, self._calls = self._calls, []
        self._proper = proper
        proper.set_protocol(self._connection)
        self._connection.move(proper, calls)

    def fail(self, error: OSError) -> None:
        """Give up, for there will be no transport proper."""
        self._is_closing = True
        self._connection.connection_lost(error)

    def _ask(self, name: str, *arguments: Any) -> None:
        if self._proper is None:
            self._calls.append((name, arguments))
        else:
            getattr(self._proper, name)(*arguments)

    # ---- what a transport can do

    def write(self, data: Any) -> None:
        if self._is_early and not self._calls:
            self._output.append(data)
        else:
            self._ask("write", data)
        self._unsent_bytes += len(data)
        self._keep_limit()

    def _keep_limit(self) -> None:
        if self._proper is None and self._unsent_bytes > self._limit_bytes:
            self._connection.pause_writing()

    def set_write_buffer_limits(self, high: int | None = None, low: int | None = None) -> None:
        self._ask("set_write_buffer_limits", high, low)
        if high is not None:
            self._limit_bytes = high
            self._keep_limit()

    def get_write_buffer_size(self) -> int:
        return self._unsent_bytes if self._proper is None else self._proper.get_write_buffer_size()

    def close(self) -> None:
        self._is_closing = True
        if self._calls or not self._is_early:
            self._ask("close")

    def abort(self) -> None:
        self._is_closing = True
        if self._is_early:
            self._output.clear()
            self._calls.clear()
        else:
            self._ask("abort")

    def is_closing(self) -> bool:
        return self._is_closing if self._proper is None else self._proper.is_closing()

    def write_eof(self) -> None:
        self._ask("write_eof")

    def can_write_eof(self) -> bool:
        return True

    def pause_reading(self) -> None:
        self._ask("pause_reading")

    def resume_reading(self) -> None:
        self._ask("resume_reading")

    def is_reading(self) -> bool:
        return self._proper is not None and self._proper.is_reading()

    def set_protocol(self, protocol: asyncio.BaseProtocol) -> None:
        self._ask("set_protocol", protocol)

    def get_protocol(self) -> asyncio.BaseProtocol:
        return self._connection if self._proper is None else self._proper.get_protocol()

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        if self._proper is not None:
            return self._proper.get_extra_info(name, default)
        if name == "socket":
            self._socket.setblocking(False)
            return self._socket
        return self._peer if name == "peername" else default


class Arrival(asyncio.Protocol):
    """Meets the transport proper."""

    def __init__(self, early: EarlyTransport) -> None:
        self.early = early

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.early.hand_over(transport)  # type: ignore[arg-type]
