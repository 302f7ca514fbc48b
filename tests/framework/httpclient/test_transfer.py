"""What goes over the wire and comes back, beyond what redirects and queues do."""

import asyncio
import gzip
import os
import socket
import tracemalloc

import pytest

from framework.httpclient import (
    AddressPolicy,
    AddressRefusedError,
    AsyncHTTPClient,
    BodyTooLargeError,
    CurlError,
    HTTPError,
    HTTPTimeoutError,
)
from framework.testing import serving
from framework.web import Application, RequestHandler, stream_request_body
from tests.support.rawhttp import listening_socket
from tests.support.serve import server_process

# 64 MiB of zeros. For zstd (RFC 8878 §3.1.1): magic number, frame header, 512 blocks of 128 KiB that repeat one byte.
RUN = 1 << 1 | 1 << 17 << 3
BOMBS = {
    "gzip": gzip.compress(bytes(64 << 20)),
    "br": bytes.fromhex(
        "cbffff3ff82700e2b14020f7fe8fffff7ff04f00c4611180eefd1fffffffe09f0088c30200ddfb3ffeffffc13f0110870500baf77ffcffff837f02200e0b0074effff8ffff07ff04401c1600e8defff1ffff0ffe0980382c00d0bdffe3ffff1ffc1300715800a07bff37"
    ),
    "zstd": b"\x28\xb5\x2f\xfd\x00\x38"
    + (RUN.to_bytes(3, "little") + b"\0") * 511
    + (RUN | 1).to_bytes(3, "little")
    + b"\0",
}


class Echo(RequestHandler):
    def respond(self):
        head = self.request.raw_head.decode("latin-1")
        self.write({"head": head, "body": self.request.body.decode("latin-1")})

    get = post = put = delete = patch = options = head = respond


class Bomb(RequestHandler):
    def get(self):
        self.set_header("Content-Encoding", "gzip")
        self.write(gzip.compress(bytes(5_000_000)))


class Pieces(RequestHandler):
    async def get(self):
        for number in range(20):
            self.write(b"%d" % number * 10_000)
            await self.flush()


@stream_request_body
class Count(RequestHandler):
    def prepare(self):
        self.count = 0

    def data_received(self, chunk):
        self.count += len(chunk)

    def post(self):
        self.write(str(self.count))


APPLICATION = Application(
    [("/echo", Echo), ("/bomb", Bomb), ("/pieces", Pieces), ("/count", Count)], log_function=lambda _: None
)


def exchange(path, application=APPLICATION, client_options=None, **fields):
    """The answer to one request."""

    async def run():
        async with serving(application) as port:
            client = AsyncHTTPClient(force_instance=True, **(client_options or {}))
            try:
                return await client.fetch(f"http://127.0.0.1:{port}{path}", **fields)
            finally:
                client.close()

    return asyncio.run(run())


@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH", "DELETE"])
def test_body_is_sent(method):
    seen = exchange("/echo", method=method, body="x" * 3000).json()
    assert seen["head"].startswith(f"{method} /echo HTTP/1.1\r\n")
    assert seen["body"] == "x" * 3000
    assert "Expect" not in seen["head"]


def test_headers_are_sent():
    head = exchange("/echo", headers={"X-Empty": "", "X-Text": "ü", "User-Agent": "me"}).json()["head"].lower()
    assert "\r\nx-empty:" in head
    assert "user-agent: me\r\n" in head
    assert "squall" not in head


def test_credentials_are_sent():
    assert "Authorization: Basic bWU6YTpi" in exchange("/echo", auth_username="me", auth_password="a:b").json()["head"]


def test_decompressed_bytes_are_counted():
    with pytest.raises(BodyTooLargeError):
        exchange("/bomb", max_body_bytes=1_000_000)
    assert len(exchange("/bomb").body) == 5_000_000


def test_body_is_streamed_down_with_back_pressure():
    pieces = []

    async def take(chunk):
        await asyncio.sleep(0)
        pieces.append(chunk)

    response = exchange("/pieces", streaming_callback=take)
    assert response.body == b""
    assert b"".join(pieces) == b"".join(b"%d" % number * 10_000 for number in range(20))


