import asyncio
import gc
import logging
import math
import tracemalloc

import pytest

from framework.clock import coarse
from framework.httpserver import Connection, HTTPServer
from framework.ioloop import turns
from tests.support.memory import MemoryTransport, connect
from tests.support.rawhttp import hello
from tests.support.streaming import Streaming

GET = b"GET / HTTP/1.1\r\nHost: h\r\n\r\n"
POST = b"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 5\r\n\r\n"


@pytest.mark.parametrize(
    "head, is_kept",
    [
        (b"GET / HTTP/1.1\r\nHost: h\r\n\r\n", True),
        (b"GET / HTTP/1.1\r\nHost: h\r\nConnection: keep-alive, Close\r\n\r\n", False),
        (b"GET / HTTP/1.0\r\n\r\n", False),
        (b"GET / HTTP/1.0\r\nConnection: Keep-Alive\r\n\r\n", True),
        (b"GET / HTTP/1.0\r\nHost: h\r\nConnection: keep-alive\r\n\r\n", True),
    ],
)
def test_keep_alive(loop, head, is_kept):
    connection, transport = connect(loop)
    connection.data_received(head)
    assert transport.sent.startswith(b"HTTP/1.1 200 OK")
    assert transport.is_closed is not is_kept


def test_no_keep_alive_and_the_limit_of_requests(loop):
    for options in ({"no_keep_alive": True}, {"max_requests_per_connection": 1}):
        connection, transport = connect(loop, **options)
        connection.data_received(GET)
        assert b"Connection: close" in transport.sent and transport.is_closed


@pytest.mark.parametrize(
    "head, options, status",
    [
        (b"GET /" + b"x" * 20_000, {}, 414),
        (b"GET / HTTP/1.1\r\nHost: h\r\n" + b"A: b\r\n" * 300, {}, 431),
        (b"GET / HTTP/1.1\r\nHost: h\r\nA: " + b"b" * 70_000, {}, 431),
        (b"GET / HTTP/2.0\r\n", {}, 505),
        (b"GET /12345 HTTP/1.1\r\nHost: h\r\n\r\n", {"max_target_bytes": 5}, 414),
        (b"GET / HTTP/1.1\r\nHost: h\r\nA:\r\n\r\n", {"max_header_fields": 1}, 431),
        (b"GET / HTTP/1.1\r\nHost: h\r\nA:\r\n\r\n", {"max_head_bytes": 20}, 431),
        (b"GET / HTTP/1.1\r\n\r\n", {}, 400),
        (b"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 11\r\n\r\n", {"max_body_bytes": 10}, 413),
        (b"CONNECT h:1 HTTP/1.1\r\nHost: h\r\n\r\n", {}, 501),
        (b"POST / HTTP/1.1\r\nHost: h\r\nExpect: x\r\n\r\n", {}, 417),
    ],
)
def test_refusals(loop, head, options, status, caplog):
    caplog.set_level(logging.INFO)
    connection, transport = connect(loop, **options)
    connection.data_received(head)
    assert transport.sent.startswith(b"HTTP/1.1 %d " % status) and transport.has_eof
    assert len(caplog.records) == 1 and caplog.records[0].levelname == "INFO"
    connection.data_received(b"more of it")
    connection.expire()
    assert transport.is_closed


def test_continue_is_sent_only_when_the_body_is_wanted_and_not_there(loop):
    expecting = POST.replace(b"\r\n\r\n", b"\r\nExpect: 100-continue\r\n\r\n")
    connection, transport = connect(loop)
    connection.data_received(expecting)
    assert transport.sent == b"HTTP/1.1 100 Continue\r\n\r\n"
    connection.data_received(b"12345")
    assert transport.sent.count(b"HTTP/1.1 ") == 2
    connection.data_received(expecting + b"12345")
    assert transport.sent.count(b"HTTP/1.1 100") == 1 and transport.sent.count(b"HTTP/1.1 200") == 2
    connection, transport = connect(loop, max_body_bytes=1)
    connection.data_received(expecting)
    assert transport.sent.startswith(b"HTTP/1.1 413 ")


def test_who_still_sends_after_a_refusal_is_listened_to_but_not_without_end(loop, monkeypatch):
    monkeypatch.setattr(coarse, "now", 100.0)
    connection, _ = connect(loop, linger_s=2, max_linger_s=5)
    connection.data_received(b"GET / HTTP/2.0\r\n")
    deadlines = [connection.deadline]
    for now in (101.0, 102.5, 104.0):
        monkeypatch.setattr(coarse, "now", now)
        connection.data_received(b"more")
        deadlines.append(connection.deadline)
    assert deadlines == [102.0, 103.0, 104.5, 105.0]


def test_timeouts_answer_408_or_close_silently(loop):
    for data, expected in [(b"", b""), (b"GET / HT", b"HTTP/1.1 408 "), (POST + b"12", b"HTTP/1.1 408 ")]:
        connection, transport = connect(loop)
        connection.data_received(data) if data else None
        connection.expire()
        assert transport.sent[:13] == expected
        assert transport.is_closed or transport.has_eof


def test_hold_starts_nothing_and_resume_goes_on(loop):
    connection, transport = connect(loop)
    connection._server.hold()
    connection.data_received(GET)
    connection.expire()
    assert transport.sent == b"" and not transport.is_closed
    connection._server.resume()
    assert transport.sent.startswith(b"HTTP/1.1 200")


