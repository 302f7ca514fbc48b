"""Two byte streams that are each other's other end, in memory: for protocols that speak over an IOStream.

    client, server = memory_streams()
    server.read_until(b"\\n", answer)
    client.write(b"hello\\n")

No descriptor, no kernel, no address; everything else is IOStream itself, and passes the suite that sockets pass. What
an end holds unread is bounded as a socket's buffer is, so that back-pressure can be tested with a few bytes.

What lost: socket.socketpair(), which costs two descriptors, and whose buffers are as large as the kernel wants them.
"""

import errno
import os
import socket
import ssl
from collections.abc import Callable
from typing import Any, cast

from framework.iostream import IOStream, SSLIOStream


def memory_streams(held_bytes: int = 65_536) -> tuple[IOStream, IOStream]:
    """Two streams: what is written to one is read from the other. Each end holds so many bytes that nobody has read."""
    one, other = _End(held_bytes), _End(held_bytes)
    one.peer, other.peer = other, one
    return MemoryStream(one), MemoryStream(other)


class _End:
    """What IOStream wants of a socket that is connected and never blocks."""

    family = socket.AF_UNIX  # so there is no Nagle to turn off

    def __init__(self, held_bytes: int) -> None:
        self.peer: _End | None = None  # None once this end is closed
        self.tell: Callable[[], None] | None = None  # that something has changed for this end
        self._held_bytes = held_bytes
        self._unread = bytearray()

    @property
    def is_readable(self) -> bool:
        """Whether recv would not block."""
        return bool(self._unread) or self.peer is None or self.peer.peer is None

    @property
    def is_writable(self) -> bool:
        """Whether send would not block."""
        peer = self.peer
        return peer is None or peer.peer is None or len(peer._unread) < peer._held_bytes

    def setblocking(self, flag: bool) -> None:
        """Nothing here can block."""

    def fileno(self) -> int:
        """No descriptor: -1, as of a socket that is closed."""
        return -1

    def connect(self, address: Any) -> None:
        """Raise OSError: it is connected."""
        raise OSError(errno.EISCONN, os.strerror(errno.EISCONN))

    def recv(self, count: int) -> bytes:
        """As of a socket: what has arrived, b"" at the end.

        Raises:
            BlockingIOError: nothing has arrived.
        """
        if not self._unread:
            if not self.is_readable:
                raise BlockingIOError
            return b""
        data = bytes(self._unread[:count])
        del self._unread[:count]
        if self.peer is not None and self.peer.tell is not None:
            self.peer.tell()
        return data

    def send(self, data: bytes) -> int:
        """As of a socket: how many bytes the other end has taken.

        Raises:
            BlockingIOError: it holds as many as it may.
            BrokenPipeError: it is closed.
        """
        peer = self.peer
        if peer is None or peer.peer is None:
            raise BrokenPipeError(errno.EPIPE, os.strerror(errno.EPIPE))
        taken = data[: max(peer._held_bytes - len(peer._unread), 0)]
        if not taken:
            raise BlockingIOError
        peer._unread += taken
        if peer.tell is not None:
            peer.tell()
        return len(taken)

    def close(self) -> None:
        """The other end reads what it holds, and then the end. Ends that are closed hold nobody."""
        peer, self.peer, self.tell = self.peer, None, None
        if peer is not None and peer.tell is not None:
            peer.tell()


class MemoryStream(IOStream):
    """One of two streams that `memory_streams` makes."""

    def __init__(self, end: _End, **named: Any) -> None:
        super().__init__(cast(socket.socket, end), **named)
        self._end = end
        self._is_looking = False
        end.tell = self._look_soon

    async def start_tls(
        self,
        server_side: bool,
        ssl_options: dict[str, Any] | ssl.SSLContext | None = None,
        server_hostname: str | None = None,
    ) -> SSLIOStream:
        """Raise ValueError: TLS here wants a socket."""
        raise ValueError("start_tls: expected a stream over a socket, this one is in memory")

    # -- in place of the loop's watching a descriptor

    def _look_soon(self) -> None:
        if not self._is_looking:
            self._is_looking = True
            self._loop.call_soon(self._look)

    def _look(self) -> None:
        self._is_looking = False
        if self._is_listening and self._end.is_readable:
            self._on_readable()
        if self._is_watching_write and self._end.is_writable:
            self._on_writable()
        # As the loop does: who does not take all of it is told again.
        if self._is_listening and self._end.is_readable:
            self._look_soon()

    def _watch(self) -> None:
        self._is_listening = True
        if self._out:
            self._watch_write()
        self._look_soon()

    def _watch_write(self) -> None:
        self._is_watching_write = True
        self._look_soon()

    def _unwatch_read(self) -> None:
        self._is_listening = False

    def _unwatch_write(self) -> None:
        self._is_watching_write = False