def test_error_of_a_streaming_callback_reaches_the_caller():
    def take(chunk):
        raise LookupError("mine")

    with pytest.raises(LookupError):
        exchange("/pieces", streaming_callback=take)


def test_body_is_streamed_up():
    async def produce(write):
        for _ in range(100):
            await write(b"x" * 10_000)

    assert exchange("/count", method="POST", body_producer=produce).body == b"1000000"


def test_error_of_a_body_producer_reaches_the_caller():
    async def produce(write):
        await write(b"x")
        raise LookupError("mine")

    with pytest.raises(LookupError):
        exchange("/count", method="POST", body_producer=produce)


def test_header_callback_gets_the_lines():
    lines = []
    exchange("/echo", header_callback=lines.append)
    assert lines[0] == "HTTP/1.1 200 OK\r\n"
    assert lines[-1] == "\r\n"


@pytest.mark.parametrize("code", [204, 304])
def test_answers_without_body(code):
    def answer(request):
        request.connection.answer(b"HTTP/1.1 %d x\r\n\r\n" % code)

    response = exchange("/", answer)
    assert (response.code, response.body, response.reason) == (code, b"", "x")


def test_head_without_end_is_refused():
    def answer(request):
        request.connection.answer(b"HTTP/1.1 200 OK\r\n" + b"X: y\r\n" * 100_000 + b"\r\n")

    with pytest.raises(Exception, match=r"599"):
        exchange("/", answer)


def test_policy_is_asked_with_the_address():
    with pytest.raises(AddressRefusedError, match=r"127\.0\.0\.1"):
        exchange("/echo", client_options={"addresses": AddressPolicy()})
    allowing = {"addresses": AddressPolicy(allow=["127.0.0.0/8"])}
    assert exchange("/echo", client_options=allowing).code == 200


def test_policy_and_proxy_do_not_go_together():
    with pytest.raises(ValueError):
        exchange("/", client_options={"addresses": AddressPolicy()}, proxy_host="127.0.0.1", proxy_port=1)


def test_timeout_says_that_the_answer_is_missing():
    with pytest.raises(HTTPTimeoutError, match=r"while waiting for the answer of 127\.0\.0\.1") as caught:
        exchange("/", lambda request: None, request_timeout=0.1)
    assert 0.09 < caught.value.elapsed_s < 2


