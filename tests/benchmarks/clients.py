"""The loads that `ab` and `wrk` can't make: websockets that echo, and thousands of long polls that one event ends."""

import asyncio
import base64
import errno
import resource
import time
from dataclasses import dataclass

from tests.benchmarks.loads import LoadError, Outcome

MESSAGE = b"x" * 100
# Masked, as a client's frames must be (RFC 6455 §5.3).
MASK = bytes.fromhex("37fa213d")
FRAME = bytes([0x81, 0x80 | len(MESSAGE)]) + MASK + bytes(byte ^ MASK[at % 4] for at, byte in enumerate(MESSAGE))
ANSWER = bytes([0x81, len(MESSAGE)]) + MESSAGE
NEWS = b"news"
# Fewer than the shortest queue of new connections that somebody has (Tornado's, 128).
TOGETHER = 100
TIMEOUT_S = 30.0
HINTS = {
    errno.EADDRNOTAVAIL: "; the ports of earlier connections are free again a minute after these ended",
    errno.EMFILE: "; raise the limit of open files, or ask for fewer connections",
}


class _Echo(asyncio.Protocol):
    """One websocket that sends the next message when the last has come back."""

    def __init__(self, host: str) -> None:
        self._host = host
        self._head = bytearray()
        self._transport: asyncio.Transport | None = None
        self._is_open = False
        self._received = 0
        self._first = bytearray()
        self.sent_s = 0.0
        self.latencies_s: list[float] = []
        self.is_stopping = False
        self.over: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport  # type: ignore[assignment]
        key = base64.b64encode(bytes(16)).decode()
        head = f"GET /echo HTTP/1.1\r\nHost: {self._host}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        self._write(f"{head}Sec-WebSocket-Key: {key}\r\nSec-WebSocket-Version: 13\r\n\r\n".encode())

    def _write(self, data: bytes) -> None:
        assert self._transport is not None
        self._transport.write(data)

    def data_received(self, data: bytes) -> None:
        if not self._is_open:
            self._head += data
            if self._head.find(b"\r\n\r\n") < 0:
                return
            if not self._head.startswith(b"HTTP/1.1 101"):
                self._fail(f"websocket: expected 101, got {bytes(self._head[:60])!r}")
                return
            self._is_open = True
        else:
            self._received += len(data)
            if not self.latencies_s:
                self._first += data
            if self._received < len(ANSWER):
                return
            # The first is looked at; of the others it is enough to count bytes.
            if not self.latencies_s and self._first != ANSWER:
                self._fail(f"websocket: expected the message back, got {bytes(self._first[:60])!r}")
                return
            self.latencies_s.append(time.perf_counter() - self.sent_s)
            self._received = 0
        if self.is_stopping:
            self._finish()
        else:
            self.sent_s = time.perf_counter()
            self._write(FRAME)

    def _finish(self) -> None:
        assert self._transport is not None
        self._transport.close()

    def _fail(self, message: str) -> None:
        if not self.over.done():
            self.over.set_exception(LoadError(message))
        self._finish()

    def connection_lost(self, error: Exception | None) -> None:
        if not self.over.done():
            if self.is_stopping:
                self.over.set_result(None)
            else:
                self.over.set_exception(LoadError("websocket: the server closed it"))


async def echo(host: str, port: int, connections: int, seconds: float) -> Outcome:
    """Messages that came back on that many websockets in that time.

    Raises:
        LoadError: the server refuses or ends a websocket.
    """
    loop = asyncio.get_running_loop()
    begun, before_s = time.perf_counter(), time.process_time()
    made = [(await loop.create_connection(lambda: _Echo(f"{host}:{port}"), host, port))[1] for _ in range(connections)]

    def stop() -> None:
        for socket in made:
            socket.is_stopping = True

    timer = loop.call_later(seconds, stop)
    try:
        async with asyncio.timeout(seconds + TIMEOUT_S):
            await asyncio.gather(*(socket.over for socket in made))
    except TimeoutError as error:
        raise LoadError("websocket: echoes are missing") from error
    finally:
        timer.cancel()
    latencies = sorted(latency for socket in made for latency in socket.latencies_s)
    return _outcome(latencies, time.perf_counter() - begun, time.process_time() - before_s)


