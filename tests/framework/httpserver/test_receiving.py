import asyncio

import pytest

from framework.clock import coarse
from framework.ioloop import turns
from tests.support.memory import connect
from tests.support.rawhttp import hello
from tests.support.streaming import Streaming

GET = b"GET / HTTP/1.1\r\nHost: h\r\n\r\n"
POST = b"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 5\r\n\r\n"


def test_streamed_body(loop):
    application = Streaming()
    connection, transport = connect(loop, application, max_body_bytes=1)
    connection.data_received(POST + b"12")
    connection.data_received(b"345" + GET)
    assert application.events == [b"12", b"345", "complete"]
    assert transport.sent.count(b"HTTP/1.1 200 OK") == 2 and b"Connection: close" not in transport.sent


def test_streamed_body_with_back_pressure(loop):
    application = Streaming()
    application.gate = loop.create_future()
    connection, transport = connect(loop, application)

    async def main():
        connection.data_received(POST + b"12")
        assert not transport.is_reading
        connection.expire()
        connection.data_received(b"3")
        assert application.events == [b"12"]
        gate, application.gate = application.gate, None
        gate.set_result(None)
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        assert application.events == [b"12", b"3"] and transport.is_reading

    loop.run_until_complete(main())


def test_answer_before_the_streamed_body_is_the_last(loop):
    connection, transport = connect(loop, Streaming(answer_early=True))
    connection.data_received(POST + b"1")
    assert b"Connection: close" in transport.sent and transport.has_eof and not transport.is_closed


def test_streamed_body_that_breaks_off(loop):
    application = Streaming()
    connection, transport = connect(loop, application)
    connection.data_received(POST + b"12")
    transport.close()
    assert application.events == [b"12", "lost"]
    connection, transport = connect(loop, application)
    connection.data_received(b"POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nxx")
    assert application.events[2:] == ["lost"]
    assert transport.sent.startswith(b"HTTP/1.1 400 ")


def test_a_client_that_sends_and_reads_nothing_is_cut_in_the_end(loop):
    class Echo(Streaming):
        def data_received(self, chunk):
            self.request.write(chunk * 20_000)

        def body_complete(self):
            """Has more to write, but not before this is read."""

    connection, transport = connect(loop, Echo())
    transport.is_slow = True
    connection.data_received(POST + b"12345")
    assert connection.deadline == pytest.approx(coarse.now + 60, abs=5)
    connection.expire()
    connection.expire()
    assert transport.is_closed


def test_a_flood_of_tiny_chunks_takes_turns_too(loop, monkeypatch):
    monkeypatch.setattr(turns, "SLICE_S", 0)
    seen = []
    connection, transport = connect(loop, lambda request: seen.append(request.body) or hello(request))
    head = b"POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n"
    connection.data_received(head + b"1\r\nx\r\n" * 5000 + b"0\r\n\r\n")
    for _ in range(3):
        assert not seen
        loop.call_soon(loop.stop)
        loop.run_forever()
    for _ in range(5):
        loop.call_soon(loop.stop)
        loop.run_forever()
    assert seen == [b"x" * 5000]
    transport.close()
