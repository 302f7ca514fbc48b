"""Handlers behind a real server, with a foreign client and raw bytes."""

import asyncio
import json
import logging
import socket

import pytest
from wsproto import ConnectionType, WSConnection
from wsproto.events import AcceptConnection, Request, TextMessage

from framework import slots
from framework.frames import Close, Decoder
from framework.ioloop import IOLoop
from framework.log import Repeated, gen_log
from framework.slots.hooks import call_release_callbacks
from framework.testing import serving
from framework.web import Application, HTTPError
from framework.websocket import WebSocketClosedError, WebSocketError, WebSocketHandler, websocket_connect
from framework.websocket import handler as websocket_handler
from tests.support.rawhttp import connected


class Echo(WebSocketHandler):
    def initialize(self, log=None):
        self.log = log

    def prepare(self):
        if self.request.query == "nobody":
            raise HTTPError(401)
        self.set_cookie("seen", "1")

    def get_compression_options(self):
        return {"compression_level": 1, "mem_level": 5}

    def select_subprotocol(self, subprotocols):
        return "two" if "two" in subprotocols else None

    async def open(self, name=None):
        await asyncio.sleep(0)
        if name:
            self.write_message({"hello": name})

    async def on_message(self, message):
        await self.write_message(message)

    def on_close(self):
        self.log.put_nowait((self.close_code, self.close_reason))


HEAD = (
    b"GET /echo HTTP/1.1\r\nHost: here.example\r\nUpgrade: websocket\r\nConnection: keep-alive, Upgrade\r\n"
    b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
)


def application(log=None, **settings):
    settings.setdefault("log_function", lambda _: None)
    return Application([(r"/echo", Echo, {"log": log}), (r"/hello/(\w+)", Echo, {"log": log})], **settings)


def test_echo_and_close():
    async def run():
        log = asyncio.Queue()
        async with serving(application(log)) as port:
            socket = await websocket_connect(
                f"ws://127.0.0.1:{port}/hello/ann", compression_options={}, subprotocols=["one", "two"]
            )
            assert json.loads(await socket.read_message()) == {"hello": "ann"}
            assert socket.selected_subprotocol == "two"
            assert "permessage-deflate" in socket.headers["Sec-WebSocket-Extensions"]
            assert "seen=1" in socket.headers["Set-Cookie"]
            for message in ("ä" * 100_000, b"bytes", ""):
                socket.write_message(message)
                assert await socket.read_message() == message
            socket.close(3000, "bye")
            assert await socket.read_message() is None
            assert await log.get() == (3000, "bye")
            assert log.empty()

    asyncio.run(run())


def test_foreign_client_that_speaks_before_it_is_answered():
    async def run():
        log = asyncio.Queue()
        async with serving(application(log)) as port, connected(port) as raw:
            client = WSConnection(ConnectionType.CLIENT)
            raw.send(client.send(Request(host="127.0.0.1", target="/hello/ann")))
            got = []
            sent = False
            while len(got) < 3:
                client.receive_data(await raw.reader.read(65536))
                for event in client.events():
                    got.append(event)
                    if isinstance(event, AcceptConnection) and not sent:
                        sent = True
                        raw.send(client.send(TextMessage(data="a")))
            return got

    got = asyncio.run(run())
    assert [type(event) for event in got] == [AcceptConnection, TextMessage, TextMessage]
    assert got[2].data == "a"


@pytest.mark.parametrize(
    "extra, removed, status",
    [
        (b"", b"Upgrade: websocket\r\n", 426),
        (b"", b"Connection: keep-alive, Upgrade\r\n", 426),
        (b"", b"Sec-WebSocket-Version: 13\r\n", 426),
        (b"", b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n", 400),
        (b"Origin: https://evil.example\r\n", b"", 403),
        (b"Origin: null\r\n", b"", 403),
        (b"Origin: https://here.example\r\n", b"", 101),
        (b"", b"", 101),
    ],
)
def test_handshake(extra, removed, status, caplog):
    async def run():
        log = asyncio.Queue()
        async with serving(application(log)) as port, connected(port) as client:
            client.send(HEAD.replace(removed, b"") + extra + b"\r\n")
            head = await client.reader.readuntil(b"\r\n\r\n")
            assert head.startswith(b"HTTP/1.1 %d " % status)
            if status == 101:
                assert b"Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n" in head
            if status == 426:
                assert b"Upgrade: websocket\r\n" in head

    asyncio.run(run())
    if extra and status == 403:
        assert "is not allowed here" in caplog.text


def test_authentication_comes_before_the_upgrade():
    async def run():
        async with serving(application()) as port, connected(port) as client:
            status, _, _ = await client.ask(HEAD.replace(b"/echo", b"/echo?nobody") + b"\r\n")
            assert status == 401

    asyncio.run(run())


def test_nodelay_is_the_socket_s_option():
    seen = []

    class Told(WebSocketHandler):
        async def get(self, *args):
            with pytest.raises(WebSocketClosedError):
                self.set_nodelay(True)
            await super().get(*args)

        def open(self):
            plain = self._socket._transport.get_extra_info("socket")
            for value in (False, True):
                self.set_nodelay(value)
                seen.append(plain.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY))

        def on_message(self, message):
            self.write_message(message)

    async def run():
        async with serving(Application([("/", Told)], log_function=lambda _: None)) as port:
            client = await websocket_connect(f"ws://127.0.0.1:{port}/")
            client.write_message("x")
            assert await client.read_message() == "x"
            client.close()
            assert await client.read_message() is None

    asyncio.run(run())
    assert seen == [0, 1]


