"""A non-blocking byte stream over a socket, with callbacks as in 2011 and awaitables as today.

    stream = IOStream(socket.socket())
    stream.connect(("example.com", 80), send_request)             # callback(…) is called, or:
    await stream.connect(("example.com", 80))
    head = await stream.read_until(b"\\r\\n\\r\\n")

One read at a time; writes queue up and go out in order. Nothing is read from the socket before somebody asks, unless a
close callback wants to know of the end. When the stream ends, reads that wait fail with StreamClosedError, and
callbacks of reads are dropped, as the seed has it; the close callback is called once, after what was read has been
delivered.
"""

import asyncio
import errno
import re
import socket
import ssl
from collections.abc import Awaitable, Callable
from typing import Any

from framework import netutil
from framework.errors import FrameworkError
from framework.ioloop import IOLoop
from framework.log import app_log

CHUNK_BYTES = 65_536
MAX_BUFFER_BYTES = 104_857_600
_WOULD_BLOCK = (BlockingIOError, InterruptedError, ssl.SSLWantReadError, ssl.SSLWantWriteError)

Callback = Callable[..., object] | None


class StreamClosedError(FrameworkError):
    """The stream ended before what was asked for was there; `real_error` is why, if there was an error."""

    def __init__(self, real_error: BaseException | None = None) -> None:
        super().__init__(f"the stream is closed{f': {real_error}' if real_error else ''}")
        self.real_error = real_error


class UnsatisfiableReadError(FrameworkError):
    """What was asked for did not come within max_bytes."""


class StreamBufferFullError(FrameworkError):
    """More came than `max_buffer_size` allows; the `real_error` of the reads that waited."""


