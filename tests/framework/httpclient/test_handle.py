"""What is set on one request, and that it is not set on the next."""

import asyncio
import hashlib
import re

import pycurl
import pytest

from framework.httpclient import CurlError, HTTPError, HTTPRequest
from framework.testing import serving
from tests.framework.httpclient.conftest import run_with_client


def show(request):
    """The request as the server saw it, and from where."""
    body = request.raw_head + b"\r\n" + request.remote_ip.encode() + b"\r\n" + request.body
    request.connection.answer(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s" % (len(body), body))


async def produce(write):
    await write(b"piece")


OPTIONS = [
    {
        "headers": {
            "X-Mine": "1",
            "Cookie": "a=b",
            "Authorization": "x",
            "Host": "other.example",
            "Accept": "text/plain",
        }
    },
    {"auth_username": "me", "auth_password": "secret"},
    {"user_agent": "mine"},
    {"method": "PUT", "body": b"x", "headers": {"Content-Type": "text/x"}},
    {"method": "POST", "body": b"y" * 100_000, "expect_100_continue": True},
    {"method": "POST", "body_producer": produce},
    {"method": "HEAD"},
    {"method": "BREW", "allow_nonstandard_methods": True},
    {"network_interface": "127.0.0.2"},
    {"decompress_response": False},
    {"allow_ipv6": False},
    {"if_modified_since": 0},
    {"max_body_bytes": 1_000_000, "request_timeout": 5, "connect_timeout": 5, "idle_timeout": 5},
    {"streaming_callback": len, "header_callback": len},
    {"prepare_curl_callback": lambda curl: curl.setopt(pycurl.REFERER, "http://secret/")},
    {"follow_redirects": False, "max_redirects": 0},
]


@pytest.mark.parametrize("fields", OPTIONS, ids=lambda fields: "-".join(fields))
def test_option_of_one_request_is_not_seen_in_the_next(fields):
    async def use(client):
        async with serving(show) as port:
            url = f"http://127.0.0.1:{port}/"
            alone = (await client.fetch(url)).body
            await client.fetch(url, **fields)
            return alone, (await client.fetch(url)).body

    alone, after = run_with_client(use)
    assert after == alone


def test_next_request_goes_past_the_proxy(proxy):
    async def use(client):
        async with serving(show) as port:
            url = f"http://127.0.0.1:{port}/"
            alone = (await client.fetch(url)).body
            assert (await client.fetch(url, **proxy)).body != alone
            return alone, (await client.fetch(url)).body

    alone, after = run_with_client(use)
    assert after == alone


def test_unchecked_connection_is_not_lent_to_a_request_that_checks(authority):
    async def use(client):
        async with serving(show, ssl_options=authority.context("localhost")) as port:
            url = f"https://localhost:{port}/"
            await client.fetch(url, validate_cert=False)
            with pytest.raises(CurlError, match="certificate"):
                await client.fetch(url)
            await client.fetch(url, ca_certs=authority.file)
            with pytest.raises(CurlError, match="certificate"):
                await client.fetch(url)

    run_with_client(use)


def test_client_certificate_is_not_shown_by_the_next_request(authority):
    def tell(request):
        body = b"known" if request.get_ssl_certificate() else b"unknown"
        request.connection.answer(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s" % (len(body), body))

    chain, key = authority.issue("me@localhost")

    async def use(client):
        async with serving(tell, ssl_options=authority.context("localhost", asks=True)) as port:
            seen = []
            for fields in (
                {"client_cert": chain, "client_key": key},
                {},
                {"ssl_options": {"certfile": chain, "keyfile": key}},
                {},
            ):
                response = await client.fetch(f"https://localhost:{port}/", ca_certs=authority.file, **fields)
                seen.append(response.body)
            return seen

    assert run_with_client(use) == [b"known", b"unknown", b"known", b"unknown"]


def answer_digest(request, status="401 Unauthorized", asks="WWW-Authenticate", answers="Authorization"):
    """Asks for a digest (RFC 7616, SHA-256) of me:secret, and computes it anew."""
    given = dict(re.findall(r'(\w+)="?([^",]*)"?', request.headers.get(answers, "")))

    def digest(text):
        return hashlib.sha256(text.encode()).hexdigest()

    # Of a proxy's request libcurl takes the path alone, as browsers do.
    target = request.uri.removeprefix("http://far.example")
    expected = None
    if given:
        middle = f"{given['nonce']}:{given['nc']}:{given['cnonce']}:{given['qop']}"
        expected = digest(f"{digest('me:r:secret')}:{middle}:{digest(request.method + ':' + target)}")
    if given and given["response"] == expected:
        body = b"digested " + request.body
        request.connection.answer(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s" % (len(body), body))
    else:
        question = 'Digest realm="r", qop="auth", algorithm=SHA-256, nonce="n"'
        head = f"HTTP/1.1 {status}\r\n{asks}: {question}\r\nContent-Length: 2\r\n\r\nno"
        request.connection.answer(head.encode())


def test_digest_authentication():
    lines = []
    fields = {"auth_username": "me", "auth_password": "secret", "auth_mode": "digest"}

    async def use(client):
        async with serving(answer_digest) as port:
            url = f"http://127.0.0.1:{port}/a?b=c"
            bodies = [(await client.fetch(url, header_callback=lines.append, **fields)).body]
            bodies.append((await client.fetch(url, method="POST", body=b"body", **fields)).body)
            bodies.append((await client.fetch(url, method="POST", body_producer=produce, **fields)).body)
            for wrong in ({**fields, "auth_password": "wrong"}, {}):
                with pytest.raises(HTTPError) as caught:
                    await client.fetch(url, header_callback=lines.append, **wrong)
                assert caught.value.code == 401
                assert caught.value.response.body == b"no"
            return bodies

    assert run_with_client(use) == [b"digested ", b"digested body", b"digested piece"]
    assert [line.split()[1] for line in lines if line.startswith("HTTP/")] == ["200", "401", "401"]


def test_digest_authentication_at_a_proxy():
    seen = []

    def proxy(request):
        seen.append("Authorization" in request.headers)
        answer_digest(request, "407 Proxy Authentication Required", "Proxy-Authenticate", "Proxy-Authorization")

    async def use(client):
        async with serving(proxy) as port:
            fields = {
                "proxy_host": "127.0.0.1",
                "proxy_port": port,
                "proxy_username": "me",
                "proxy_auth_mode": "digest",
            }
            good = await client.fetch("http://far.example/x", proxy_password="secret", **fields)
            with pytest.raises(HTTPError) as caught:
                await client.fetch("http://far.example/x", proxy_password="wrong", **fields)
            return good.body, caught.value.code

    assert run_with_client(use) == (b"digested ", 407)
    assert not any(seen)


@pytest.mark.parametrize("name", ["auth_username", "auth_password", "proxy_username", "client_cert", "auth_mode"])
def test_line_ends_in_credentials_are_refused(name):
    with pytest.raises(ValueError, match=name):
        HTTPRequest("http://a/", **{name: "a\r\nX: y"})


def test_line_ends_in_credentials_of_the_url_are_refused():
    async def use(client):
        with pytest.raises(ValueError, match="control characters"):
            client.fetch("http://me%0d%0aX:y@127.0.0.1/", auth_mode="digest")

    run_with_client(use)


@pytest.mark.parametrize(
    "fields",
    [{"method": "POST", "body": b"abc"}, {}, {"method": "POST", "body": b"", "allow_nonstandard_methods": True}],
)
def test_content_length_that_is_not_the_bodys_is_refused(fields):
    async def use(client):
        with pytest.raises(ValueError, match="Content-Length"):
            client.fetch("http://127.0.0.1/", headers={"Content-Length": "5"}, **fields)

    run_with_client(use)


@pytest.mark.parametrize(("length", "is_good"), [("5", True), ("3", False), ("9", False)])
def test_produced_body_keeps_to_its_content_length(length, is_good):
    async def use(client):
        async with serving(show) as port:
            fetch = client.fetch(
                f"http://127.0.0.1:{port}/",
                method="POST",
                body_producer=produce,
                headers={"Content-Length": length},
                request_timeout=1,
            )
            if is_good:
                return (await fetch).body
            with pytest.raises((HTTPError, ValueError)):
                await fetch
            return (await client.fetch(f"http://127.0.0.1:{port}/")).body

    seen = run_with_client(use)
    assert seen.count(b"HTTP/1.1") == 1
    assert seen.endswith(b"piece") == is_good
    if is_good:
        assert seen.lower().count(b"content-length: 5\r\n") == 1


def test_cookies_are_kept_where_they_belong():
    def answer(request):
        seen = request.headers.get("Cookie", "").encode()
        extra = b"Set-Cookie: a=1\r\nSet-Cookie: b=2; Path=/deep\r\nSet-Cookie: c=3; Domain=com\r\n"
        if request.path == "/set":
            head = b"HTTP/1.1 302 Found\r\nLocation: /see\r\n" + extra
        else:
            head = b"HTTP/1.1 200 OK\r\n"
        request.connection.answer(head + b"Content-Length: %d\r\n\r\n%s" % (len(seen), seen))

    async def use(client):
        async with serving(answer) as port:
            seen = [(await client.fetch(f"http://127.0.0.1:{port}{path}")).body for path in ("/set", "/deep/x", "/see")]
            seen.append((await client.fetch(f"http://localhost:{port}/see", allow_ipv6=False)).body)
            return seen

    first, deep, again, elsewhere = run_with_client(use, cookies=True)
    assert (first, again, elsewhere) == (b"a=1", b"a=1", b"")
    assert set(deep.split(b"; ")) == {b"a=1", b"b=2"}
    assert run_with_client(use) == [b"", b"", b"", b""]


def test_a_fetch_and_a_close_from_within_callbacks():
    async def use(client):
        async with serving(show) as port:
            url = f"http://127.0.0.1:{port}/"
            inner = []

            def again(chunk):
                inner.append(client.fetch(url + "again"))

            await client.fetch(url, streaming_callback=again)
            assert b"/again" in (await inner[0]).body

            def close(chunk):
                client.close()

            with pytest.raises(HTTPError, match="closed"):
                await client.fetch(url, streaming_callback=close)
            await asyncio.sleep(0)

    run_with_client(use)