def test_close_callback_is_called_once_and_only_before_finish(loop):
    calls = []

    def application(request):
        request.connection.set_close_callback(lambda: calls.append(request.path))

    connection, transport = connect(loop, application)
    connection.data_received(GET)
    assert connection.eof_received() and calls == ["/"]
    transport.close()
    assert calls == ["/"]
    connection, transport = connect(loop, application)
    connection.data_received(GET)
    connection.finish()
    transport.close()
    assert calls == ["/"]


def test_half_closed_client_gets_its_answer(loop):
    requests = []
    connection, transport = connect(loop, requests.append)
    connection.data_received(GET)
    assert connection.eof_received()
    hello(requests[0])
    assert transport.sent.startswith(b"HTTP/1.1 200") and transport.is_closed


def test_half_closed_client_gets_all_its_pipelined_answers(loop):
    requests = []
    connection, transport = connect(loop, requests.append)
    connection.data_received(GET + POST + b"12345" + GET)
    assert connection.eof_received()
    for number in range(3):
        assert not transport.is_closed and len(requests) == number + 1
        hello(requests[number])
    assert transport.sent.count(b"HTTP/1.1 200") == 3 and transport.is_closed
    assert transport.sent.count(b"Connection: close") == 1


def test_half_a_head_and_the_end_is_no_request(loop):
    connection, _ = connect(loop)
    connection.data_received(b"GET / HT")
    assert not connection.eof_received()


def test_hold_starts_no_request_whose_body_was_under_way(loop):
    connection, transport = connect(loop)
    connection.data_received(POST + b"12")
    connection._server.hold()
    connection.data_received(b"345")
    connection.expire()
    assert transport.sent == b""
    connection._server.resume()
    assert transport.sent.startswith(b"HTTP/1.1 200")


def test_detach_hands_over_the_socket_and_what_was_read_ahead(loop):
    taken = []
    connection, transport = connect(loop, lambda request: taken.append(request.connection.detach()))
    connection.data_received(GET + b"frames")
    assert taken == [(transport, b"frames")]
    assert connection.closed and connection._server.connections == 1


@pytest.mark.parametrize("times", [1, 2])  # the second goes the plain way
def test_who_waits_for_the_application_is_not_idle(loop, times):
    calls = [hello] * times + [lambda request: connection._server.hold()]
    connection, _ = connect(loop, lambda request: calls.pop(0)(request))
    for _ in range(times):
        connection.data_received(GET)
        assert connection.deadline != math.inf
    connection.data_received(GET)
    assert connection.deadline == math.inf and not calls


@pytest.mark.parametrize("times", [0, 1])
def test_a_client_that_reads_nothing_of_a_long_answer_is_cut_in_the_end(loop, times):
    calls = [hello] * times + [lambda request: request.write(b"x" * 100_000)]  # and more would follow
    connection, transport = connect(loop, lambda request: calls.pop(0)(request), write_timeout_s=60)
    for _ in range(times):
        connection.data_received(GET)
    transport.is_slow = True
    connection.data_received(GET)
    assert connection.deadline == pytest.approx(coarse.now + 60, abs=5)
    connection.expire()
    connection.expire()
    assert transport.is_closed


def test_no_reference_cycles(loop):
    """Everything that a connection or request makes goes when it is done with, without the collector."""
    servers = []

    async def asynchronous(request):
        await asyncio.sleep(0)
        hello(request)

    async def main():
        for application in (hello, asynchronous, Streaming()):
            connection, transport = connect(loop, application)
            servers.append(connection._server)
            for _ in range(50):
                connection.data_received(GET)
                connection.data_received(POST + b"12345")
                for _ in range(4):
                    await asyncio.sleep(0)
            assert transport.sent.count(b"HTTP/1.1 200 OK") == 100
            connection.data_received(b"nonsense\r\n\r\n")
            transport.close()
            transport.protocol = None
            del connection, transport

    # Modules and caches are loaded by then.
    loop.run_until_complete(main())
    gc.collect()
    gc.disable()
    try:
        loop.run_until_complete(main())
        assert gc.collect() == 0
    finally:
        gc.enable()


def test_memory_of_an_idle_connection(loop):
    server = HTTPServer(hello, io_loop=loop)
    transports = []
    for _ in range(1000):
        transports.append(MemoryTransport(None))
    tracemalloc.start()
    before, _ = tracemalloc.get_traced_memory()
    connections = []
    for transport in transports:
        connection = Connection(server)
        connection.connection_made(transport)
        transport.protocol = connection
        connection.data_received(GET)
        transport.sent = b""
        connections.append(connection)
    after, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert (after - before) / 1000 < 1500


def test_all_who_ask_too_much_share_one_turn_of_each_round(loop, monkeypatch):
    """What fifty clients have pipelined is answered piece by piece, so that others need not wait for all of it."""
    monkeypatch.setattr(turns, "SLICE_S", 0)
    asked = []

    def count(request):
        asked.append(request)
        hello(request)

    server = HTTPServer(count, io_loop=loop)
    connections = [Connection(server) for _ in range(50)]
    for connection in connections:
        connection.connection_made(MemoryTransport(connection))
        connection.data_received(GET * 500)
    most = max_in_a_round(loop, asked)
    assert len(asked) == 50 * 500
    assert 0 < most <= 50
    for connection in connections:
        connection.abort()


def max_in_a_round(loop, asked):
    """The most requests that were answered in one round of the loop, until there are none left."""
    most, before = 0, -1
    while len(asked) > before:
        before = len(asked)
        loop.call_soon(loop.stop)
        loop.run_forever()
        most = max(most, len(asked) - before)
    return most