def test_timeout_says_that_the_body_is_missing():
    def answer(request):
        request.connection.write(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nabc")

    with pytest.raises(HTTPTimeoutError, match=r"while receiving the body from .*, after 3 bytes"):
        exchange("/", answer, request_timeout=0.2)


def test_refused_connection_is_an_error_with_libcurls_number():
    with listening_socket() as listener:
        port = listener.getsockname()[1]

    async def run():
        client = AsyncHTTPClient(force_instance=True)
        try:
            await client.fetch(f"http://127.0.0.1:{port}/")
        finally:
            client.close()

    with pytest.raises(CurlError) as caught:
        asyncio.run(run())
    assert caught.value.errno == 7


def test_proxy_is_asked():
    seen = exchange(
        "/",
        lambda request: request.connection.answer(
            b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s" % (len(request.raw_head), request.raw_head)
        ),
    )
    assert b"GET / HTTP/1.1" in seen.body

    async def run():
        def answer(request):
            body = request.raw_head
            request.connection.answer(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s" % (len(body), body))

        async with serving(answer) as port:
            client = AsyncHTTPClient(force_instance=True)
            try:
                proxy = {"proxy_host": "127.0.0.1", "proxy_port": port}
                first = await client.fetch(
                    "http://elsewhere.example/x", proxy_username="me", proxy_password="pw", **proxy
                )
                return first.body, (await client.fetch("http://elsewhere.example/x", **proxy)).body
            finally:
                client.close()

    first, second = asyncio.run(run())
    assert b"GET http://elsewhere.example/x HTTP/1.1" in first
    assert b"Proxy-Authorization: Basic bWU6cHc=" in first
    assert b"Proxy-Authorization" not in second


def resident_bytes():
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def cut_short(answer):
    """An application that answers these bytes and closes."""

    def application(request):
        request.connection.write(answer)
        request.connection.close()

    return application


@pytest.mark.parametrize("coding", ["gzip", "br", "zstd"])
def test_bombs_are_stopped_while_they_unpack(coding):
    packed = BOMBS[coding]

    def answer(request):
        request.connection.answer(
            b"HTTP/1.1 200 OK\r\nContent-Encoding: %s\r\nContent-Length: %d\r\n\r\n%s"
            % (coding.encode(), len(packed), packed)
        )

    if coding not in exchange("/echo").json()["head"]:  # this libcurl can't unpack it and so does not ask for it
        assert exchange("/", answer, max_body_bytes=len(packed), raise_error=False).error is not None
        return
    tracemalloc.start()
    with pytest.raises(BodyTooLargeError):
        exchange("/", answer, max_body_bytes=1_000_000)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 20_000_000


@pytest.mark.parametrize(
    "answer",
    [
        b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nabc",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nab",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nabcde\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: 9\r\n\r\nno gzip!!",
        b"HTTP/1.1 200 OK\r\nContent-Len",
        b"HTTP/1.1 200 OK\r\nX: a\0b\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab",
        b"HTTP/1.1 abc OK\r\n\r\n",
        b"nonsense",
        b"",
    ],
    ids=repr,
)
def test_broken_answers_are_errors(answer):
    with pytest.raises(HTTPError) as caught:
        exchange("/", cut_short(answer), request_timeout=5)
    assert caught.value.code == 599


def test_trailers_do_not_replace_the_headers():
    answer = b"HTTP/1.1 200 OK\r\nX: y\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\n0\r\nX: z\r\nHTTP/x: y\r\n\r\n"
    response = exchange("/", lambda request: request.connection.answer(answer))
    assert (response.code, response.headers["X"], response.body) == (200, "y", b"a")


def test_body_of_a_redirect_has_a_limit():
    def answer(request):
        request.connection.answer(
            b"HTTP/1.1 302 F\r\nLocation: /\r\nContent-Length: 2000000\r\n\r\n" + bytes(2_000_000)
        )

    with pytest.raises(BodyTooLargeError):
        exchange("/", answer, streaming_callback=lambda chunk: None)


def test_memory_stays_constant_whatever_is_streamed_up_and_down():
    size = 40_000_000
    taken = 0

    async def take(chunk):
        nonlocal taken
        await asyncio.sleep(0)
        taken += len(chunk)

    async def produce(write):
        for _ in range(size // 100_000):
            await write(bytes(100_000))

    with server_process(max_body_bytes=100_000_000) as server:

        async def run():
            client = AsyncHTTPClient(force_instance=True)
            before = resident_bytes()
            url = f"http://127.0.0.1:{server.port}/big"
            for _ in range(size // 1_000_000):
                await client.fetch(url, streaming_callback=take)
            await client.fetch(url, method="POST", body_producer=produce, headers={"Content-Length": str(size)})
            client.close()
            return resident_bytes() - before

        assert asyncio.run(run()) < 20_000_000
    assert taken == size


def test_producer_waits_for_a_slow_server():
    written = 0

    async def produce(write):
        nonlocal written
        for _ in range(1000):
            await write(bytes(100_000))
            written += 100_000

    async def run():
        with listening_socket() as listener:
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 100_000)
            client = AsyncHTTPClient(force_instance=True)
            url = f"http://127.0.0.1:{listener.getsockname()[1]}/"
            with pytest.raises(HTTPTimeoutError, match=r"while sending the body to .*, after [0-9]+ bytes"):
                await client.fetch(url, method="POST", body_producer=produce, request_timeout=0.3)
            client.close()

    asyncio.run(run())
    assert 0 < written < 50_000_000


def test_failing_callback_ends_a_fetch_whose_server_is_silent():
    def answer(request):
        request.connection.write(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nabc")

    async def take(chunk):
        await asyncio.sleep(0)
        raise LookupError("mine")

    with pytest.raises(LookupError):
        exchange("/", answer, streaming_callback=take, request_timeout=0)
