"""A websocket's frames as messages, and back."""

import asyncio

from framework.asgi.pretended import PretendedTransport
from framework.frames import TEXT, Close, Decoder, Message, Pong, encode_close, encode_frame


class Reader(asyncio.Protocol):
    def __init__(self):
        self.events, self.is_lost = [], False
        self.decoder = Decoder(False, 1000)

    def data_received(self, data):
        self.events += self.decoder.feed(data)

    def connection_lost(self, error):
        self.is_lost = True


def run(scenario):
    async def whole():
        messages, ended, reader = [], asyncio.Event(), Reader()
        transport = PretendedTransport(messages.append, ended.set)
        transport.set_protocol(reader)
        await scenario(transport, reader)
        return messages, reader

    return asyncio.run(whole())


def test_frames_become_messages_and_pings_are_answered_here():
    async def scenario(transport, reader):
        data = encode_frame(TEXT, b"hello", False) + encode_frame(9, b"p", False)
        for at in range(len(data)):
            transport.write(data[at : at + 1])
        transport.write(encode_close(4000, "bye"))
        await asyncio.sleep(0)
        assert transport.is_closing()

    messages, reader = run(scenario)
    assert messages == [
        {"type": "websocket.send", "text": "hello"},
        {"type": "websocket.close", "code": 4000, "reason": "bye"},
    ]
    assert reader.events == [Pong(b"p")]
    assert reader.is_lost


def test_messages_become_frames_and_wait_while_reading_is_paused():
    async def scenario(transport, reader):
        transport.pause_reading()
        transport.take({"type": "websocket.receive", "text": "a"})
        transport.take({"type": "websocket.receive", "bytes": b"b"})
        assert not reader.events
        transport.resume_reading()
        transport.take({"type": "websocket.disconnect", "code": 3000, "reason": "r"})

    _, reader = run(scenario)
    assert reader.events == [Message("a"), Message(b"b"), Close(3000, "r")]
    assert reader.is_lost
