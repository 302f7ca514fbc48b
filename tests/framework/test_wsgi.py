"""Foreign applications on our server, and our handlers under a foreign one; Flask and Django are the real ones."""

import asyncio
import hashlib
import io
import logging
import os
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from wsgiref.util import setup_testing_defaults
from wsgiref.validate import validator

import flask
import pytest

from framework import web
from framework.testing import serving
from framework.wsgi import WSGIApplication, WSGIContainer, WSGIError
from tests.support.load import Client, Lost, Reply


def _ask(application: Any, *requests: tuple[str, str, dict[str, str], bytes]) -> list[Reply]:
    """The answers to requests on one connection."""

    async def scenario() -> list[Reply]:
        container = WSGIContainer(application)
        async with serving(container) as port:
            client = Client("127.0.0.1", port)
            try:
                return [await client.request(*request) for request in requests]
            finally:
                client.close()
                await container.shut_down()  # what a thread does behind a cut connection, close() above all, is done

    return asyncio.run(scenario())


def test_flask_on_our_server() -> None:
    app = flask.Flask(__name__)

    @app.route("/hello/<name>", methods=["GET", "POST"])
    def hello(name: str) -> str:
        request = flask.request
        return f"{request.method} {name} {request.args.get('q')} {request.get_data(as_text=True)} {request.host}"

    answers = _ask(
        app, ("GET", "/hello/%C3%BC?q=1", {}, b""), ("POST", "/hello/x", {"Content-Type": "text/plain"}, b"body")
    )
    assert answers[0].body.decode().startswith("GET ü 1 ")
    assert answers[1].body.decode().startswith("POST x None body 127.0.0.1:")


def test_django_on_our_server(tmp_path: Path) -> None:
    """Django is configured once per process, so it gets one of its own."""
    script = tmp_path / "run.py"
    script.write_text(
        "import asyncio, sys\nimport django\nfrom django.conf import settings\nfrom django.http import HttpResponse\n"
        "from django.urls import path\n"
        "settings.configure(ROOT_URLCONF='__main__', SECRET_KEY='x' * 50, ALLOWED_HOSTS=['*'])\ndjango.setup()\n"
        "urlpatterns = [path('hello', lambda request: HttpResponse('django ' + request.GET['q']))]\n"
        "from django.core.wsgi import get_wsgi_application\n"
        "from framework.testing import serving\nfrom framework.wsgi import WSGIContainer\n"
        "from tests.support.load import Client\n"
        "async def main():\n    container = WSGIContainer(get_wsgi_application())\n"
        "    async with serving(container) as port:\n        client = Client('127.0.0.1', port)\n"
        "        print((await client.request('GET', '/hello?q=1')).body.decode())\n        client.close()\n"
        "    await container.shut_down()\nasyncio.run(main())\n"
    )
    root = str(Path(__file__).parents[2])
    done = subprocess.run(
        [sys.executable, script], env={"PYTHONPATH": root}, capture_output=True, text=True, timeout=60
    )
    assert done.stdout == "django 1\n", done.stderr


def test_answers_stream_and_close_is_always_called() -> None:
    closed: list[str] = []

    class Pieces:
        def __init__(self, name: str) -> None:
            self.name = name

        def __iter__(self) -> Iterator[bytes]:
            yield b"one,"
            if self.name == "fails":
                raise RuntimeError("half way")
            yield b"two"

        def close(self) -> None:
            closed.append(self.name)

    def application(environ: dict[str, Any], start_response: Callable[..., Any]) -> Any:
        start_response("200 OK", [("Content-Type", "text/plain")])
        return Pieces(environ["PATH_INFO"][1:])

    get, head = _ask(application, ("GET", "/get", {}, b""), ("HEAD", "/head", {}, b""))
    assert (get.body, get.headers["transfer-encoding"], head.body) == (b"one,two", "chunked", b"")
    with pytest.raises(Lost):
        _ask(application, ("GET", "/fails", {}, b""))
    assert closed == ["get", "head", "fails"]


@pytest.mark.parametrize(
    ("status", "headers"),
    [
        ("OK", []),
        ("200 OK\r\nX: y", []),
        ("200 OK", [("X", "a\r\nSet-Cookie: b")]),
        ("200 OK", [("Connection", "close")]),
        ("100 Continue", []),
        ("1000 OK", []),
        (200, []),
        ("200 OK", [("a name", "x")]),
        ("200 OK", [("", "x")]),
        ("200 OK", [(b"X", b"x")]),
        ("200 OK", [("Content-Length", "-1")]),
        ("200 OK", [("Content-Length", "1"), ("content-length", "2")]),
    ],
)
def test_what_can_not_be_sent_is_a_500(
    status: str, headers: list[tuple[str, str]], caplog: pytest.LogCaptureFixture
) -> None:
    def application(environ: dict[str, Any], start_response: Callable[..., Any]) -> list[bytes]:
        start_response(status, headers)
        return [b"x"]

    with caplog.at_level(logging.ERROR):
        (reply,) = _ask(application, ("GET", "/", {}, b""))
    assert reply.status == 500 and "start_response" in caplog.text


