"""An open websocket on a transport of memory."""

import asyncio
import logging

import pytest

from framework.frames import CLOSE, PING, PONG, TEXT, Close, Decoder, Message, Ping, Pong, encode_close, encode_frame
from framework.ioloop import turns
from framework.websocket import Limits, WebSocketClosedError, WebSocketConnection
from tests.support.memory import MemoryTransport


class Taker:
    def __init__(self):
        self.seen = []
        self.gate = None

    def take_open(self):
        self.seen.append("open")

    async def take_message(self, data):
        self.seen.append(data)
        if data == "fail":
            raise LookupError("mine")
        if self.gate is not None:
            await self.gate

    def take_ping(self, data):
        self.seen.append(("ping", data))

    def take_pong(self, data):
        self.seen.append(("pong", data))

    def take_end(self):
        self.seen.append("end")

    def take_error(self, error):
        self.seen.append(type(error))


class Transport(MemoryTransport):
    """Tells the protocol of its end, as real ones do."""

    def set_protocol(self, protocol):
        self.protocol = protocol

    def close(self):
        if not self.is_closed:
            super().close()
            asyncio.get_running_loop().call_soon(self.protocol.connection_lost, None)

    abort = close


def with_socket(use, limits=None, is_slow=False):
    async def run():
        taker = Taker()
        limits_ = limits or Limits()
        socket = WebSocketConnection(taker, False, limits_, Decoder(False, limits_.max_message_bytes), None)
        transport = Transport(socket, is_slow=is_slow)
        socket.start(transport, b"")
        await use(socket, transport, taker)
        transport.close()
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        assert taker.seen.count("end") == 1
        return taker.seen, list(Decoder(True, 10_000_000).feed(transport.sent))

    return asyncio.run(run())


def masked(opcode, payload):
    return encode_frame(opcode, payload, is_masked=True)


def test_messages_in_order_and_pings_at_once():
    async def use(socket, transport, taker):
        taker.gate = asyncio.get_running_loop().create_future()
        socket.data_received(masked(TEXT, b"a") + masked(TEXT, b"b") + masked(PING, b"p") + masked(PONG, b"q"))
        assert taker.seen == ["open", "a", ("ping", b"p"), ("pong", b"q")]
        taker.gate.set_result(None)
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        assert taker.seen[-1] == "b"

    assert with_socket(use)[1] == [Pong(b"p")]


def test_fast_sender_waits():
    async def use(socket, transport, taker):
        taker.gate = asyncio.get_running_loop().create_future()
        for _ in range(30):
            socket.data_received(masked(TEXT, b"a"))
        assert not transport.is_reading
        taker.gate.set_result(None)
        for _ in range(3):
            await asyncio.sleep(0)
        assert transport.is_reading
        assert taker.seen.count("a") == 30

    with_socket(use)


def test_a_flood_of_tiny_messages_takes_turns(monkeypatch):
    monkeypatch.setattr(turns, "SLICE_S", 0)

    async def use(socket, transport, taker):
        socket.data_received(masked(TEXT, b"a") * 1000 + masked(PING, b"p") + masked(TEXT, b"\xff"))
        before = 0
        while transport.sent == b"":
            seen = taker.seen.count("a")
            assert seen - before <= 64
            assert not transport.is_reading
            before = seen
            await asyncio.sleep(0)
        assert ("ping", b"p") in taker.seen
        assert taker.seen.count("a") == 1000

    assert with_socket(use)[1] == [Pong(b"p"), Close(1007, "text: expected UTF-8")]


def test_who_does_not_read_is_not_answered():
    """Pongs and echoes to who never reads them would pile up otherwise."""

    async def use(socket, transport, taker):
        for _ in range(20):
            socket.data_received(masked(PING, b"x" * 100) * 1000)
            for _ in range(20):
                await asyncio.sleep(0)
        assert not transport.is_reading
        assert transport.high <= transport.unread < transport.high + 64 * 110
        for _ in range(2000):
            transport.take(transport.unread)
            await asyncio.sleep(0)
        assert transport.is_reading
        assert transport.sent.count(b"x" * 100) == 20_000

    with_socket(use, is_slow=True)


