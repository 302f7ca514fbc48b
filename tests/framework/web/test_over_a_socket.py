"""What only a connection shows: keep-alive, pipelining, back-pressure, clients that leave, slow bodies."""

import asyncio
import contextlib
import logging

import pytest

import framework.ioloop
import framework.web
from framework.testing import parse_response, serving
from framework.web import Application, HTTPError, RequestHandler, asynchronous, stream_request_body


class Peer:
    """One connection to the server, spoken to in bytes."""

    def __init__(self, reader, writer):
        self.reader, self.writer = reader, writer

    def send(self, text):
        self.writer.write(text.encode() if isinstance(text, str) else text)

    async def answer(self, is_head=False):
        head = await self.reader.readuntil(b"\r\n\r\n")
        lines = head.decode().lower().split("\r\n")
        length = next((int(line.partition(":")[2]) for line in lines if line.startswith("content-length:")), 0)
        if any(line == "transfer-encoding: chunked" for line in lines) and not is_head:
            body = b""
            while not body.endswith(b"0\r\n\r\n"):
                body += await self.reader.readuntil(b"\r\n")
            return parse_response(head + body)
        return parse_response(head + (b"" if is_head else await self.reader.readexactly(length)), is_head)


@contextlib.asynccontextmanager
async def connected(application, **options):
    async with serving(application, **options) as port:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        yield Peer(reader, writer)
        writer.close()
        with contextlib.suppress(ConnectionError):
            await writer.wait_closed()


def get(path, *headers):
    return f"GET {path} HTTP/1.1\r\nHost: localhost\r\n" + "".join(f"{one}\r\n" for one in headers) + "\r\n"


class Main(RequestHandler):
    def get(self):
        self.write("Hello, world")

    def post(self):
        self.write(self.get_argument("a"))


class Broken(RequestHandler):
    async def get(self):
        await asyncio.sleep(0)
        raise HTTPError(409)


class Stream(RequestHandler):
    async def get(self):
        for number in range(3):
            self.write(f"{number};")
            await self.flush()


APPLICATION = Application([("/", Main), ("/broken", Broken), ("/stream", Stream)])


def test_item_005_hello_world_as_printed():
    class MainHandler(framework.web.RequestHandler):
        def get(self):
            self.write("Hello, world")

    async def scenario():
        application = framework.web.Application(
            [
                (r"/", MainHandler),
            ]
        )
        async with connected(application) as peer:
            peer.send(get("/"))
            response = await peer.answer()
            assert (response.status, response.text) == (200, "Hello, world")
            assert response.headers["Content-Type"] == "text/html; charset=UTF-8"

    asyncio.run(scenario())


def test_listen_serves_the_application():
    async def scenario():
        server = APPLICATION.listen(0, "127.0.0.1")
        server.stop()
        assert server.connections == 0

    asyncio.run(scenario())


def test_kept_connection_answers_all_kinds_in_order():
    async def scenario():
        async with connected(APPLICATION) as peer:
            peer.send(
                get("/")
                + get("/nowhere")
                + get("/broken")
                + get("/stream")
                + "HEAD / HTTP/1.1\r\nHost: localhost\r\n\r\n"
                + "POST / HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/x-www-form-urlencoded\r\n"
                + "Content-Length: 3\r\n\r\na=1"
                + "OPTIONS / HTTP/1.1\r\nHost: localhost\r\n\r\n"
                + get("/", "Connection: close")
            )
            found = []
            for is_head in (False, False, False, False, True, False, False, False):
                response = await peer.answer(is_head)
                found.append((response.status, response.text[:12]))
            assert found == [
                (200, "Hello, world"),
                (404, "<html><title"),
                (409, "<html><title"),
                (200, "0;1;2;"),
                (200, ""),
                (200, "1"),
                (204, ""),
                (200, "Hello, world"),
            ]
            assert response.headers["Connection"] == "close"
            assert await peer.reader.read() == b""

    asyncio.run(scenario())


def test_http_1_0_is_kept_only_when_asked():
    async def scenario():
        async with connected(APPLICATION) as peer:
            peer.send("GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n")
            assert (await peer.answer()).headers["Connection"] == "keep-alive"
            peer.send("GET /stream HTTP/1.0\r\nConnection: keep-alive\r\n\r\n")
            raw = await peer.reader.read()
            assert b"Connection: close" in raw and raw.endswith(b"\r\n\r\n0;1;2;")

    asyncio.run(scenario())


def test_an_answer_that_is_known_says_what_this_connection_does():
    """The same body within one second, on connections that stay and on those that don't."""
    kept, closed = "GET / HTTP/1.0\r\nHost: h\r\nConnection: Keep-Alive\r\n\r\n", "GET / HTTP/1.0\r\nHost: h\r\n\r\n"

    async def scenario():
        async with connected(APPLICATION) as peer:
            for text, said in [(kept, "keep-alive"), (get("/"), None)] * 3 + [(closed, "close")]:
                peer.send(text)
                response = await peer.answer()
                assert (response.status, response.body, response.headers.get("Connection")) == (
                    200,
                    b"Hello, world",
                    said,
                )
                assert response.headers["ETag"]
            assert await peer.reader.read() == b""

    asyncio.run(scenario())