def _outcome(latencies_s: list[float], seconds: float, load_cpu_s: float) -> Outcome:
    if not latencies_s:
        raise LoadError("nothing came back")
    count = len(latencies_s)
    p50_ms, p99_ms = (latencies_s[count * part // 100] * 1e3 for part in (50, 99))
    return Outcome(count, seconds, 0, p50_ms, p99_ms, load_cpu_s=load_cpu_s)


class _Poll(asyncio.Protocol):
    """One long poll; `over` is the time at which its answer was there."""

    def __init__(self, request: bytes) -> None:
        self._request = request
        self._answer = b""
        self.over: asyncio.Future[float] = asyncio.get_running_loop().create_future()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport: asyncio.Transport = transport  # type: ignore[assignment]
        self.transport.write(self._request)

    def data_received(self, data: bytes) -> None:
        if self.over.done():
            return
        self._answer += data
        if not self._answer.startswith(b"HTTP/1.1 200"):
            self.over.set_exception(LoadError(f"long poll: expected 200, got {data[:60]!r}"))
        # A body may come in a piece of its own, and in chunks.
        elif self._answer.find(NEWS, self._answer.find(b"\r\n\r\n")) >= 0:
            self.over.set_result(time.perf_counter())

    def connection_lost(self, error: Exception | None) -> None:
        if not self.over.done():
            self.over.set_exception(LoadError("long poll: the server closed the connection"))


@dataclass(frozen=True)
class FanOut:
    """Long polls that wait on a server, and what it takes to end them all."""

    polls: list[_Poll]
    host: str
    port: int

    async def wake(self) -> Outcome:
        """From the event to the last answer.

        Raises:
            LoadError: not all are answered.
        """
        begun, before_s = time.perf_counter(), time.process_time()
        await _ask(self.host, self.port, "/wake")
        try:
            async with asyncio.timeout(TIMEOUT_S):
                answered = await asyncio.gather(*(poll.over for poll in self.polls))
        except TimeoutError as error:
            missing = sum(not poll.over.done() for poll in self.polls)
            raise LoadError(f"long polls: {missing} answers are missing") from error
        latencies = sorted(at - begun for at in answered)
        return _outcome(latencies, latencies[-1], time.process_time() - before_s)

    def close(self) -> None:
        """Close all connections."""
        for poll in self.polls:
            poll.transport.abort()


async def wait_together(host: str, port: int, count: int) -> FanOut:
    """Long polls that all wait.

    Raises:
        LoadError: the server does not take so many.
    """
    raise_file_limit()
    loop = asyncio.get_running_loop()
    request = f"GET /poll HTTP/1.1\r\nHost: {host}:{port}\r\n\r\n".encode()
    polls: list[_Poll] = []
    try:
        for begun in range(0, count, TOGETHER):
            made = [
                loop.create_connection(lambda: _Poll(request), host, port)
                for _ in range(begun, min(count, begun + TOGETHER))
            ]
            polls += [poll for _, poll in await asyncio.gather(*made)]
    except OSError as error:
        hint = HINTS.get(error.errno or 0, "")
        raise LoadError(f"long polls: {len(polls)} of {count} connected: {error}{hint}") from error
    # A server that reads in turn has read all of them when it answers this, and the pause is for those that do not.
    await _ask(host, port, "/")
    await asyncio.sleep(0.5)
    return FanOut(polls, host, port)


async def _ask(host: str, port: int, path: str) -> bytes:
    reader, writer = await asyncio.open_connection(host, port)
    try:
        writer.write(f"GET {path} HTTP/1.1\r\nHost: {host}:{port}\r\nConnection: close\r\n\r\n".encode())
        async with asyncio.timeout(TIMEOUT_S):
            return await reader.read()
    except (TimeoutError, OSError) as error:
        raise LoadError(f"{path}: {error!r}") from error
    finally:
        writer.close()


def raise_file_limit() -> None:
    """As many descriptors as the system lets us have."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
