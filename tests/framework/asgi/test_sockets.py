"""Websockets of ASGI applications, asked by our own client."""

import asyncio

import pytest

from framework.slots.hooks import call_release_callbacks
from framework.websocket import WebSocketError, websocket_connect
from tests.support.asgi import ask, run


def url(port):
    return f"ws://127.0.0.1:{port}/room?x=1"


async def echo(scope, receive, send):
    """Says what it was told, until the client leaves."""
    assert scope["type"] == "websocket"
    assert (await receive())["type"] == "websocket.connect"
    await send({"type": "websocket.accept", "subprotocol": (scope["subprotocols"] or [None])[-1]})
    while True:
        message = await receive()
        if message["type"] == "websocket.disconnect":
            return
        await send({"type": "websocket.send", **{key: message.get(key) for key in ("text", "bytes")}})


def test_messages_go_both_ways():
    async def scenario(port):
        client = await websocket_connect(url(port), subprotocols=["a", "b"])
        assert client.selected_subprotocol == "b"
        for message in ("text", b"bytes", "x" * 1_000_000, ""):
            await client.write_message(message, binary=isinstance(message, bytes))
            assert await client.read_message() == message
        client.close(1000, "done")
        assert await client.read_message() is None

    run(echo, scenario)


def test_many_messages_keep_their_order():
    async def scenario(port):
        client = await websocket_connect(url(port))
        for number in range(1000):
            client.write_message(str(number))
        assert [await client.read_message() for _ in range(1000)] == [str(number) for number in range(1000)]
        client.close()

    run(echo, scenario)


def test_leaving_is_told_once_with_its_code():
    seen = []

    async def application(scope, receive, send):
        assert scope["type"] == "websocket"
        await receive()
        await send({"type": "websocket.accept"})
        seen.append(await receive())
        with pytest.raises(OSError):
            await send({"type": "websocket.send", "text": "too late"})
        seen.append("end")

    async def scenario(port):
        client = await websocket_connect(url(port))
        client.close(3001, "bye")
        while "end" not in seen:
            await asyncio.sleep(0)

    run(application, scenario)
    assert seen == [{"type": "websocket.disconnect", "code": 3001, "reason": "bye"}, "end"]


def test_application_closes():
    async def application(scope, receive, send):
        assert scope["type"] == "websocket"
        await receive()
        await send({"type": "websocket.accept", "headers": [(b"x-said", b"yes")]})
        await send({"type": "websocket.send", "text": "one"})
        await send({"type": "websocket.close", "code": 4000, "reason": "enough"})

    async def scenario(port):
        client = await websocket_connect(url(port))
        assert client.headers["X-Said"] == "yes"
        assert await client.read_message() == "one"
        assert await client.read_message() is None
        assert (client.close_code, client.close_reason) == (4000, "enough")

    run(application, scenario)


async def refuses(scope, receive, send):
    assert scope["type"] == "websocket"
    await send({"type": "websocket.close"})


async def denies(scope, receive, send):
    assert scope["type"] == "websocket"
    assert "websocket.http.response" in scope["extensions"]
    await send({"type": "websocket.http.response.start", "status": 402, "headers": [(b"x-price", b"3")]})
    await send({"type": "websocket.http.response.body", "body": b"first pay"})


async def breaks(scope, receive, send):
    raise ValueError("broken")


@pytest.mark.parametrize(("application", "status"), [(refuses, 403), (denies, 402), (breaks, 500)])
def test_application_that_does_not_want_the_websocket(application, status, caplog):
    async def scenario(port):
        with pytest.raises(WebSocketError, match=f"expected 101, got {status} "):
            await websocket_connect(url(port))

    run(application, scenario)


def test_answer_in_place_of_the_handshake_has_its_headers_and_body():
    handshake = (
        b"GET / HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\nConnection: Upgrade, close\r\n"
        b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n"
    )
    answer = run(denies, lambda port: ask(port, handshake))
    assert answer.startswith(b"HTTP/1.1 402 ")
    assert b"X-Price: 3\r\n" in answer
    assert answer.endswith(b"\r\n\r\nfirst pay")


def test_application_that_fails_closes_with_1011(caplog):
    async def application(scope, receive, send):
        assert scope["type"] == "websocket"
        await receive()
        await send({"type": "websocket.accept"})
        raise ValueError("broken")

    async def scenario(port):
        client = await websocket_connect(url(port))
        assert await client.read_message() is None
        assert client.close_code == 1011

    run(application, scenario)
    assert "ValueError: broken" in caplog.text


def test_release_asks_the_client_to_come_again():
    async def scenario(port):
        client = await websocket_connect(url(port))
        await call_release_callbacks()
        assert await client.read_message() is None
        assert client.close_code == 1012

    run(echo, scenario)


def test_starlette():
    from starlette.applications import Starlette
    from starlette.routing import WebSocketRoute

    async def greet(websocket):
        await websocket.accept()
        async for text in websocket.iter_text():
            await websocket.send_json({"hello": text})

    async def scenario(port):
        client = await websocket_connect(url(port))
        await client.write_message("ann")
        assert await client.read_message() == '{"hello":"ann"}'
        client.close()

    run(Starlette(routes=[WebSocketRoute("/room", greet)]), scenario)