@pytest.mark.parametrize(
    ("length", "pieces"),
    [(9, [b"abc"]), (2, [b"abc"]), (9, []), (9, [b"abc", b"def"]), (4, [b"abc", b"def"])],
)
def test_body_that_is_not_as_long_as_it_says_is_never_taken_for_another_answer(
    length: int, pieces: list[bytes], caplog: pytest.LogCaptureFixture
) -> None:
    def application(environ: dict[str, Any], start_response: Callable[..., Any]) -> list[bytes]:
        start_response("200 OK", [("Content-Length", str(length))])
        return pieces

    with caplog.at_level(logging.ERROR):
        if len(pieces) > 1:  # a part is on its way by then: the connection is cut
            with pytest.raises(Lost):
                _ask(application, ("GET", "/", {}, b""))
        else:
            assert _ask(application, ("GET", "/", {}, b""))[0].status == 500
    assert "than its Content-Length" in caplog.text


def test_length_without_body_where_there_is_none() -> None:
    def application(environ: dict[str, Any], start_response: Callable[..., Any]) -> list[bytes]:
        status = {"/none": "204 No Content", "/same": "304 Not Modified"}.get(environ["PATH_INFO"], "200 OK")
        start_response(status, [("Content-Length", "3")])
        return [] if environ["REQUEST_METHOD"] == "HEAD" else [b"abc"]

    head, none, same, get = _ask(
        application, ("HEAD", "/", {}, b""), ("GET", "/none", {}, b""), ("GET", "/same", {}, b""), ("GET", "/", {}, b"")
    )
    assert (head.headers["content-length"], same.headers["content-length"], get.body) == ("3", "3", b"abc")
    assert "content-length" not in none.headers


def _digest_of_input(environ: dict[str, Any], start_response: Callable[..., Any]) -> list[bytes]:
    digest = hashlib.sha256()
    left = int(environ["CONTENT_LENGTH"])
    while left and (piece := environ["wsgi.input"].read(min(left, 50_000))):
        digest.update(piece)
        left -= len(piece)
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [digest.hexdigest().encode()]


@pytest.mark.parametrize("size", [1, 1 << 20, (1 << 20) + 1, 20_000_000])
def test_body_arrives_whatever_its_size_and_the_connection_is_kept(size: int) -> None:
    body = os.urandom(size)
    replies = _ask(validator(_digest_of_input), ("POST", "/", {}, body), ("POST", "/", {}, body[::-1]))
    expected = [hashlib.sha256(one).hexdigest().encode() for one in (body, body[::-1])]
    assert [reply.body for reply in replies] == expected
    assert "connection" not in replies[0].headers


def test_large_body_is_never_held_as_a_whole() -> None:
    held: list[int] = []

    def application(environ: dict[str, Any], start_response: Callable[..., Any]) -> list[bytes]:
        body = environ["wsgi.input"]
        lines = 0
        for _ in body:
            lines += 1
            held.append(body.raw._held)
        start_response("200 OK", [])
        return [b"%d" % lines]

    (reply,) = _ask(application, ("PUT", "/", {}, (b"x" * 999 + b"\n") * 30_000))
    assert reply.body == b"30000"
    assert max(held) < 2_000_000


def test_large_body_that_nobody_reads_and_one_that_breaks_off(caplog: pytest.LogCaptureFixture) -> None:
    seen: list[str] = []
    broken = threading.Event()

    def application(environ: dict[str, Any], start_response: Callable[..., Any]) -> list[bytes]:
        if environ["PATH_INFO"] == "/refuse":
            start_response("403 Forbidden", [("Content-Length", "2")])
            return [b"no"]
        try:
            environ["wsgi.input"].read()
        except OSError as error:
            seen.append(str(error))
            broken.set()
            raise
        return []

    async def scenario() -> tuple[int, dict[str, str]]:
        container = WSGIContainer(application)
        async with serving(container) as port:
            client = Client("127.0.0.1", port)
            refused = await client.request("POST", "/refuse", {}, bytes(5_000_000))
            client.close()
            _, writer = await asyncio.open_connection("127.0.0.1", port)
            writer.write(b"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 5000000\r\n\r\n" + bytes(3_000_000))
            await writer.drain()
            writer.transport.abort()
            await asyncio.to_thread(broken.wait, 10)
            await container.shut_down()
        return refused.status, refused.headers

    with caplog.at_level(logging.ERROR):
        status, headers = asyncio.run(scenario())
    assert (status, headers["connection"]) == (403, "close")
    assert seen == ["the client left before its body was here"]
    assert not caplog.records


