"""Our handlers under uvicorn and granian, each a process of its own."""

import asyncio
import contextlib
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from framework.asgi import ASGIApplication, ASGIError
from framework.asgi.application import Dechunker
from framework.httpclient import AsyncHTTPClient
from framework.websocket import WebSocketError, websocket_connect
from tests.support.front import free_port, wait_for_port

ROOT = Path(__file__).parents[3]
NAME = "tests.support.served:application"
SERVERS = {
    "uvicorn": ["uvicorn", NAME, "--host", "127.0.0.1", "--log-level", "error", "--port"],
    "granian": ["granian", "--interface", "asgi", "--host", "127.0.0.1", NAME, "--no-log", "--port"],
}


@pytest.fixture(scope="module", params=sorted(SERVERS))
def port(request):
    with serving(request.param) as (port, _):
        yield port


@contextlib.contextmanager
def serving(server, **environment):
    """The port of the server, and its process."""
    port = free_port()
    command = [sys.executable, "-m", *SERVERS[server], str(port)]
    with subprocess.Popen(command, cwd=ROOT, env={**os.environ, "PYTHONPATH": str(ROOT), **environment}) as process:
        try:
            wait_for_port(port)
            yield port, process
        finally:
            process.terminate()
            process.wait(20)


def fetch(port, path, **options):
    async def one():
        client = AsyncHTTPClient()
        try:
            return await client.fetch(f"http://127.0.0.1:{port}{path}", raise_error=False, **options)
        finally:
            client.close()

    return asyncio.run(one())


def test_answers(port):
    response = fetch(port, "/?name=ann")
    assert (response.code, response.body) == (200, b"hello ann")
    assert response.headers["Content-Length"] == "9"
    assert response.headers["Etag"]
    response = fetch(port, "/?name=ann", headers={"If-None-Match": response.headers["Etag"]})
    assert (response.code, response.body) == (304, b"")
    assert fetch(port, "/", method="HEAD").headers["Content-Length"] == "12"
    assert fetch(port, "/slow").body == b"0;1;2;"
    assert fetch(port, "/broken").code == 409
    assert fetch(port, "/nowhere").code == 404


def test_bodies(port):
    answer = json.loads(fetch(port, "/", method="POST", body=b"x" * 900_000).body)
    assert answer == {"length": 900_000, "ip": "127.0.0.1", "host": f"127.0.0.1:{port}"}
    assert fetch(port, "/", method="POST", body=b"x" * 1_100_000).code == 413
    assert fetch(port, "/upload", method="PUT", body=b"x" * 3_000_000).body == b"3000000"


def test_client_that_leaves_is_told_to_the_handler(port):
    async def scenario():
        _, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(b"GET /wait HTTP/1.1\r\nHost: a\r\n\r\n")
        await asyncio.sleep(0.1)
        writer.close()

    before = int(fetch(port, "/left").body)
    asyncio.run(scenario())
    while int(fetch(port, "/left").body) == before:
        pass


def test_websocket(port):
    async def scenario():
        client = await websocket_connect(f"ws://127.0.0.1:{port}/echo", subprotocols=["a", "b"])
        assert client.selected_subprotocol == "b"
        for message in ("text", b"bytes", "x" * 500_000):
            await client.write_message(message, binary=isinstance(message, bytes))
            assert await client.read_message() == message
        client.write_message("ping")
        assert await client.read_message() == "pong"
        client.write_message("close")
        assert await client.read_message() is None
        assert (client.close_code, client.close_reason) == (4001, "as you wish")

    asyncio.run(scenario())


def test_websocket_of_a_client_that_leaves(port):
    async def scenario():
        client = await websocket_connect(f"ws://127.0.0.1:{port}/echo", subprotocols=["a"])
        client.close(1000)
        assert await client.read_message() is None

    before = int(fetch(port, "/left").body)
    asyncio.run(scenario())
    while int(fetch(port, "/left").body) == before:
        pass


def test_websocket_that_a_handler_refuses(port):
    async def scenario():
        with pytest.raises(WebSocketError, match="expected 101, got 40"):
            await websocket_connect(f"ws://127.0.0.1:{port}/refused")

    asyncio.run(scenario())


def test_lifespan_is_the_application_s(tmp_path):
    path = tmp_path / "end"
    with serving("uvicorn", SERVED_END=str(path)) as (port, _):
        assert fetch(port, "/").code == 200
    assert path.read_text() == "warm: True"


def test_what_can_not_start_says_so():
    class Broken:
        async def warm_up(self):
            raise ValueError("no database")

    async def scenario():
        sent = []

        async def receive():
            return {"type": "lifespan.startup"}

        async def send(message):
            sent.append(message)

        await ASGIApplication(Broken())({"type": "lifespan"}, receive, send)
        return sent

    assert asyncio.run(scenario()) == [{"type": "lifespan.startup.failed", "message": "no database"}]


def test_other_scopes_are_refused():
    with pytest.raises(ASGIError, match="mail: expected http, websocket or lifespan"):
        asyncio.run(ASGIApplication(lambda request: None)({"type": "mail"}, None, None))


@pytest.mark.parametrize("raw_path", [{}, {"raw_path": None}, {"raw_path": b"/a%20b%3F/%C3%BC"}])
def test_path_is_spelled_whatever_the_server_tells(raw_path):
    seen = []

    def application(request):
        seen.append((request.path, request.uri))
        request.connection.answer(b"HTTP/1.1 204 No Content\r\n\r\n")

    async def receive():
        return {"type": "http.request"} if not seen else await asyncio.Event().wait()

    async def send(message):
        pass

    scope = {"type": "http", "method": "GET", "http_version": "1.1", "path": "/a b?/ü", "query_string": b"q=1"}
    asyncio.run(ASGIApplication(application)({**scope, "headers": [(b"host", b"h")], **raw_path}, receive, send))
    assert seen == [("/a%20b%3F/%C3%BC", "/a%20b%3F/%C3%BC?q=1")]


def test_chunks_that_come_in_pieces():
    dechunker = Dechunker()
    data = b"3\r\nabc\r\n10\r\n0123456789abcdef\r\n0\r\n\r\n"
    assert b"".join(dechunker.feed(data[at : at + 1]) for at in range(len(data))) == b"abc0123456789abcdef"