def test_on_close_may_be_a_coroutine(caplog):
    closed = asyncio.Queue()

    class Slow(WebSocketHandler):
        async def on_close(self):
            await asyncio.sleep(0)
            closed.put_nowait(self.close_code)
            raise KeyError("after the end")

    async def run():
        async with serving(Application([("/", Slow)], log_function=lambda _: None)) as port:
            client = await websocket_connect(f"ws://127.0.0.1:{port}/")
            client.close(3000)
            assert await closed.get() == 3000

    asyncio.run(run())
    assert "after the end" in caplog.text and "handler failed" not in caplog.text


def test_release_asks_the_client_to_come_back():
    async def run():
        log = asyncio.Queue()
        async with serving(application(log)) as port:
            socket = await websocket_connect(f"ws://127.0.0.1:{port}/hello/ann")
            await socket.read_message()
            await call_release_callbacks()
            assert await socket.read_message() is None
            assert socket.close_code == 1012
            await log.get()
            assert not slots.is_releasing()

    asyncio.run(run())


def test_failing_open_closes_with_1011(caplog):
    class Broken(WebSocketHandler):
        def open(self):
            raise LookupError("mine")

    async def run():
        async with serving(Application([("/", Broken)], log_function=lambda _: None)) as port:
            socket = await websocket_connect(f"ws://127.0.0.1:{port}/")
            assert await socket.read_message() is None
            return socket.close_code

    with caplog.at_level(logging.CRITICAL, "framework.application"):
        assert asyncio.run(run()) == 1011


@pytest.mark.parametrize("is_async", [True, False])
def test_failing_callback_of_a_message_closes_with_1011(is_async, caplog):
    def ask(self):
        IOLoop.current().add_callback(lambda: 1 / 0)

    async def ask_later(self):
        await asyncio.sleep(0)
        ask(self)

    class Asking(WebSocketHandler):
        def on_message(self, message):
            return ask_later(self) if is_async else ask(self)

    async def run():
        async with serving(Application([("/", Asking)], log_function=lambda _: None)) as port:
            socket = await websocket_connect(f"ws://127.0.0.1:{port}/")
            socket.write_message("a")
            assert await socket.read_message() is None
            return socket.close_code

    with caplog.at_level(logging.CRITICAL, "framework.application"):
        assert asyncio.run(run()) == 1011


def test_nothing_can_be_sent_before_it_is_open():
    handler = Echo.__new__(Echo)
    with pytest.raises(WebSocketClosedError):
        handler.write_message("a")
    with pytest.raises(WebSocketClosedError):
        handler.ping()


def test_too_large_message_is_refused(caplog):
    async def run():
        async with serving(application(asyncio.Queue(), websocket_max_message_size=1000)) as port:
            socket = await websocket_connect(f"ws://127.0.0.1:{port}/echo", compression_options={})
            socket.write_message("x" * 100_000)
            assert await socket.read_message() is None
            return socket.close_code

    assert asyncio.run(run()) == 1009


def test_frames_of_a_close():
    assert list(Decoder(True, 10).feed(b"\x88\x00")) == [Close(None, "")]


def test_websockets_leave_an_eighth_of_all_connections_to_requests(caplog, monkeypatch):
    """And who is refused comes again at once: that is one line a second at most."""
    caplog.set_level(logging.INFO, "framework.general")
    monkeypatch.setattr(websocket_handler, "_log_full", Repeated(gen_log.info))

    async def run():
        log = asyncio.Queue()
        async with serving(application(log), max_connections=8) as port:
            url = f"ws://127.0.0.1:{port}/echo"
            open_ones = [await websocket_connect(url) for _ in range(7)]
            for _ in range(3):
                with pytest.raises(WebSocketError, match="503"):
                    await websocket_connect(url)
            async with connected(port) as client:
                assert (await client.ask(b"GET /nowhere HTTP/1.1\r\nHost: here.example\r\n\r\n"))[0] == 404
            open_ones[0].close()
            await log.get()
            again = await websocket_connect(url)
            for one in (*open_ones[1:], again):
                one.close()
                await log.get()

    asyncio.run(run())
    lines = [record for record in caplog.records if "503" in record.getMessage()]
    assert [line.levelname for line in lines] == ["INFO"]
    assert lines[0].getMessage() == "127.0.0.1: 503 more websockets than there is room for beside requests"
