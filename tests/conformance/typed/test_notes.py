"""The annotated program runs: its annotations are those of a program that works."""

import asyncio
import json

import pytest

from framework.options import options
from framework.testing import Client, exchange, serving
from framework.websocket import websocket_connect
from tests.conformance.typed import notes


@pytest.fixture
def application(tmp_path):
    (tmp_path / "a.txt").write_text("a file")
    return notes.make_application(str(tmp_path))


def test_pages(application):
    browser = Client(application)
    assert browser.fetch("/").headers["Location"] == "/sign-in?next=%2F"
    assert browser.fetch("/sign-in", "POST", body={"name": "ann", "next": "/"}).status == 302
    page = browser.fetch("/?note=abc")
    assert "ann <p>3</p>" in page.text and page.text.count("start()") == 1
    assert page.headers["X-Frame-Options"] == "DENY" and page.headers["X-Mark"] == "1"
    assert browser.fetch("/story/1").headers["Location"] == "/story/1/"
    assert (browser.fetch("/story/1/").text, browser.fetch("/story/1/", "HEAD").status) == ("one", 200)
    assert browser.fetch("/story/2/").text == "<h1>404</h1>"
    assert browser.fetch("/files/a.txt").headers["X-Path"] == "a.txt"
    assert browser.fetch("/poll").json() == {"news": None}
    part = '--b\r\nContent-Disposition: form-data; name="picture"; filename="x"\r\n\r\nabc\r\n--b--\r\n'
    uploaded = browser.fetch("/upload", "POST", body=part, headers={"Content-Type": "multipart/form-data; boundary=b"})
    assert uploaded.json() == {"name": "x", "bytes": 3}


def test_over_a_socket(application):
    async def scenario():
        await application.warm_up()
        async with serving(application) as port:
            assert (await exchange(port, "/big", "PUT", body=b"x" * 100_000)).text == "100000"
            assert "data: 1" in (await exchange(port, "/count")).text
            address = f"http://127.0.0.1:{port}/files/a.txt"
            assert (await exchange(port, f"/fetch?url={address}")).json() == {"bytes": 6}
            socket = await websocket_connect(f"ws://127.0.0.1:{port}/chat/room")
            socket.write_message("hi")
            assert json.loads(await socket.read_message()) == {"said": "hi"}
            socket.close()
            assert await socket.read_message() is None

    asyncio.run(scenario())


def test_options():
    assert options.port == 8888