def test_what_comes_though_reading_is_paused_waits_its_turn():
    async def use(socket, transport, taker):
        socket.data_received(masked(TEXT, b"a") * 100)
        assert not transport.is_reading
        transport.is_reading = True  # as uvloop does when connection_made is over
        socket.data_received(masked(TEXT, b"b"))
        assert not transport.is_reading
        async with asyncio.timeout(10):
            while "b" not in taker.seen:
                await asyncio.sleep(0)
        assert taker.seen == ["open", *["a"] * 100, "b"]
        assert transport.is_reading

    with_socket(use)


def test_answers_to_what_came_together_go_out_together():
    async def use(socket, transport, taker):
        written = []
        transport.write = written.append
        socket.data_received(masked(PING, b"p") * 10 + encode_close(1000, is_masked=True))
        assert [len(data) for data in written] == [10 * 3 + 4]

    with_socket(use)


@pytest.mark.parametrize("is_reading", [True, False])
def test_who_takes_nothing_is_cut_off_and_who_takes_little_is_not(is_reading, caplog):
    async def use(socket, transport, taker):
        socket.send_message("x" * 70_000)
        with caplog.at_level(logging.INFO):
            async with asyncio.timeout(10):
                while not transport.is_closed and transport.unread > 60_000:
                    await asyncio.sleep(0.005)
                    if is_reading:
                        transport.take(200)
        assert transport.is_closed is not is_reading

    with_socket(use, Limits(write_timeout_s=0.2), is_slow=True)


def test_slow_reader_is_waited_for_and_in_the_end_cut_off(caplog):
    async def use(socket, transport, taker):
        waiting = asyncio.ensure_future(_wait(socket.send_message("x" * 70_000)))
        await asyncio.sleep(0)
        assert not waiting.done()
        transport.take(70_000)
        await waiting
        with caplog.at_level(logging.INFO):
            socket.send_message("x" * 150_000)
        assert transport.is_closed
        await asyncio.sleep(0)
        with pytest.raises(WebSocketClosedError):
            socket.send_message("a")

    async def _wait(sent):
        await sent

    with_socket(use, Limits(max_unsent_bytes=100_000), is_slow=True)


def test_peer_closes():
    async def use(socket, transport, taker):
        socket.data_received(encode_close(3001, "enough", is_masked=True))
        assert transport.is_closed
        assert (socket.close_code, socket.close_reason) == (3001, "enough")

    assert with_socket(use)[1] == [Close(3001, "")]


def test_we_close():
    async def use(socket, transport, taker):
        socket.close(1001, "going")
        socket.close()
        with pytest.raises(WebSocketClosedError):
            socket.send_ping()
        socket.data_received(masked(TEXT, b"late") + encode_close(1001, "", is_masked=True))
        assert transport.is_closed

    seen, sent = with_socket(use)
    assert sent == [Close(1001, "going")]
    assert "late" not in seen


def test_end_without_a_close_is_1006():
    async def use(socket, transport, taker):
        transport.close()
        await asyncio.sleep(0)
        assert socket.close_code == 1006

    with_socket(use)


def test_broken_frame_closes_with_its_code(caplog):
    async def use(socket, transport, taker):
        with caplog.at_level(logging.INFO):
            socket.data_received(masked(TEXT, b"good") + masked(TEXT, b"\xff"))

    seen, sent = with_socket(use)
    assert seen[:2] == ["open", "good"]
    assert sent[0].code == 1007


def test_failing_hook_closes_with_1011():
    async def use(socket, transport, taker):
        socket.data_received(masked(TEXT, b"fail") + masked(TEXT, b"not this"))

    seen, sent = with_socket(use)
    assert seen == ["open", "fail", LookupError, "end"]
    assert sent == [Close(1011, "")]


def test_no_answer_to_a_ping_ends_it(caplog):
    async def use(socket, transport, taker):
        with caplog.at_level(logging.INFO):
            async with asyncio.timeout(5):
                while not transport.is_closed:
                    await asyncio.sleep(0.001)
        await asyncio.sleep(0)
        assert (socket.close_code, socket.close_reason) == (1006, "ping timed out")

    assert with_socket(use, Limits(ping_interval_s=0.01, ping_timeout_s=0.01))[1] == [Ping(b"")]


def test_peer_that_never_closes_is_cut_off():
    async def use(socket, transport, taker):
        socket.close(1000)
        async with asyncio.timeout(5):
            while not transport.is_closed:
                await asyncio.sleep(0.001)

    with_socket(use, Limits(close_timeout_s=0.01))


def test_opcode_names():
    assert (TEXT, CLOSE) == (1, 8)
    assert Message("a").data == "a"
