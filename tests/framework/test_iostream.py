"""One suite over TCP, unix, TLS and memory streams, with awaitables and with callbacks."""

import asyncio
import socket
import ssl
import subprocess
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from framework.iostream import IOStream, StreamBufferFullError, StreamClosedError, UnsatisfiableReadError
from framework.testing import memory_streams

Scenario = Callable[[IOStream, IOStream], Awaitable[None]]


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A certificate and its key in one file."""
    folder = tmp_path_factory.mktemp("tls")
    command = "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 1 -subj /CN=localhost"
    subprocess.run(
        [
            *command.split(),
            "-addext",
            "subjectAltName=DNS:localhost",
            "-keyout",
            folder / "key",
            "-out",
            folder / "cert",
        ],
        check=True,
        capture_output=True,
    )
    (folder / "both").write_text((folder / "key").read_text() + (folder / "cert").read_text())
    return folder / "both"


def _tcp_pair() -> tuple[socket.socket, socket.socket]:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        one = socket.create_connection(listener.getsockname())
        return one, listener.accept()[0]


@asynccontextmanager
async def _pair(kind: str, certificate: Path) -> AsyncIterator[tuple[IOStream, IOStream]]:
    if kind == "memory":
        client, server = memory_streams()
    else:
        one, two = socket.socketpair() if kind == "unix" else _tcp_pair()
        client, server = IOStream(one), IOStream(two)
    if kind == "tls":
        trust = ssl.create_default_context(cafile=str(certificate))
        options = {"certfile": str(certificate)}
        client, server = await asyncio.gather(
            client.start_tls(False, trust, "localhost"), server.start_tls(True, options)
        )
    try:
        yield client, server
    finally:
        client.close()
        server.close()


@pytest.fixture(params=["tcp", "unix", "tls", "memory"])
def run(request: pytest.FixtureRequest, certificate: Path) -> Callable[[Scenario], None]:
    def run_one(scenario: Scenario) -> None:
        async def whole() -> None:
            async with _pair(request.param, certificate) as (client, server):
                async with asyncio.timeout(20):
                    await scenario(client, server)

        asyncio.run(whole())

    return run_one


Run = Callable[[Scenario], None]


def test_reads_take_what_they_ask_for(run: Run) -> None:
    async def scenario(client: IOStream, server: IOStream) -> None:
        await client.write(b"line\r\nabc123 rest!")
        assert await server.read_until(b"\r\n") == b"line\r\n"
        assert await server.read_until_regex(rb"[0-9]+ ") == b"abc123 "
        assert await server.read_bytes(4) == b"rest"
        assert await server.read_bytes(100, partial=True) == b"!"

    run(scenario)


def test_callbacks_as_in_2011(run: Run) -> None:
    async def scenario(client: IOStream, server: IOStream) -> None:
        seen: list[object] = []
        closed = asyncio.Event()
        server.set_close_callback(closed.set)
        server.read_until(b"\n", lambda data: (seen.append(data), server.read_until_close(seen.append)))
        client.write(b"one\ntwo", lambda: (seen.append("sent"), client.close()))
        await closed.wait()
        await asyncio.sleep(0)
        assert sorted(map(str, seen)) == sorted(map(str, ["sent", b"one\n", b"two"]))
        assert server.closed() and client.closed() and not server.reading()

    run(scenario)


def test_more_than_the_buffer_holds_ends_the_stream(run: Run) -> None:
    async def scenario(client: IOStream, server: IOStream) -> None:
        server.max_buffer_size = 100_000
        client.write(b"x" * 1_000_000)
        with pytest.raises(StreamClosedError) as caught:
            await server.read_until(b"end")
        assert isinstance(caught.value.real_error, StreamBufferFullError)
        assert server.closed()

    run(scenario)


def test_nodelay(run: Run) -> None:
    async def scenario(client: IOStream, server: IOStream) -> None:
        for value in (True, False):
            client.set_nodelay(value)
            if client.socket.family == socket.AF_INET:
                assert bool(client.socket.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)) is value

    run(scenario)


def test_large_data_both_ways_with_back_pressure(run: Run) -> None:
    async def scenario(client: IOStream, server: IOStream) -> None:
        data = bytes(range(256)) * 20_000
        sent = asyncio.gather(client.write(data), server.write(data))
        got = await asyncio.gather(client.read_bytes(len(data)), server.read_bytes(len(data)))
        await sent
        assert got == [data, data] and not client.writing()

    run(scenario)


def test_end_fails_the_read_that_waits_and_calls_the_close_callback_once(run: Run) -> None:
    async def scenario(client: IOStream, server: IOStream) -> None:
        calls: list[int] = []
        server.set_close_callback(lambda: calls.append(1))
        waiting = server.read_until(b"\n")
        client.close()
        with pytest.raises(StreamClosedError):
            await waiting
        server.close()
        await asyncio.sleep(0.01)
        assert calls == [1]
        with pytest.raises(StreamClosedError):
            server.write(b"x")
        with pytest.raises(StreamClosedError):
            await server.read_bytes(1)

    run(scenario)


def test_read_until_close_gives_what_came(run: Run) -> None:
    async def scenario(client: IOStream, server: IOStream) -> None:
        await client.write(b"all of it")
        client.close()
        assert await server.read_until_close() == b"all of it"
        assert await server.read_until_close() == b""

    run(scenario)


def test_limits(run: Run) -> None:
    async def scenario(client: IOStream, server: IOStream) -> None:
        await client.write(b"x" * 100)
        with pytest.raises(UnsatisfiableReadError):
            await server.read_until(b"\n", max_bytes=50)
        assert server.closed()

    run(scenario)


def test_only_one_read_at_a_time(run: Run) -> None:
    async def scenario(client: IOStream, server: IOStream) -> None:
        waiting = server.read_bytes(1)
        with pytest.raises(Exception, match="one read at a time"):
            server.read_bytes(1)
        await client.write(b"x")
        assert await waiting == b"x"

    run(scenario)


def test_connect_and_refusal() -> None:
    async def scenario() -> None:
        with socket.socket() as listener:
            listener.bind(("127.0.0.1", 0))
            listener.listen()
            address = listener.getsockname()
            stream = IOStream(socket.socket())
            called = asyncio.Event()
            assert await stream.connect(address, called.set) is stream
            await called.wait()
            stream.close()
        refused = IOStream(socket.socket())
        with pytest.raises(StreamClosedError):
            await refused.connect(address)
        assert refused.closed() and isinstance(refused.error, ConnectionRefusedError)

    asyncio.run(scenario())


def test_item_131_the_seed_s_fetch_of_a_page(certificate: Path) -> None:
    """The example of the seed's page on iostream: connect, send, read the head, read the body, all with callbacks."""

    async def scenario() -> None:
        async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await reader.readuntil(b"\r\n\r\n")
            writer.write(b"HTTP/1.0 200 OK\r\nContent-Length: 5\r\n\r\nhello")
            await writer.drain()
            writer.close()

        server = await asyncio.start_server(answer, "127.0.0.1", 0)
        result: asyncio.Future[bytes] = asyncio.get_running_loop().create_future()
        stream = IOStream(socket.socket(socket.AF_INET, socket.SOCK_STREAM, 0))

        def send_request() -> None:
            stream.write(b"GET / HTTP/1.0\r\nHost: x\r\n\r\n")
            stream.read_until(b"\r\n\r\n", on_headers)

        def on_headers(data: bytes) -> None:
            headers = dict(line.split(b":", 1) for line in data.split(b"\r\n")[1:] if b":" in line)
            stream.read_bytes(int(headers[b"Content-Length"]), on_body)

        def on_body(data: bytes) -> None:
            stream.close()
            result.set_result(data)

        stream.connect(server.sockets[0].getsockname(), send_request)
        assert await result == b"hello"
        server.close()
        await server.wait_closed()

    asyncio.run(scenario())
