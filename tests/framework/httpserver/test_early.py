import asyncio
import contextvars
import gc
import socket
import struct
import tempfile

import pytest
import uvloop

from framework.httpserver.early import EarlyTransport, is_sole_request
from tests.support.rawhttp import connected, hello, serving

OLD = b"GET /%d HTTP/1.0\r\n\r\n"
LAST = b"GET /%d HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n"
LARGE = b"x" * 20_000_000


@pytest.fixture(params=[asyncio.run, uvloop.run], ids=["asyncio", "uvloop"])
def run(request):
    return request.param


@pytest.mark.parametrize(
    "data, is_sole",
    [
        (OLD % 1, True),
        (LAST % 1, True),
        (b"GET / HTTP/1.0\r\nconnection:Close\r\n\r\n", True),
        (b"GET / HTTP/1.0\r\nConnection: Keep-Alive\r\n\r\n", False),
        (b"GET / HTTP/1.1\r\nHost: h\r\n\r\n", False),
        (b"GET / HTTP/1.1\r\nHost: h\r\nConnection: close, Upgrade\r\n\r\n", False),
        (b"GET / HTTP/1.0\r\nHost: h\r\n", False),
        (b"", False),
    ],
)
def test_only_what_ends_the_connection_is_sole(data, is_sole):
    assert is_sole_request(data) == is_sole


def spied(application, seen):
    """The application, after noting how it was asked."""

    def call(request):
        seen.append(isinstance(request.connection._transport, EarlyTransport))
        return application(request)

    return call


async def ask_waiting(server, port, data):
    """The whole answer to bytes that are there when the connection is accepted."""
    server.hold()
    with socket.create_connection(("127.0.0.1", port)) as client:
        client.setblocking(False)
        client.sendall(data)
        server.resume()
        received = b""
        while piece := await asyncio.wait_for(asyncio.get_running_loop().sock_recv(client, 1 << 20), 10):
            received += piece
        return received


async def until_empty(server):
    while server.connections:
        await asyncio.sleep(0)


@pytest.mark.parametrize("data", [OLD, LAST])
def test_answer_and_end_without_a_transport(run, data):
    seen = []

    async def main():
        async with serving(spied(hello, seen)) as server:
            for number in range(3):
                received = await ask_waiting(server, server.port, data % number)
                assert received.startswith(b"HTTP/1.1 200") and received.endswith(b"GET /%d 0" % number)
                assert server.connections == 0 and len(server.wheel._slots) == 0

    run(main())
    assert seen == [True] * 3


def test_kept_connections_are_none_of_it(run):
    seen = []

    async def main():
        async with serving(spied(hello, seen)) as server, connected(server.port) as client:
            for number in range(2):
                assert (await client.ask(b"GET /%d HTTP/1.1\r\nHost: h\r\n\r\n" % number))[2] == b"GET /%d 0" % number
            assert server.connections == 1

    run(main())
    assert seen == [False] * 2


def test_an_application_that_waits_gets_a_transport(run):
    closed = []

    async def application(request):
        request.connection.set_close_callback(lambda: closed.append(request.uri))
        request.connection.write(b"HTTP/1.1 200 OK\r\n\r\none ")
        await asyncio.sleep(0)
        assert not request.connection.closed
        request.connection.write(b"two ")
        for _ in range(5):
            await asyncio.sleep(0)
        request.connection.write(b"three")
        assert server_box[0].connections == 1
        request.connection.finish()

    server_box = []

    async def main():
        async with serving(application) as server:
            server_box.append(server)
            assert (await ask_waiting(server, server.port, OLD % 1)).endswith(b"\r\n\r\none two three")
            await until_empty(server)

    run(main())
    assert closed == []


def test_the_client_leaves_while_the_application_waits(run):
    async def main():
        left = asyncio.Event()

        async def application(request):
            request.connection.set_close_callback(left.set)
            await left.wait()
            request.connection.finish()

        async with serving(application) as server:
            server.hold()
            client = socket.create_connection(("127.0.0.1", server.port))
            client.sendall(OLD % 1)
            server.resume()
            while not server.connections:
                await asyncio.sleep(0)
            client.close()
            await asyncio.wait_for(left.wait(), 5)
            await until_empty(server)

    run(main())


def test_client_gone_before_its_answer(run):
    clients = []
    seen = []

    def application(request):
        clients.pop().close()
        hello(request)

    async def main():
        async with serving(spied(application, seen)) as server:
            server.hold()
            clients.append(socket.create_connection(("127.0.0.1", server.port)))
            # Closing resets the connection.
            clients[0].setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            clients[0].sendall(OLD % 1)
            server.resume()
            while not seen:
                await asyncio.sleep(0)
            await until_empty(server)

    run(main())
    assert seen == [True]


def test_large_answer_to_a_slow_reader(run):
    seen = []

    def application(request):
        request.connection.answer(b"HTTP/1.1 200 OK\r\n\r\n" + LARGE)

    async def main():
        async with serving(spied(application, seen)) as server:
            assert (await ask_waiting(server, server.port, OLD % 1)) == b"HTTP/1.1 200 OK\r\n\r\n" + LARGE
            await until_empty(server)

    run(main())
    assert seen == [True]