class IOStream:
    """A stream over a connected socket, or over one that `connect` will connect."""

    def __init__(
        self,
        socket: socket.socket,
        io_loop: IOLoop | None = None,
        max_buffer_size: int = MAX_BUFFER_BYTES,
        read_chunk_size: int = CHUNK_BYTES,
    ) -> None:
        self.socket = socket
        self.io_loop = io_loop or IOLoop.current()
        self.max_buffer_size = max_buffer_size
        self.read_chunk_size = read_chunk_size
        self.error: BaseException | None = None
        socket.setblocking(False)
        self._loop = self.io_loop.asyncio_loop
        self._in = bytearray()
        self._out = bytearray()
        self._find: Callable[[], int | None] | None = None  # of the read under way: how many bytes it may take now
        self._read: tuple[asyncio.Future[bytes], Callback] | None = None
        self._until_close = False
        self._connecting: tuple[asyncio.Future[IOStream], Callback] | None = None
        self._written: list[tuple[int, asyncio.Future[None], Callback]] = []
        self._total_queued = self._total_sent = 0
        self._on_close: Callable[[], object] | None = None
        self._is_closed = False
        self._is_listening = self._is_watching_write = False

    # -- what callers ask for

    def connect(
        self, address: Any, callback: Callback = None, server_hostname: str | None = None
    ) -> Awaitable["IOStream"]:
        """Connect; the callback is called without arguments, the awaitable gives the stream.

        Raises:
            StreamClosedError: through the awaitable, if nobody accepts.
        """
        future: asyncio.Future[IOStream] = self._loop.create_future()
        self._connecting = (future, callback)
        self._server_hostname = server_hostname
        try:
            self.socket.connect(address)
        except BlockingIOError:
            pass
        except OSError as error:
            self._loop.call_soon(self._close_with, error)
            return _quiet(future)
        self._watch()
        return _quiet(future)

    def read_until(self, delimiter: bytes, callback: Callback = None, max_bytes: int | None = None) -> Awaitable[bytes]:
        """Everything up to the delimiter, which is included."""

        def find() -> int | None:
            position = self._in.find(delimiter)
            found = None if position < 0 else position + len(delimiter)
            self._check(found, max_bytes)
            return found

        return self._start_read(find, callback)

    def read_until_regex(
        self, regex: bytes, callback: Callback = None, max_bytes: int | None = None
    ) -> Awaitable[bytes]:
        """Everything up to the end of the first match."""
        pattern = re.compile(regex)

        def find() -> int | None:
            match = pattern.search(self._in)
            found = None if match is None else match.end()
            self._check(found, max_bytes)
            return found

        return self._start_read(find, callback)

    def read_bytes(self, num_bytes: int, callback: Callback = None, partial: bool = False) -> Awaitable[bytes]:
        """Exactly that many bytes; with `partial` as many as there are, at least one."""

        def find() -> int | None:
            if partial and self._in:
                return min(len(self._in), num_bytes)
            return num_bytes if len(self._in) >= num_bytes else None

        return self._start_read(find, callback)

    def read_until_close(self, callback: Callback = None) -> Awaitable[bytes]:
        """Everything until the other side closes; nothing if it has closed already."""
        self._until_close = True
        if self._is_closed:
            future: asyncio.Future[bytes] = self._loop.create_future()
            self._read = (future, callback)
            self._deliver(len(self._in))
            return future
        return self._start_read(lambda: None, callback)

    def write(self, data: bytes, callback: Callback = None) -> Awaitable[None]:
        """Send; the callback is called, and the awaitable done, when all of it is with the kernel.

        Raises:
            StreamClosedError: if the stream is closed.
        """
        if self._is_closed:
            raise StreamClosedError(self.error)
        future: asyncio.Future[None] = self._loop.create_future()
        self._out += data
        self._total_queued += len(data)
        self._written.append((self._total_queued, future, callback))
        if self._connecting is None:
            self._guard(self._send)
        return _quiet(future)

    def set_close_callback(self, callback: Callable[[], object] | None) -> None:
        """Call `callback` once when the stream ends, whoever ends it."""
        self._on_close = callback
        if callback is not None and not self._is_closed and self._connecting is None:
            self._watch()

    def close(self) -> None:
        """End the stream."""
        self._close_with(None)

    def reading(self) -> bool:
        """Whether a read waits."""
        return self._read is not None

    def writing(self) -> bool:
        """Whether something waits to be sent."""
        return bool(self._out)

    def closed(self) -> bool:
        """Whether the stream has ended."""
        return self._is_closed

    def set_nodelay(self, value: bool) -> None:
        """Send small pieces at once (True), or let the kernel gather them for a moment. Unix sockets never wait."""
        if self.socket.family in (socket.AF_INET, socket.AF_INET6):
            self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, int(value))

    def fileno(self) -> int:
        """The descriptor of the socket."""
        return self.socket.fileno()

    async def start_tls(
        self,
        server_side: bool,
        ssl_options: dict[str, Any] | ssl.SSLContext | None = None,
        server_hostname: str | None = None,
    ) -> "SSLIOStream":
        """This connection as a TLS stream, after the handshake; this stream is not to be used any more.

        Raises:
            ValueError: something waits to be read or sent.
            StreamClosedError: the handshake fails.
        """
        if self._in or self._out or self._read:
            raise ValueError("start_tls: expected a stream on which nothing waits")
        self._unwatch()
        self._is_closed = True
        context = netutil.ssl_options_to_context(ssl_options or {}, server_side=server_side)
        wrapped = context.wrap_socket(
            self.socket, server_side=server_side, server_hostname=server_hostname, do_handshake_on_connect=False
        )
        stream = SSLIOStream(wrapped, self.io_loop, self.max_buffer_size, self.read_chunk_size)
        await stream.wait_for_handshake()
        return stream

    # -- what happens

    def _check(self, found: int | None, max_bytes: int | None) -> None:
        if max_bytes is not None and (len(self._in) if found is None else found) > max_bytes:
            raise UnsatisfiableReadError(f"expected an end within {max_bytes} bytes")

    def _start_read(self, find: Callable[[], int | None], callback: Callback) -> Awaitable[bytes]:
        if self._read is not None:
            raise FrameworkError("one read at a time: another waits already")
        future: asyncio.Future[bytes] = self._loop.create_future()
        self._read, self._find = (future, callback), find
        self._guard(self._try_read)
        if self._read is not None and self._is_closed:
            self._fail_read()
        elif self._read is not None:
            self._watch()
        return _quiet(future)

    def _try_read(self) -> None:
        if self._find is not None and (count := self._find()) is not None:
            self._deliver(count)

    def _deliver(self, count: int) -> None:
        assert self._read is not None  # callers have looked
        (future, callback), self._read, self._find, self._until_close = self._read, None, None, False
        data = bytes(self._in[:count])
        del self._in[:count]
        if not future.done():
            future.set_result(data)
        self._call(callback, data)

    def _call(self, callback: Callback, *arguments: Any) -> None:
        if callback is not None:
            # Not from within: the caller must get its turn first, and the stack stays flat.
            self.io_loop.add_callback(callback, *arguments)

    def _guard(self, step: Callable[[], None]) -> None:
        try:
            step()
        except (OSError, UnsatisfiableReadError, StreamBufferFullError) as error:
            self._close_with(error)

    def _recv(self) -> bytes | None:
        """Bytes, b"" at the end, None if there are none now."""
        try:
            return self.socket.recv(self.read_chunk_size)
        except _WOULD_BLOCK:
            return None

    def _on_readable(self) -> None:
        if self._connecting is not None:
            self._guard(self._finish_connect)
            return
        self._guard(self._receive)

    def _receive(self) -> None:
        while not self._is_closed:
            data = self._recv()
            if data is None:
                return
            if not data:
                self._close_with(None)
                return
            self._in += data
            if len(self._in) > self.max_buffer_size:
                raise StreamBufferFullError(f"more than {self.max_buffer_size} bytes wait to be read")
            self._try_read()
            if self._read is None:
                break  # nobody asks: the rest stays with the kernel, and the sender is held back
        if self._read is None and self._on_close is None:
            self._unwatch_read()

    def _on_writable(self) -> None:
        if self._connecting is not None:
            self._guard(self._finish_connect)
        else:
            self._guard(self._send)

    def _finish_connect(self) -> None:
        error = self.socket.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
        if error:
            raise OSError(error, errno.errorcode.get(error, "error"))
        self._connected()

    def _connected(self) -> None:
        assert self._connecting is not None  # only called while it is set
        (future, callback), self._connecting = self._connecting, None
        if not future.done():
            future.set_result(self)
        self._call(callback)
        self._send()
        if self._on_close is None and self._read is None:
            self._unwatch_read()

    def _send(self) -> None:
        while self._out:
            try:
                sent = self.socket.send(self._out[: 4 * CHUNK_BYTES])
            except _WOULD_BLOCK:
                break
            del self._out[:sent]
            self._total_sent += sent
        while self._written and self._written[0][0] <= self._total_sent:
            _, future, callback = self._written.pop(0)
            if not future.done():
                future.set_result(None)
            self._call(callback)
        if self._out:
            self._watch_write()
        else:
            self._unwatch_write()

    # -- the loop

    def _watch(self) -> None:
        if not self._is_listening:
            self._is_listening = True
            self._loop.add_reader(self.socket.fileno(), self._on_readable)
        if self._connecting is not None or self._out:
            self._watch_write()

    def _watch_write(self) -> None:
        if not self._is_watching_write:
            self._is_watching_write = True
            self._loop.add_writer(self.socket.fileno(), self._on_writable)

    def _unwatch_read(self) -> None:
        if self._is_listening:
            self._is_listening = False
            self._loop.remove_reader(self.socket.fileno())

    def _unwatch_write(self) -> None:
        if self._is_watching_write:
            self._is_watching_write = False
            self._loop.remove_writer(self.socket.fileno())

    def _unwatch(self) -> None:
        self._unwatch_read()
        self._unwatch_write()

    def _close_with(self, error: BaseException | None) -> None:
        if self._is_closed:
            return
        self._is_closed = True
        self.error = error
        if error is not None and not isinstance(error, ConnectionError | UnsatisfiableReadError | ssl.SSLError):
            app_log.debug("stream: %s", error)
        self._unwatch()
        self.socket.close()
        if self._read is not None:
            if self._until_close:
                self._deliver(len(self._in))
            else:
                self._fail_read()
        if self._connecting is not None and not self._connecting[0].done():
            self._connecting[0].set_exception(StreamClosedError(error))
        for _, future, _ in self._written:
            if not future.done():
                future.set_exception(StreamClosedError(error))
        self._written.clear()
        self._out.clear()
        callback, self._on_close = self._on_close, None
        self._call(callback)

    def _fail_read(self) -> None:
        assert self._read is not None  # callers have looked
        (future, _), self._read, self._find = self._read, None, None
        if not future.done():
            error = self.error
            future.set_exception(error if isinstance(error, UnsatisfiableReadError) else StreamClosedError(error))


