import asyncio

import pytest

from framework.frames import accept_key
from framework.httpclient import HTTPRequest
from framework.testing import serving
from framework.web import Application
from framework.websocket import WebSocketError, WebSocketHandler, websocket_connect


class Greeter(WebSocketHandler):
    def open(self):
        self.write_message(self.request.headers.get("X-Name", "nobody"))
        for number in range(200):
            self.write_message(str(number))
        self.close(1000)

    def on_message(self, message):
        pass


APPLICATION = Application([("/", Greeter)], log_function=lambda _: None)


def test_headers_and_messages_beyond_the_queue():
    async def run():
        async with serving(APPLICATION) as port:
            url = f"ws://127.0.0.1:{port}/"
            socket = await websocket_connect(HTTPRequest(url, headers={"X-Name": "ann"}))
            got = []
            while (message := await socket.read_message()) is not None:
                got.append(message)
            assert await socket.read_message() is None
            assert socket.close_code == 1000
            return got

    assert asyncio.run(run()) == ["ann", *map(str, range(200))]


def test_callback_gets_messages_and_the_end():
    async def run():
        got = asyncio.Queue()
        async with serving(APPLICATION) as port:
            await websocket_connect(f"ws://127.0.0.1:{port}/", on_message_callback=got.put_nowait)
            return [await got.get() for _ in range(202)]

    assert asyncio.run(run())[-1] is None


@pytest.mark.parametrize(
    "answer",
    [
        b"HTTP/1.1 200 OK\r\n\r\n",
        b"nonsense\r\n\r\n",
        b"HTTP/1.1 101 x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: wrong\r\n\r\n",
        b"HTTP/1.1 101 x\r\nUpgrade: other\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: %b\r\n\r\n",
        b"HTTP/1.1 101 x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: %b\r\n"
        b"Sec-WebSocket-Protocol: x\r\n\r\n",
        b"HTTP/1.1 101 x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: %b\r\n"
        b"Sec-WebSocket-Extensions: permessage-deflate\r\n\r\n",
        b"x" * 70_000,
        b"",
    ],
)
def test_server_that_is_none(answer):
    def application(request):
        key = accept_key(request.headers["Sec-WebSocket-Key"]).encode()
        request.connection.write(answer.replace(b"%b", key))
        request.connection.close()

    async def run():
        async with serving(application) as port:
            with pytest.raises(WebSocketError, match="handshake"):
                await websocket_connect(f"ws://127.0.0.1:{port}/")

    asyncio.run(run())


def test_server_that_does_not_answer():
    async def run():
        async with serving(lambda request: None) as port:
            with pytest.raises(TimeoutError):
                await websocket_connect(f"ws://127.0.0.1:{port}/", connect_timeout=0.05)

    asyncio.run(run())


@pytest.mark.parametrize("url", ["ftp://a/", "ws:///", "ws://a/\r\nX: y", "ws://a/ b"])
def test_address_that_is_none(url):
    with pytest.raises(ValueError if "\r" in url else WebSocketError):
        asyncio.run(_connect(url))


async def _connect(url):
    if "\r" in url:
        HTTPRequest(url, headers={"a": url})
    await websocket_connect(url)
