import asyncio
import ssl

import pytest
import uvloop

from framework.httpserver import Connection, HTTPServer
from tests.support.certificates import Authority
from tests.support.memory import MemoryTransport
from tests.support.rawhttp import connected, hello, serving

GET = b"GET / HTTP/1.1\r\nHost: h\r\n\r\n"
ANSWER = b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n" + b"x" * 100_000


def connect(loop, application, is_slow=True):
    server = HTTPServer(application, io_loop=loop, max_pipelined_bytes=1000)
    connection = Connection(server)
    transport = MemoryTransport(connection, is_slow=is_slow)
    connection.connection_made(transport)
    return connection, transport


def test_no_request_is_started_while_answers_are_not_read(loop):
    started = []

    def application(request):
        started.append(request)
        request.connection.answer(ANSWER)

    connection, transport = connect(loop, application)
    for _ in range(100):
        connection.data_received(GET * 10)
        if not transport.is_reading:
            break
    assert len(started) == 1 and not transport.is_reading
    pending = len(connection._input)
    assert pending < 1000 + 10 * len(GET)
    while transport.unread:
        transport.take(50_000)
    assert len(started) == 1 + pending // len(GET) and transport.is_reading


def test_writer_waits_for_a_slow_reader(loop):
    requests = []
    connection, transport = connect(loop, requests.append)
    connection.data_received(GET)
    assert connection.drained() is None
    connection.write(b"x" * 100_000)
    waiting = connection.drained()
    assert not waiting.done()
    transport.take(100_000)
    assert waiting.done() and connection.drained() is None


def test_writer_hears_that_the_client_is_gone(loop):
    connection, transport = connect(loop, lambda request: None)
    connection.data_received(GET)
    connection.write(b"x" * 100_000)
    waiting = connection.drained()
    transport.close()
    assert isinstance(waiting.exception(), ConnectionResetError) and connection.closed
    connection.write(b"dropped")


def test_reader_without_progress_is_cut(loop):
    connection, transport = connect(loop, lambda request: None)
    connection.data_received(GET)
    connection.write(b"x" * 100_000)
    connection.expire()
    transport.take(1000)
    connection.expire()
    assert not transport.is_closed
    connection.expire()
    assert transport.is_closed


@pytest.mark.parametrize("run", [asyncio.run, uvloop.run], ids=["asyncio", "uvloop"])
def test_what_the_kernel_takes_and_what_it_does_not_stay_in_order(run):
    pieces = [bytes([65 + number % 26]) * (1 if number % 3 else 6_000_000) for number in range(9)]
    directly = []

    async def application(request):
        connection = request.connection
        connection.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % sum(map(len, pieces)))
        for piece in pieces:
            directly.append(connection._is_direct)
            connection.write(piece)
            await (connection.drained() or asyncio.sleep(0))
        connection.finish()

    async def main():
        async with serving(application) as server, connected(server.port) as client:
            for _ in range(2):
                assert (await client.ask(GET))[2] == b"".join(pieces)

    run(main())
    assert True in directly and False in directly  # both ways were gone, and back again


def test_nothing_goes_around_tls(tmp_path):
    ways = []

    def application(request):
        ways.append(request.connection._socket)
        hello(request)

    async def main():
        authority = Authority(tmp_path)
        async with serving(application, ssl_options=authority.context("localhost")) as server:
            trusting = ssl.create_default_context(cafile=authority.file)
            async with connected(server.port, ssl=trusting, server_hostname="localhost") as client:
                for _ in range(2):
                    assert (await client.ask(GET))[0] == 200

    asyncio.run(main())
    assert ways == [None, None]


@pytest.mark.parametrize("run", [asyncio.run, uvloop.run], ids=["asyncio", "uvloop"])
def test_nothing_is_read_beyond_the_first_bytes_while_their_receiver_is_busy(run):
    class Receiver:
        def __init__(self):
            self.sizes = []
            self.is_ready = asyncio.Event()

        def data_received(self, chunk):
            self.sizes.append(len(chunk))
            return self.is_ready.wait()

        def body_complete(self):
            self.request.connection.answer(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")

        def connection_lost(self):
            pass

    class Application:
        def __call__(self, request):
            raise AssertionError

        def body_receiver(self, request):
            receiver.request = request
            request.connection.set_max_body_size(10_000_000)
            return receiver

    receiver = None

    async def main():
        nonlocal receiver
        receiver = Receiver()
        async with serving(Application()) as server:
            server.hold()
            async with connected(server.port) as client:
                client.send(b"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 8000000\r\n\r\n" + b"x" * 1_000_000)
                await asyncio.sleep(0)
                server.resume()
                while not receiver.sizes:
                    await asyncio.sleep(0)
                client.send(b"x" * 7_000_000)
                for _ in range(200):
                    await asyncio.sleep(0)
                (connection,) = server._connections
                assert len(receiver.sizes) == 1 and len(connection._input) < 1_000_000
                receiver.is_ready.set()
                assert (await client.receive_response())[0] == 200
                assert sum(receiver.sizes) == 8_000_000

    run(main())
