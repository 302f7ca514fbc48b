"""Listening sockets: accepting on them, pausing, and emptying their queues.

What is there already when a connection is accepted is read at once: mostly a whole request, and if the connection ends
with it, that is answered without a transport (framework.httpserver.early).

What lost: `loop.create_server`. It accepts in C, but each connection costs a transport (measured with `ab`: a constant
answer takes 37 us, an application of ours without it 35, and took 56 with it), it cannot pause, and with no descriptor
left uvloop cuts whoever connects, and asyncio's own loop spins.
"""

import asyncio
import errno
import socket
import ssl
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from framework.httpserver.early import Arrival, EarlyTransport, is_sole_request
from framework.log import gen_log

if TYPE_CHECKING:
    from framework.httpserver.connection import Connection

# Without a bound a flood of connections would keep the established ones from their turns.
_BATCH = 64
# Descriptors come back when connections close, of which nobody tells us if they are not ours.
_REST_S = 0.25
_FIRST_BYTES = 16_384
_EXHAUSTED = {errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM}


class Listening:
    """The listening sockets of one server. Accepts on them while it is not paused."""

    def __init__(
        self,
        make_protocol: Callable[[socket.socket | None, Any, bytes], asyncio.Protocol],
        on_failure: Callable[[asyncio.Protocol], object],
        make_early: "Callable[[], Connection | None] | None" = None,
    ) -> None:
        """`make_protocol(socket, peer, first)` is told the socket unless TLS stands before it, the peer's address, and
        what has been read from the socket already.

        `on_failure(protocol)` is called for a protocol made for a connection that broke before it was known.
        `make_early()` makes a connection for a request that may be answered at once; None: there is no such thing.
        """
        self._make_protocol = make_protocol
        self._on_failure = on_failure
        self._make_early = make_early
        self._sockets: list[socket.socket] = []
        self._kinds: dict[socket.socket, tuple[int, int, int]] = {}  # asking the socket itself costs a microsecond
        self._loop: asyncio.AbstractEventLoop | None = None
        self._tasks: set[asyncio.Task[None]] = set()
        self._rest: asyncio.TimerHandle | None = None
        self.is_paused = False
        self.ssl_context: ssl.SSLContext | None = None
        self.tls_handshake_s = 10.0

    @property
    def is_open(self) -> bool:
        """Whether there is a socket left."""
        return bool(self._sockets)

    def add(self, listener: socket.socket, loop: asyncio.AbstractEventLoop) -> None:
        """Accept on one more socket; it belongs to us from now on."""
        listener.setblocking(False)
        self._loop = loop
        self._sockets.append(listener)
        self._kinds[listener] = int(listener.family), int(listener.type), listener.proto
        if not self.is_paused:
            loop.add_reader(listener, self._accept, listener)

    def pause(self) -> None:
        """Accept no more; the kernel goes on queueing."""
        self.is_paused = True
        self._stop_rest()
        if self._loop is not None:
            for listener in self._sockets:
                self._loop.remove_reader(listener)

    @property
    def is_resting(self) -> bool:
        """Whether there was no descriptor left a moment ago."""
        return self._rest is not None

    def resume(self) -> None:
        """Accept on."""
        self.is_paused = False
        self._stop_rest()
        if self._loop is not None:
            for listener in self._sockets:
                self._loop.add_reader(listener, self._accept, listener)

    def _stop_rest(self) -> None:
        if self._rest is not None:
            self._rest.cancel()
            self._rest = None

    def _accept(self, listener: socket.socket) -> None:
        for _ in range(_BATCH):
            if self.is_paused or not self._accept_one(listener):
                return

    def _accept_one(self, listener: socket.socket) -> bool:
        """Whether there may be another one to accept."""
        loop = self._loop
        try:
            # As listener.accept(), without the object, which costs more than the system call.
            fd, peer = listener._accept()  # type: ignore[attr-defined]
        except (BlockingIOError, InterruptedError):
            return False
        except ConnectionAbortedError:
            return True
        except OSError as error:
            if error.errno not in _EXHAUSTED or loop is None:
                raise
            # The listener stays readable, so trying on would spin.
            gen_log.warning("accept: %s; next try in %.2f s", error.strerror, _REST_S)
            self.pause()
            self.is_paused = False
            self._rest = loop.call_later(_REST_S, self.resume)
            return False
        family, kind, protocol_number = self._kinds[listener]
        accepted = socket.SocketType(family, kind, protocol_number, fd)
        first = b""
        if self._make_early is not None:
            try:
                first = accepted.recv(_FIRST_BYTES, socket.MSG_DONTWAIT)
            except BlockingIOError:
                pass
            except OSError:
                accepted.close()
                return True
            if is_sole_request(first) and self._answer_early(accepted, peer, first):
                return True
        proper = socket.socket(family, kind, protocol_number, accepted.detach())
        is_plain = self.ssl_context is None
        self._connect_soon(proper, self._make_protocol(proper if is_plain else None, peer, first))
        return True

    def _answer_early(self, accepted: socket.SocketType, peer: Any, first: bytes) -> bool:
        """Whether the socket was taken care of."""
        connection = self._make_early() if self._make_early is not None else None
        if connection is None:
            return False
        early = EarlyTransport(connection, accepted, peer)
        if not early.serve(first):
            protocol, proper = early.arrival()
            self._connect_soon(proper, protocol)
        return True

    def _connect_soon(self, accepted: socket.socket, protocol: asyncio.Protocol) -> None:
        accepted.setblocking(False)
        task = asyncio.Task(self._connect(accepted, protocol), loop=self._loop, eager_start=True)
        if not task.done():
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    async def _connect(self, accepted: socket.socket, protocol: asyncio.Protocol) -> None:
        loop = asyncio.get_running_loop()
        context = self.ssl_context
        timeout_s = None if context is None else self.tls_handshake_s
        try:
            await loop.connect_accepted_socket(lambda: protocol, accepted, ssl=context, ssl_handshake_timeout=timeout_s)
        except OSError as error:  # ssl.SSLError and ConnectionResetError are
            accepted.close()
            gen_log.info("TLS handshake: %s", error)
            if isinstance(protocol, Arrival):
                protocol.early.fail(error)
            else:
                self._on_failure(protocol)

    def empty_queues(self) -> None:
        """Accept what still waits in the queues."""
        for listener in self._sockets:
            while self._accept_one(listener):
                pass

    async def connected(self) -> None:
        """Return when every connection that was accepted is known to its protocol."""
        if self._tasks:
            await asyncio.wait(self._tasks)

    def close(self) -> None:
        """Close the sockets; what is in their queues is lost."""
        self.pause()
        for listener in self._sockets:
            listener.close()
        self._sockets = []
        self._kinds.clear()