def test_whoever_streams_is_told_to_wait(run):
    waited = []

    async def application(request):
        request.connection.write(b"HTTP/1.1 200 OK\r\n\r\n")
        for _ in range(200):
            request.connection.write(LARGE[:100_000])
            waiting = request.connection.drained()
            waited.append(waiting is not None)
            if waiting is not None:
                await waiting
        request.connection.finish()

    async def main():
        async with serving(application) as server:
            assert (await ask_waiting(server, server.port, OLD % 1)).endswith(b"\r\n\r\n" + LARGE)

    run(main())
    assert waited[0]


@pytest.mark.parametrize("head", [b"HTTP/1.1 200 OK\r\n\r\n", b""])
def test_file_after_what_was_written(run, head):
    async def main():
        async def application(request):
            if head:
                request.connection.write(head)
            await request.connection.send_file(file, 0, len(LARGE))
            request.connection.finish()

        async with serving(application) as server:
            assert (await ask_waiting(server, server.port, OLD % 1)) == head + LARGE

    with tempfile.TemporaryFile() as file:
        file.write(LARGE)
        file.flush()
        run(main())


def test_detached_transport_is_of_use_at_once_and_later(run):
    class Other(asyncio.Protocol):
        def data_received(self, data):
            transports[0].write(b"got " + data)
            transports[0].close()

    transports = []

    def application(request):
        transport, ahead = request.connection.detach()
        assert ahead == b"" and transport.get_extra_info("peername")[0] == "127.0.0.1"
        transport.set_protocol(Other())
        transport.write(b"hi ")
        transports.append(transport)

    async def main():
        async with serving(application) as server:
            server.hold()
            async with connected(server.port) as client:
                client.send(OLD % 1)
                await asyncio.sleep(0)
                server.resume()
                assert await client.reader.readexactly(3) == b"hi "
                client.send(b"more")
                assert await client.receive_all() == b"got more"
            while not transports[0].is_closing():
                await asyncio.sleep(0)

    run(main())


def test_refusal_is_not_overtaken_by_a_reset(run):
    async def main():
        async with serving(hello) as server:
            data = b"GET / HTTP/1.0\r\nBad Header: x\r\n\r\n"
            assert (await ask_waiting(server, server.port, data)).startswith(b"HTTP/1.1 400")
            behind = OLD % 1 + b"y" * 100_000 + b"\r\n\r\n"
            assert (await ask_waiting(server, server.port, behind)).endswith(b"GET /1 0")

    run(main())


def test_exception_is_a_500(run, caplog):
    def application(request):
        raise KeyError("broken")

    async def main():
        async with serving(application) as server:
            assert (await ask_waiting(server, server.port, OLD % 1)).startswith(b"HTTP/1.1 500")
            await until_empty(server)

    run(main())
    caplog.clear()


def test_aborted_connection_says_nothing(run):
    async def main():
        async with serving(lambda request: (request.connection.write(b"x"), request.connection.abort())[1]) as server:
            assert await ask_waiting(server, server.port, OLD % 1) == b""
            await until_empty(server)

    run(main())


def test_context_of_one_request_is_not_that_of_the_next(run):
    user = contextvars.ContextVar("user", default="nobody")
    users = []

    def application(request):
        users.append(user.get())
        user.set(request.uri)
        hello(request)

    async def main():
        async with serving(application) as server:
            for number in range(2):
                await ask_waiting(server, server.port, OLD % number)

    run(main())
    assert users == ["nobody", "nobody"]


def test_limit_of_connections_holds(run):
    async def main():
        async with serving(hello, max_connections=1) as server, connected(server.port) as idle:
            assert (await idle.ask(b"GET /1 HTTP/1.1\r\nHost: h\r\n\r\n"))[0] == 200
            assert (await ask_waiting(server, server.port, OLD % 2)).startswith(b"HTTP/1.1 503")

    run(main())


def test_hold_starts_nothing_and_drain_serves_what_waits(run):
    seen = []

    async def main():
        async with serving(spied(hello, seen)) as server:
            server.hold()
            async with connected(server.port) as client:
                client.send(OLD % 1)
                for _ in range(20):
                    await asyncio.sleep(0)
                assert seen == []
                draining = asyncio.create_task(server.drain(grace_s=0))
                assert (await client.receive_all()).endswith(b"GET /1 0")
                await draining

    run(main())
    assert len(seen) == 1


def test_nothing_is_left_behind(run):
    async def waits(request):
        await asyncio.sleep(0)
        hello(request)

    async def main():
        for application in (hello, waits):
            async with serving(application) as server:
                await ask_waiting(server, server.port, OLD % 1)
                await until_empty(server)
        gc.collect()
        gc.disable()
        try:
            async with serving(hello) as server:
                for number in range(20):
                    await ask_waiting(server, server.port, OLD % number)
                assert not [one for one in gc.get_objects() if type(one) is EarlyTransport]
        finally:
            gc.enable()

    run(main())