def test_etag_is_answered_304_over_the_wire():
    async def scenario():
        async with connected(APPLICATION) as peer:
            peer.send(get("/"))
            etag = (await peer.answer()).headers["ETag"]
            peer.send(get("/", f"if-none-match: {etag}") + get("/"))
            assert (await peer.answer()).status == 304
            assert (await peer.answer()).status == 200

    asyncio.run(scenario())


@pytest.mark.parametrize("style", ["callback", "coroutine"])
def test_item_106_client_that_leaves_is_told_to_the_handler(style, caplog):
    async def scenario():
        left = asyncio.get_running_loop().create_future()
        entered = asyncio.Event()

        class Waiting(RequestHandler):
            if style == "callback":

                @asynchronous
                def get(self):
                    entered.set()
            else:

                async def get(self):
                    entered.set()
                    await left
                    self.write("nobody hears it")

            def on_connection_close(self):
                left.set_result(True)

        application = Application([("/", Waiting)])
        async with connected(application) as peer:
            peer.send(get("/"))
            await entered.wait()
            peer.writer.close()
            assert await asyncio.wait_for(left, 5)
            while application.running:
                await asyncio.sleep(0)

    asyncio.run(scenario())
    assert not [record for record in caplog.records if record.levelno >= logging.ERROR]


def test_flush_waits_for_a_slow_client():
    async def scenario():
        sent = []

        class Endless(RequestHandler):
            async def get(self):
                for _ in range(400):
                    self.write(b"x" * 65536)
                    await self.flush()
                    sent.append(1)

        async with connected(Application([("/", Endless)])) as peer:
            peer.send(get("/"))
            await peer.reader.readuntil(b"\r\n\r\n")
            before = -1
            while before != len(sent):
                before = len(sent)
                for _ in range(50):
                    await asyncio.sleep(0)
            assert 0 < len(sent) < 400

    asyncio.run(scenario())


def test_large_static_file_is_whole(tmp_path):
    data = bytes(range(256)) * 4096
    (tmp_path / "large.bin").write_bytes(data)

    async def scenario():
        async with connected(Application([], static_path=str(tmp_path))) as peer:
            peer.send(get("/static/large.bin") + get("/static/large.bin", "Range: bytes=100000-900000"))
            assert (await peer.answer()).body == data
            response = await peer.answer()
            assert (response.status, response.body) == (206, data[100000:900001])

    asyncio.run(scenario())


@stream_request_body
class Upload(RequestHandler):
    def prepare(self):
        if self.request.query == "refuse":
            raise HTTPError(413)
        self.request.connection.set_max_body_size(10_000_000)
        self.size = 0

    async def data_received(self, chunk):
        await asyncio.sleep(0)
        self.size += len(chunk)

    def put(self):
        self.write(str(self.size))


@pytest.mark.parametrize("framing", ["length", "chunked"])
def test_streamed_upload_over_the_wire(framing):
    body = b"x" * 3_000_000

    async def scenario():
        async with connected(Application([("/up", Upload), ("/", Main)])) as peer:
            head = "PUT /up HTTP/1.1\r\nHost: localhost\r\n"
            if framing == "length":
                peer.send(f"{head}Content-Length: {len(body)}\r\n\r\n")
                peer.send(body)
            else:
                peer.send(f"{head}Transfer-Encoding: chunked\r\n\r\n{len(body):x}\r\n")
                peer.send(body + b"\r\n0\r\n\r\n")
            assert (await peer.answer()).text == "3000000"
            peer.send(get("/"))
            assert (await peer.answer()).text == "Hello, world"

    asyncio.run(scenario())


def test_refused_upload_is_answered_before_its_body():
    async def scenario():
        async with connected(Application([("/up", Upload)])) as peer:
            peer.send("PUT /up?refuse HTTP/1.1\r\nHost: localhost\r\nContent-Length: 5000000\r\n\r\n")
            response = await peer.answer()
            assert response.status == 413
            assert response.headers["Connection"] == "close"

    asyncio.run(scenario())


def test_item_102_error_in_a_timer_is_the_answer_over_the_wire():
    class Later(RequestHandler):
        @asynchronous
        def get(self):
            loop = framework.ioloop.IOLoop.current()
            loop.add_callback(self.on_ready)

        def on_ready(self):
            raise framework.web.HTTPError(500)

    async def scenario():
        async with connected(Application([("/", Later)])) as peer:
            peer.send(get("/") + get("/"))
            assert (await peer.answer()).status == 500
            assert (await peer.answer()).status == 500

    asyncio.run(scenario())
