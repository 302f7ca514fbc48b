"""What goes over the wire and comes back, beyond what redirects and queues do."""

import asyncio
import gzip
import ssl
import subprocess

import pytest

from framework.httpclient import (
    AddressPolicy,
    AddressRefusedError,
    AsyncHTTPClient,
    BodyTooLargeError,
    CurlError,
    HTTPTimeoutError,
)
from framework.testing import serving
from framework.web import Application, RequestHandler, stream_request_body
from tests.support.rawhttp import listening_socket


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


@pytest.fixture(scope="module")
def certificate(tmp_path_factory):
    """Files of a certificate for localhost and of its key."""
    folder = tmp_path_factory.mktemp("tls")
    subject = ["-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost"]
    key = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2"]
    files = ["-keyout", str(folder / "key"), "-out", str(folder / "cert")]
    subprocess.run(
        ["openssl", "req", "-x509", *key, *subject, *files],
        check=True,
        capture_output=True,
    )
    return str(folder / "cert"), str(folder / "key")


def fetch_tls(certificate, ask, **fields):
    """The answer of a TLS server that asks for the client's certificate if `ask`."""

    async def run():
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(*certificate)
        if ask:
            context.verify_mode = ssl.CERT_OPTIONAL
            context.load_verify_locations(certificate[0])

        def answer(request):
            body = b"certified" if request.get_ssl_certificate() else b"nobody"
            request.connection.answer(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s" % (len(body), body))

        async with serving(answer, ssl_options=context) as port:
            client = AsyncHTTPClient(force_instance=True)
            try:
                url = f"https://localhost:{port}/"
                answers = [(await client.fetch(url, **fields)).body]
                if ask:
                    answers.append((await client.fetch(url, ca_certs=certificate[0])).body)
                return answers
            finally:
                client.close()

    return asyncio.run(run())


def test_certificates_are_checked(certificate):
    with pytest.raises(CurlError, match="certificate"):
        fetch_tls(certificate, False)
    assert fetch_tls(certificate, False, ca_certs=certificate[0]) == [b"nobody"]
    assert fetch_tls(certificate, False, validate_cert=False) == [b"nobody"]


def test_client_certificate_is_shown_only_where_it_was_given(certificate):
    fields = {"client_cert": certificate[0], "client_key": certificate[1], "ca_certs": certificate[0]}
    assert fetch_tls(certificate, True, **fields) == [b"certified", b"nobody"]
