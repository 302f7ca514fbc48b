"""The server: listening sockets, the connections they bring, and how all of them are held, drained and stopped.

Accepting is done by the loop's own servers, in C, on duplicates of our listening sockets: closing such a server pauses
accepting, and the socket with its queue in the kernel stays. That is all that `hold` and the connection limit need.
"""

import asyncio
import socket
import ssl
import sys
from collections.abc import Awaitable, Callable, Iterable, Mapping
from typing import Any, cast

from framework import clock, netutil
from framework.httpserver.connection import Connection
from framework.httpserver.limits import Limits, most_connections
from framework.httpserver.outgoing import Outgoing
from framework.httpserver.xheaders import is_within, parse_networks, read_xheaders
from framework.log import gen_log
from framework.request import BodyReceiver, HTTPRequest

_BACKLOG = 4096

Application = Callable[[HTTPRequest], Awaitable[None] | None]


class HTTPServer:
    """Calls `request_callback(request)` for each request that arrives on its sockets.

    `limits` are the fields of Limits. `xheaders` believes what unix-socket peers, and peers in `trusted_downstream`
    (networks as "10.0.0.0/8"), say about their clients. `ssl_options` is a dict (certfile, keyfile, …) or a context.
    """

    def __init__(
        self,
        request_callback: Application,
        no_keep_alive: bool = False,
        io_loop: Any = None,
        xheaders: bool = False,
        ssl_options: Mapping[str, Any] | ssl.SSLContext | None = None,
        trusted_downstream: Iterable[str] = (),
        **limits: Any,
    ) -> None:
        self.application = request_callback
        self.body_receiver: Callable[[HTTPRequest], BodyReceiver | None] | None = getattr(
            request_callback, "body_receiver", None
        )
        self.limits = Limits(**limits)
        self.keeps_alive = not no_keep_alive
        self._believes_headers = xheaders
        self.is_taking_requests = True
        self._trusted_networks = parse_networks(trusted_downstream)
        self._ssl_context = (
            None if ssl_options is None else netutil.ssl_options_to_context(ssl_options, server_side=True)
        )
        self._loop_given = io_loop
        self._loop: asyncio.AbstractEventLoop | None = None
        self._wheel: clock.Wheel | None = None
        self._listeners: dict[int, socket.socket] = {}
        self._acceptors: dict[int, asyncio.AbstractServer] = {}
        self._pending_sockets: list[socket.socket] = []
        self._tasks: set[asyncio.Task[None]] = set()
        self._connections: set[Outgoing] = set()
        self._handed_over: set[asyncio.Transport] = set()
        self._is_accepting = True
        self._is_empty: asyncio.Event | None = None

    # ---- listening

    def listen(self, port: int, address: str = "", **options: Any) -> None:
        """Bind a port on all addresses, or on those of a host name, and serve it. Options as netutil.bind_sockets.

        Raises:
            OSError: the address is taken or not ours.
        """
        self.add_sockets(netutil.bind_sockets(port, address or None, **options))

    def bind(self, port: int, address: str | None = None, **options: Any) -> None:
        """Bind a port without serving it before `start`, which may fork in between.

        Raises:
            OSError: the address is taken or not ours.
        """
        self._pending_sockets += netutil.bind_sockets(port, address or None, **options)

    def start(self, num_processes: int | None = 1) -> None:
        """Serve what `bind` has bound, in this process (1), in so many children, or in one per core (0 or None)."""
        if num_processes != 1:
            from framework import process

            process.fork_processes(num_processes)
        sockets, self._pending_sockets = self._pending_sockets, []
        self.add_sockets(sockets)

    def add_socket(self, listener: socket.socket) -> None:
        """Serve a listening socket, TCP or unix. It belongs to the server from now on."""
        self.add_sockets([listener])

    def add_sockets(self, listeners: Iterable[socket.socket]) -> None:
        """As add_socket, for several."""
        loop = self.loop
        self.wheel.start()
        for listener in listeners:
            listener.setblocking(False)
            self._listeners[listener.fileno()] = listener
            if self._is_accepting and self.is_taking_requests:
                self._start_task(self._accept_on(loop, listener))

    @property
    def loop(self) -> asyncio.AbstractEventLoop:
        """The loop that serves: the one given, the one that runs, or IOLoop's."""
        if self._loop is None:
            self._loop = getattr(self._loop_given, "asyncio_loop", self._loop_given)
        if self._loop is None:
            try:
                self._loop = asyncio.get_running_loop()
            except RuntimeError:
                from framework.ioloop import IOLoop

                self._loop = IOLoop.current().asyncio_loop
        return self._loop

    @property
    def wheel(self) -> clock.Wheel:
        """What sweeps the time-outs of all connections."""
        if self._wheel is None:
            self._wheel = clock.Wheel(self.loop)
        return self._wheel

    async def _accept_on(self, loop: asyncio.AbstractEventLoop, listener: socket.socket) -> None:
        fd = listener.fileno()
        if fd < 0 or fd in self._acceptors:
            return
        options: dict[str, Any] = {"sock": listener.dup(), "backlog": _BACKLOG, "ssl": self._ssl_context}
        if self._ssl_context is not None:
            options["ssl_handshake_timeout"] = self.limits.tls_handshake_s
        if listener.family == socket.AF_UNIX:
            if sys.version_info >= (3, 13):
                options["cleanup_socket"] = False  # the path belongs to whoever claims it, and outlives pauses
            acceptor = await loop.create_unix_server(lambda: Connection(self), **options)
        else:
            acceptor = await loop.create_server(lambda: Connection(self), **options)
        if self._is_accepting and self.is_taking_requests and fd not in self._acceptors and fd in self._listeners:
            self._acceptors[fd] = acceptor
        else:
            acceptor.close()

    def _start_task(self, work: Any) -> None:
        task = self.loop.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def _pause_accepting(self) -> None:
        acceptors, self._acceptors = self._acceptors, {}
        for acceptor in acceptors.values():
            acceptor.close()

    def _resume_accepting(self) -> None:
        if self._is_accepting and self.is_taking_requests:
            for listener in self._listeners.values():
                self._start_task(self._accept_on(self.loop, listener))

    # ---- what connections tell

    def adopt(self, connection: Outgoing, transport: asyncio.Transport) -> None:
        """Take note of a new connection, or refuse it."""
        peer = transport.get_extra_info("peername")
        if isinstance(peer, tuple) and peer:
            connection.remote_ip = peer[0]
            if self._believes_headers and self._trusted_networks:
                connection.is_believed = is_within(peer[0], self._trusted_networks)
        else:
            connection.is_believed = self._believes_headers  # a unix socket: file permissions decide who may connect
        if self._ssl_context is not None:
            connection.protocol = "https"
        self._connections.add(connection)
        if not self.is_taking_requests:
            cast(Connection, connection).wait()
        self.wheel.watch(connection, clock.now + self.limits.head_timeout_s)
        if len(self._connections) > self.max_connections:
            gen_log.info("%s: 503 more than %d connections", connection.remote_ip, self.max_connections)
            cast(Connection, connection).refuse_connection(503)

    @property
    def max_connections(self) -> int:
        """The number of connections that may be open at once."""
        return most_connections(self.limits)

    def discard(self, connection: Outgoing) -> None:
        """Forget a connection that is gone."""
        self._connections.discard(connection)
        self.wheel.forget(connection)
        self._maybe_empty()

    def hand_over(self, transport: asyncio.Transport) -> None:
        """Take note that a connection is somebody else's now; it still counts as a connection."""
        self._handed_over = {t for t in self._handed_over if not t.is_closing()}
        self._handed_over.add(transport)

    def believe_headers(self, request: HTTPRequest) -> None:
        """Set the client's address and scheme to what the trusted proxy says."""
        ip, scheme = read_xheaders(request.raw_head, self._trusted_networks)
        if ip is not None:
            request.remote_ip = ip
        if scheme is not None:
            request.protocol = scheme

    @property
    def connections(self) -> int:
        """The number of open connections, those handed over for an upgrade included."""
        return len(self._connections) + sum(not t.is_closing() for t in self._handed_over)

    def _maybe_empty(self) -> None:
        if not self._connections and not self._listeners:
            if self._wheel is not None:
                self._wheel.stop()
            if self._is_empty is not None:
                self._is_empty.set()

    # ---- hold, drain, stop

    def hold(self) -> None:
        """Start no new request and accept no connection: the kernel queues them. Running requests go on."""
        self.is_taking_requests = False
        self._pause_accepting()
        for connection in self._connections:
            cast(Connection, connection).wait()

    def resume(self) -> None:
        """Go on after `hold` with what has queued."""
        self.is_taking_requests = True
        self._resume_accepting()
        for connection in list(self._connections):
            cast(Connection, connection).advance()

    async def drain(self, grace_s: float = 0.2, deadline_s: float = 60.0) -> None:
        """Return when no connection is left, or at the deadline.

        New connections are taken for `grace_s`, and until the queue is empty; every answer says Connection: close. An
        idle connection is never closed first: the proxy may be writing a request on it at this moment, and a POST lost
        there is lost for good.
        """
        loop = self.loop
        deadline = loop.time() + deadline_s
        self.keeps_alive = False
        for connection in self._connections:
            connection.keep_alive = False
        await asyncio.sleep(min(grace_s, deadline_s))
        self._is_accepting = False
        self._pause_accepting()
        for listener in list(self._listeners.values()):
            await self._empty_queue(loop, listener)
        self._close_listeners()
        while self.connections and loop.time() < deadline:
            await self._wait_until_empty(deadline - loop.time())
        for connection in list(self._connections):
            connection.abort()

    async def _empty_queue(self, loop: asyncio.AbstractEventLoop, listener: socket.socket) -> None:
        while True:
            try:
                accepted, _ = listener.accept()
            except BlockingIOError:
                return
            except OSError:
                continue  # that one has gone already
            accepted.setblocking(False)
            await loop.connect_accepted_socket(lambda: Connection(self), accepted, ssl=self._ssl_context)

    async def _wait_until_empty(self, timeout_s: float) -> None:
        self._is_empty = asyncio.Event()
        self._maybe_empty()
        if self._handed_over:
            timeout_s = min(timeout_s, 0.1)  # nobody tells us when a connection ends that was handed over
        try:
            await asyncio.wait_for(self._is_empty.wait(), timeout_s)
        except TimeoutError:
            pass

    def stop(self) -> None:
        """Accept no more. Connections that are open are served on; `close_all_connections` ends them."""
        self._is_accepting = False
        self._pause_accepting()
        self._close_listeners()
        self._maybe_empty()

    def _close_listeners(self) -> None:
        listeners, self._listeners = self._listeners, {}
        for listener in listeners.values():
            listener.close()
        for listener in self._pending_sockets:
            listener.close()
        self._pending_sockets = []

    async def close_all_connections(self) -> None:
        """Cut all connections, and return when they are gone."""
        for connection in list(self._connections):
            connection.abort()
        while self._connections:
            await asyncio.sleep(0)