class SSLIOStream(IOStream):
    """A stream over a TLS socket (`ssl.SSLContext.wrap_socket(…, do_handshake_on_connect=False)`)."""

    def __init__(self, socket: ssl.SSLSocket, *arguments: Any, **named: Any) -> None:
        super().__init__(socket, *arguments, **named)
        self._tls = socket
        self._is_shaken = False

    def wait_for_handshake(self, callback: Callback = None) -> Awaitable["IOStream"]:
        """Return once the handshake is done.

        Raises:
            StreamClosedError: through the awaitable, if it fails.
        """
        future: asyncio.Future[IOStream] = self._loop.create_future()
        self._connecting = (future, callback)
        self._watch()
        self._guard(self._shake)
        return _quiet(future)

    def _finish_connect(self) -> None:
        if not self._is_shaken:
            error = self.socket.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
            if error:
                raise OSError(error, errno.errorcode.get(error, "error"))
            self._shake()

    def _shake(self) -> None:
        try:
            self._tls.do_handshake()
        except ssl.SSLWantReadError:
            self._unwatch_write()  # or the loop would spin: a socket is nearly always writable
            return
        except ssl.SSLWantWriteError:
            self._watch_write()
            return
        self._is_shaken = True
        self._connected()

    def _receive(self) -> None:
        super()._receive()
        # TLS may have read more than we took: the loop does not know of it.
        if not self._is_closed and self._read is not None and self._tls.pending():
            self._loop.call_soon(self._on_readable)


def _quiet[T](future: asyncio.Future[T]) -> asyncio.Future[T]:
    """The future, whose error nobody need look at: with callbacks, nobody does."""
    future.add_done_callback(lambda done: done.cancelled() or done.exception())
    return future
