import asyncio

import pytest

from framework.httpserver import Connection, HTTPServer
from tests.support.memory import MemoryTransport

GET = b"GET / HTTP/1.1\r\nHost: h\r\n\r\n"
ANSWER = b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n" + b"x" * 100_000


@pytest.fixture
def loop():
    loop = asyncio.new_event_loop()
    yield loop
    loop.close()


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
