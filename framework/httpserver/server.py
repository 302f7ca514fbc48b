"""The server: its connections, and how all of them are held, drained and stopped."""

import asyncio
import inspect
import socket
import ssl
from collections.abc import Callable, Iterable, Mapping
from functools import lru_cache, partial
from typing import Any, cast

from framework import clock, netutil
from framework.httpserver.bodies import Bodies
from framework.httpserver.connection import Connection
from framework.httpserver.limits import Limits, most_connections, plain_head_bytes, small_head_bytes
from framework.httpserver.listening import Listening
from framework.httpserver.outgoing import Outgoing
from framework.httpserver.proxyprotocol import ProxyProtocol
from framework.httpserver.targets import Call, Known, Targets
from framework.httpserver.xheaders import LOOPBACK, is_within, parse_networks, read_xheaders
from framework.ioloop.turns import Turns, turns_of
from framework.log import Repeated, gen_log
from framework.request import BodyReceiver, HTTPRequest


class HTTPServer:
    """Calls `request_callback(request)` for each request that arrives on its sockets.

    Where that has a `find_call`, as web.Application has, it calls what this names for a request in its place.
    `xheaders` believes what unix-socket peers, and peers in `trusted_downstream` (networks as "10.0.0.0/8"; by default
    this machine, where the seed's nginx runs), say about their clients; `proxy_protocol` expects each peer to say it in
    a PROXY header. `ssl_options` is a dict (certfile, keyfile, …) or an ssl.SSLContext. All other keyword arguments are
    fields of Limits.
    """

    def __init__(
        self,
        request_callback: Call,
        no_keep_alive: bool = False,
        io_loop: Any = None,
        xheaders: bool = False,
        ssl_options: Mapping[str, Any] | ssl.SSLContext | None = None,
        trusted_downstream: Iterable[str] | None = None,
        proxy_protocol: bool = False,
        **limits: Any,
    ) -> None:
        self.application = request_callback
        # A bound method is called within the interpreter, an object by way of its type.
        call: Any = request_callback
        self.call: Call = call if inspect.isroutine(call) else call.__call__
        self.body_receiver: Callable[[HTTPRequest], BodyReceiver | None] | None = getattr(
            request_callback, "body_receiver", None
        )
        # Optional, too: False for a host and a path whose bodies are surely not wanted while they arrive.
        self._streams_body: Callable[[str, str], bool] | None = getattr(request_callback, "streams_body", None)
        self.targets = Targets(request_callback, self.call)
        self.find_target = self.targets.find  # here as well, for each request looks
        self.limits = Limits(**limits)
        # The deadline of a connection that becomes idle now: the same for all until the clock's next tick.
        self.idle_until = clock.now + self.limits.idle_timeout_s
        self.bodies = Bodies(self.limits, self._make_room_for_file, self._hear_of_room)
        self.small_head_bytes = small_head_bytes(self.limits)
        self.most_requests = self.limits.max_requests_per_connection
        self.plain_head_bytes = plain_head_bytes(self.limits)
        self.keeps_alive = not no_keep_alive
        self.is_taking_requests = True
        self._believes_headers = xheaders
        self._trusted_networks = parse_networks(LOOPBACK if trusted_downstream is None else trusted_downstream)
        # Who connects for each request has the same address each time; reading it costs 3 us.
        self._is_trusted = lru_cache(maxsize=256)(partial(is_within, networks=self._trusted_networks))
        self._loop_given = io_loop
        self._loop: asyncio.AbstractEventLoop | None = None
        self._wheel: clock.Wheel | None = None
        self._turns: Turns | None = None
        self._listening = Listening(
            self._make_proxied if proxy_protocol else self._make_connection,
            self._forget,
            None if proxy_protocol or ssl_options is not None else self._make_early,
        )
        self._pending_sockets: list[socket.socket] = []
        self._connections: set[Outgoing] = set()
        self._expected: set[asyncio.Protocol] = set()  # accepted, but not made known yet
        self._handed_over: set[asyncio.Transport] = set()
        self._look_through_at = 64
        self._max_connections = most_connections(self.limits)
        self._log_full = Repeated(gen_log.info)
        self._is_empty: asyncio.Event | None = None
        if ssl_options is not None:
            if proxy_protocol:
                raise ValueError("proxy_protocol: expected no ssl_options, the balancer ends TLS")
            self._listening.ssl_context = netutil.ssl_options_to_context(ssl_options, server_side=True)
            self._listening.tls_handshake_s = self.limits.tls_handshake_s

    # ---- listening

    def listen(self, port: int, address: str = "", **options: Any) -> None:
        """Bind a port on all addresses, or on those of a host name, and serve it. Options as netutil.bind_sockets.

        Raises:
            netutil.BindError: the address is taken or not ours.
        """
        self.add_sockets(netutil.bind_sockets(port, address or None, **options))

    def bind(self, port: int, address: str | None = None, **options: Any) -> None:
        """Bind a port without serving it before `start`, which may fork in between.

        Raises:
            netutil.BindError: the address is taken or not ours.
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
        """Serve a listening socket, TCP or unix, bound here or inherited. It belongs to the server from now on."""
        self.add_sockets([listener])

    def add_sockets(self, listeners: Iterable[socket.socket]) -> None:
        """As add_socket, for several."""
        self.wheel.start()
        self._max_connections = most_connections(self.limits)
        self.bodies.find_directory()
        for listener in listeners:
            self._listening.add(listener, self.loop)

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
            self._wheel = clock.Wheel(self.loop, self._take_time)
        return self._wheel

    @property
    def turns(self) -> Turns:
        """What connections wait for that have more to do than is fair."""
        if self._turns is None:
            self._turns = turns_of(self.loop)
        return self._turns

    def load_certificate(self, certfile: str, keyfile: str | None = None) -> None:
        """Use a renewed certificate for all handshakes from now on; connections that are open keep theirs.

        Raises:
            ValueError: the server speaks no TLS.
            OSError: a file cannot be read (ssl.SSLError: it holds no certificate, or not its key). The old one stays.
        """
        context = self._listening.ssl_context
        if context is None:
            raise ValueError("load_certificate: the server was made without ssl_options")
        # A context takes a new certificate before it sees that the key does not fit: try on one that nobody uses.
        ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_cert_chain(certfile, keyfile)
        context.load_cert_chain(certfile, keyfile)

    # ---- what connections tell

    def _make_early(self) -> Connection | None:
        """A connection that may be over at once; None if it must be counted first."""
        if self._count() >= self._max_connections or not self.is_taking_requests:
            return None
        return Connection(self)

    def _make_connection(self, accepted: socket.socket | None, peer: Any, first: bytes) -> Connection:
        connection = Connection(self)
        if accepted is not None:
            self.introduce(connection, peer)
            connection.accept(accepted, first)
        self._expected.add(connection)
        if self._count() > self._max_connections:
            # So that whoever is over the limit waits in the kernel, and not here.
            self._listening.pause()
        return connection

    def _take_time(self, now: float) -> None:
        self.idle_until = now + self.limits.idle_timeout_s

    def may_stream(self, known: Known) -> bool:
        """Whether the application may want to take the body of such a request while it arrives."""
        if self.body_receiver is None:
            return False
        return self._streams_body is None or self._streams_body(known[4], known[2])

    def _forget(self, protocol: asyncio.Protocol) -> None:
        """A connection broke before it was made known."""
        self._expected.discard(protocol)
        if self._listening.is_paused:
            self._resume_accepting()

    def _make_proxied(self, accepted: socket.socket | None, peer: Any, first: bytes) -> ProxyProtocol:
        def make_connection(transport: asyncio.Transport, address: str | None) -> Connection:
            connection = self._make_connection(None, None, b"")
            connection.connection_made(transport)
            connection.remote_ip = address or connection.remote_ip
            return connection

        return ProxyProtocol(make_connection, self.wheel, self.limits.head_timeout_s)

    def introduce(self, connection: Outgoing, peer: Any) -> None:
        """Tell a new connection whose it is; `peer` is the socket's other end as accept(2) gives it."""
        if isinstance(peer, tuple) and peer:
            connection.remote_ip = peer[0]
            if self._believes_headers and self._trusted_networks:
                connection.is_believed = self._is_trusted(peer[0])
        else:
            connection.is_unix = True
            connection.is_believed = self._believes_headers  # a unix socket: file permissions decide who may connect
        if self._listening.ssl_context is not None:
            connection.protocol = "https"

    def adopt(self, connection: Outgoing) -> None:
        """Take note of a new connection."""
        self._expected.discard(connection)
        self._connections.add(connection)
        if not self.is_taking_requests:
            cast(Connection, connection).wait()
        self.wheel.watch(connection, clock.now + self.limits.head_timeout_s)
        if self._count() > self._max_connections:
            self._make_room(cast(Connection, connection))

    def _make_room(self, newest: Connection) -> None:
        """Close the connections that have been idle longest, so that idling clients keep nobody out; or refuse.

        nginx does the same when it runs out of connections. Peers on unix sockets are proxies, which may be writing
        a request at this moment: theirs are never closed.
        """
        if not self._close_idle(newest):
            self._log_full("%s: 503 more than %d connections", newest.remote_ip, self._max_connections)
            newest.refuse_connection(503)

    def _close_idle(self, newest: Connection | None = None) -> bool:
        """Whether some connections were idle; the longest idle of them are closed."""
        since = clock.now - self.limits.min_idle_s
        idle = [c for c in self._connections if not c.is_unix and c is not newest and c.idle_since <= since]
        idle.sort(key=lambda connection: connection.idle_since)
        for connection in idle[: 1 + len(idle) // 50]:
            connection.close()
        return bool(idle)

    def _make_room_for_file(self) -> bool:
        """Whether there is a descriptor for one more body in a file, or will be in a moment."""
        return self._count() < self._max_connections or self._close_idle()

    def discard(self, connection: Outgoing) -> None:
        """Forget a connection that is gone."""
        self._connections.discard(connection)
        self.wheel.forget(connection)
        self._hear_of_room()
        if not self._listening.is_open:
            self._maybe_empty()

    def _hear_of_room(self) -> None:
        """A descriptor is free: it is another connection's."""
        if self._listening.is_paused or self._listening.is_resting:
            self._resume_accepting()

    def _resume_accepting(self) -> None:
        if self._count() <= self._max_connections and self.is_taking_requests:
            self._listening.resume()

    def hand_over(self, transport: asyncio.Transport) -> None:
        """Take note that a connection is somebody else's now; it still counts as a connection."""
        if len(self._handed_over) >= self._look_through_at:
            # Now and then: for each, ten thousand websockets would look at one another.
            self._look_through()
        self._handed_over.add(transport)

    def may_hand_over(self) -> bool:
        """Whether one more connection may stay for good: an eighth of them is left to requests."""
        most = self._max_connections - self._max_connections // 8
        if len(self._handed_over) >= most:
            self._look_through()
        return len(self._handed_over) < most

    def _look_through(self) -> None:
        self._handed_over = {t for t in self._handed_over if not t.is_closing()}
        self._look_through_at = 2 * len(self._handed_over) + 64

    def _count(self) -> int:
        """How many connections and files of bodies there are and will be in a moment, for the limit."""
        count = len(self._connections) + len(self._expected) + len(self._handed_over) + self.bodies.files
        if count >= self._max_connections and self._handed_over:
            before = len(self._handed_over)
            self._look_through()
            count -= before - len(self._handed_over)
        return count

    def believe_headers(self, request: HTTPRequest) -> None:
        """Set the client's address and scheme to what the trusted proxy says."""
        head = request.raw_head
        if head.find(b"\nX-") < 0 and head.find(b"\nx-") < 0:
            return
        ip, scheme = read_xheaders(head, self._trusted_networks)
        if ip is not None:
            request.remote_ip = ip
        if scheme is not None:
            request.protocol = scheme

    @property
    def connections(self) -> int:
        """The number of open connections, those handed over for an upgrade included."""
        return len(self._connections) + sum(not t.is_closing() for t in self._handed_over)

    # ---- hold, drain, stop

    def hold(self) -> None:
        """Start no new request and accept no connection: the kernel queues them. Running requests go on."""
        self.is_taking_requests = False
        self._listening.pause()
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
        deadline = self.loop.time() + deadline_s
        self.keeps_alive = False
        for connection in self._connections:
            connection.keep_alive = False
        if not self.is_taking_requests:
            self.resume()  # held requests must be answered, too, before we go
        await asyncio.sleep(min(grace_s, deadline_s))
        self._listening.pause()
        self._listening.empty_queues()
        await self._listening.connected()
        self._listening.close()
        while self.connections and self.loop.time() < deadline:
            await self._wait_until_empty(deadline - self.loop.time())
        for connection in list(self._connections):
            connection.abort()
        self._maybe_empty()

    async def _wait_until_empty(self, timeout_s: float) -> None:
        self._is_empty = asyncio.Event()
        self._maybe_empty()
        if self._handed_over:
            timeout_s = min(timeout_s, 0.1)  # nobody tells us when a connection ends that was handed over
        try:
            await asyncio.wait_for(self._is_empty.wait(), timeout_s)
        except TimeoutError:
            pass
        self._is_empty = None

    def _maybe_empty(self) -> None:
        if not self._connections and not self._listening.is_open:
            self.wheel.stop()
            if self._is_empty is not None:
                self._is_empty.set()

    def stop(self) -> None:
        """Accept no more. Connections that are open are served on; `close_all_connections` ends them."""
        self._listening.close()
        for listener in self._pending_sockets:
            listener.close()
        self._pending_sockets = []
        self._maybe_empty()

    async def close_all_connections(self) -> None:
        """Cut all connections, and return when they are gone."""
        for connection in list(self._connections):
            connection.abort()
        while self._connections:
            await asyncio.sleep(0)
        self._maybe_empty()