def test_application_does_not_end_the_process(caplog: pytest.LogCaptureFixture) -> None:
    def application(environ: dict[str, Any], start_response: Callable[..., Any]) -> list[bytes]:
        if environ["PATH_INFO"] == "/exit":
            sys.exit("enough")
        start_response("200 OK", [])
        return [b"ok"]

    exited, good = _ask(application, ("GET", "/exit", {}, b""), ("GET", "/", {}, b""))
    assert (exited.status, good.body) == (500, b"ok")


def test_client_that_leaves_ends_the_answer_and_is_no_error(caplog: pytest.LogCaptureFixture) -> None:
    closed = threading.Event()

    class Endless:
        def __iter__(self) -> Iterator[bytes]:
            while True:
                yield bytes(100_000)

        def close(self) -> None:
            closed.set()

    def application(environ: dict[str, Any], start_response: Callable[..., Any]) -> Any:
        start_response("200 OK", [])
        return Endless()

    async def scenario() -> None:
        container = WSGIContainer(application)
        async with serving(container) as port:
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            writer.write(b"GET / HTTP/1.1\r\nHost: h\r\n\r\n")
            await reader.readexactly(1_000_000)
            writer.close()
            await container.shut_down()

    with caplog.at_level(logging.ERROR):
        asyncio.run(scenario())
    assert closed.is_set() and not caplog.records


def test_exception_is_a_500_and_the_connection_lives() -> None:
    def application(environ: dict[str, Any], start_response: Callable[..., Any]) -> list[bytes]:
        if environ["PATH_INFO"] == "/fail":
            raise RuntimeError("boom")
        start_response("200 OK", [])
        return [b"ok"]

    assert [r.status for r in _ask(application, ("GET", "/fail", {}, b""), ("GET", "/", {}, b""))] == [500, 200]


def test_container_obeys_the_validator() -> None:
    def application(environ: dict[str, Any], start_response: Callable[..., Any]) -> list[bytes]:
        environ["wsgi.input"].read(10)
        start_response("200 OK", [("Content-Type", "text/plain")])
        return [b"valid"]

    assert _ask(validator(application), ("POST", "/a?b", {"Content-Type": "text/plain"}, b"x"))[0].body == b"valid"


class _Hello(web.RequestHandler):
    def get(self, name: str) -> None:
        self.set_header("X-Mark", "1")
        self.write(f"hello {name} {self.get_argument('q', '')}")

    def post(self, name: str) -> None:
        self.write(self.request.body)


class _Later(web.RequestHandler):
    @web.asynchronous
    def get(self) -> None:
        """Would be finished by a callback."""


def _call(
    application: Any, method: str, path: str, query: str = "", body: bytes = b"", is_chunked: bool = False
) -> tuple[str, dict[str, str], bytes]:
    environ: dict[str, Any] = {"REQUEST_METHOD": method, "SCRIPT_NAME": "", "PATH_INFO": path, "QUERY_STRING": query}
    environ |= {"wsgi.input": io.BytesIO(body), "CONTENT_TYPE": "text/plain"}
    environ |= {"wsgi.input_terminated": True} if is_chunked else {"CONTENT_LENGTH": str(len(body))}
    setup_testing_defaults(environ)
    seen: list[Any] = []

    def start_response(status: str, headers: list[tuple[str, str]], exc_info: Any = None) -> Callable[[bytes], object]:
        seen.extend((status, dict(headers)))
        return lambda data: None

    result = validator(application)(environ, start_response)
    answer = b"".join(result)
    result.close()  # type: ignore[attr-defined]
    return seen[0], seen[1], answer


def test_our_handlers_under_wsgi() -> None:
    application = WSGIApplication([(r"/hello/(.*)", _Hello), (r"/later", _Later)])
    status, headers, body = _call(application, "GET", "/hello/\xc3\xbc", "q=1")
    assert (status, headers["X-Mark"], body.decode()) == ("200 OK", "1", "hello ü 1")
    assert _call(application, "POST", "/hello/x", body=b"sent")[2] == b"sent"
    assert _call(application, "POST", "/hello/x", body=b"s" * 100_000, is_chunked=True)[2] == b"s" * 100_000
    assert _call(application, "GET", "/nothing")[0].startswith("404")
    assert _call(application, "HEAD", "/hello/x")[2] == b""


def test_what_would_answer_later_is_refused_under_wsgi(caplog: pytest.LogCaptureFixture) -> None:
    application = WSGIApplication([(r"/later", _Later)])
    with caplog.at_level(logging.ERROR):
        assert _call(application, "GET", "/later")[0].startswith("500")
    assert "not possible under WSGI" in caplog.text
    assert issubclass(WSGIError, Exception)
