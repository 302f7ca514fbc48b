"""The client before the real thing: nginx with TLS and HTTP/2, and a proxy."""

import asyncio

import pytest

from framework.httpclient import BodyTooLargeError, CurlError, HTTPError, HTTPTimeoutError
from framework.testing import serving
from tests.framework.httpclient.conftest import run_with_client

HELLO = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s"


def echo(request):
    request.connection.answer(HELLO % (len(request.raw_head), request.raw_head))


def test_http2_is_spoken_and_its_streams_share_connections(nginx, authority):
    async def use(client):
        first = await client.fetch(nginx + "/hello", ca_certs=authority.file)
        others = await asyncio.gather(*[client.fetch(nginx + "/hello", ca_certs=authority.file) for _ in range(20)])
        return first, others

    first, others = run_with_client(use)
    assert first.http_version == "HTTP/2"
    assert {response.body for response in others} == {first.body}
    assert first.body.startswith(b"HTTP/2.0 ")


def test_http2_streams_down_with_back_pressure(nginx, authority):
    taken = 0

    async def take(chunk):
        nonlocal taken
        await asyncio.sleep(0)
        taken += len(chunk)

    async def use(client):
        return await client.fetch(nginx + "/big", ca_certs=authority.file, streaming_callback=take)

    assert run_with_client(use).headers["Content-Encoding"] == "gzip"
    assert taken == 8 << 20


def test_http2_streams_up_with_back_pressure(nginx, authority):
    pieces = [bytes([number]) * 100_000 for number in range(40)]

    async def produce(write):
        for piece in pieces:
            await write(piece)

    async def use(client):
        fields = {"ca_certs": authority.file}
        for headers in ({}, {"Content-Length": "4000000"}):
            sent = await client.fetch(
                nginx + "/kept", method="PUT", body_producer=produce, headers=headers, raise_error=False, **fields
            )
            assert (sent.http_version, sent.code in (201, 204)) == ("HTTP/2", True)
            assert (await client.fetch(nginx + "/kept", **fields)).body == b"".join(pieces)
        sent = await client.fetch(nginx + "/kept", method="PUT", body=b"short", **fields)
        return sent.code, (await client.fetch(nginx + "/kept", **fields)).body

    assert run_with_client(use) == (204, b"short")


def test_http2_stream_that_is_given_up_does_not_hurt_the_others(nginx, authority):
    async def use(client):
        fields = {"ca_certs": authority.file}
        await client.fetch(nginx + "/hello", **fields)
        slow = [client.fetch(nginx + "/slow", **fields) for _ in range(5)]
        timed = client.fetch(nginx + "/slow", request_timeout=0.3, **fields)
        other = client.fetch(nginx + "/big", **fields)
        failing = client.fetch(nginx + "/big", streaming_callback=lambda chunk: 1 / 0, **fields)
        limited = client.fetch(nginx + "/big", max_body_bytes=100_000, **fields)
        with pytest.raises(ZeroDivisionError):
            await failing
        with pytest.raises(BodyTooLargeError):
            await limited
        with pytest.raises(HTTPTimeoutError, match="while receiving the body"):
            await timed
        for fetch in slow:
            fetch.cancel()
        whole = await other
        again = await client.fetch(nginx + "/hello", **fields)
        return len(whole.body), again.body, again.time_info["connect"]

    size, body, connecting_s = run_with_client(use)
    assert (size, body[:8]) == (8 << 20, b"HTTP/2.0")
    assert connecting_s == 0  # the connection has outlived all of it


def test_basic_authentication_before_nginx(nginx, authority):
    async def use(client):
        good = {"auth_username": "me", "auth_password": "pass wörd%20"}
        response = await client.fetch(nginx + "/secret", ca_certs=authority.file, **good)
        codes = []
        for wrong in ({}, {"auth_username": "me", "auth_password": "wrong"}):
            with pytest.raises(HTTPError) as caught:
                await client.fetch(nginx + "/secret", ca_certs=authority.file, **wrong)
            codes.append(caught.value.code)
        in_url = nginx.replace("https://", "https://me:pass%20w%C3%B6rd%2520@")
        return response.body, codes, (await client.fetch(in_url + "/secret", ca_certs=authority.file)).body

    assert run_with_client(use) == (b"for you only", [401, 401], b"for you only")


def test_plain_requests_go_through_the_proxy(proxy):
    async def use(client):
        async with serving(echo) as port:
            through = await client.fetch(f"http://127.0.0.1:{port}/x", **proxy)
            straight = await client.fetch(f"http://127.0.0.1:{port}/x")
            return through.body, straight.body

    through, straight = run_with_client(use)
    assert b"Via:" in through
    assert b"Via:" not in straight


def test_tls_goes_through_a_tunnel(proxy, nginx, authority):
    lines = []

    async def use(client):
        fields = {"ca_certs": authority.file, "header_callback": lines.append}
        return await client.fetch(nginx + "/hello", **fields, **proxy)

    response = run_with_client(use)
    assert response.http_version == "HTTP/2"
    assert [line.split()[:2] for line in lines if line.startswith("HTTP/")] == [["HTTP/2", "200"]]
    assert not any("established" in line.lower() for line in lines)


def test_proxy_asks_for_a_password(guarded_proxy, nginx, authority):
    async def use(client):
        async with serving(echo) as port:
            plain, known = f"http://127.0.0.1:{port}/x", {"proxy_username": "me", "proxy_password": "secret"}
            bodies = [
                (await client.fetch(url, ca_certs=authority.file, **known, **guarded_proxy)).code
                for url in (plain, nginx + "/hello")
            ]
            errors = []
            for url in (plain, nginx + "/hello"):
                for wrong in ({}, {"proxy_username": "me", "proxy_password": "wrong"}):
                    with pytest.raises(HTTPError) as caught:
                        await client.fetch(url, ca_certs=authority.file, **wrong, **guarded_proxy)
                    errors.append(str(caught.value))
            seen = (await client.fetch(plain, **known, **guarded_proxy)).body
            return bodies, errors, seen

    codes, errors, seen = run_with_client(use)
    assert codes == [200, 200]
    assert all("407" in error or "401" in error for error in errors), errors
    assert b"Proxy-Authorization" not in seen


def test_proxy_that_is_not_there_is_named(nginx):
    async def use(client):
        with pytest.raises(CurlError, match=r"127\.0\.0\.1"):
            await client.fetch(nginx, proxy_host="127.0.0.1", proxy_port=1)

    run_with_client(use)


def test_answers_of_a_proxy_that_cannot_reach_the_server(proxy):
    async def use(client):
        with pytest.raises(HTTPError) as plain:
            await client.fetch("http://127.0.0.1:1/", **proxy)
        with pytest.raises(CurlError) as tunnel:
            await client.fetch("https://127.0.0.1:1/", **proxy)
        return plain.value.code, str(tunnel.value)

    code, text = run_with_client(use)
    assert code >= 500
    assert "CONNECT" in text


@pytest.mark.parametrize(
    ("names", "expired", "url", "trusts", "text"),
    [
        (["localhost"], True, "https://localhost", True, "expired"),
        (["elsewhere.example"], False, "https://localhost", True, "localhost"),
        (["localhost"], False, "https://localhost", False, "self-signed|issuer|authority|unable to get"),
        (["localhost"], False, "https://127.0.0.1", True, r"127\.0\.0\.1"),
        (["localhost"], False, "https://localhost", True, None),
    ],
)
def test_certificates(authority, names, expired, url, trusts, text):
    async def use(client):
        async with serving(echo, ssl_options=authority.context(*names, expired=expired)) as port:
            fields = {"ca_certs": authority.file} if trusts else {}
            if text is None:
                return await client.fetch(f"{url}:{port}/", **fields)
            with pytest.raises(CurlError, match=text) as caught:
                await client.fetch(f"{url}:{port}/", **fields)
            assert caught.value.errno == 60
            return await client.fetch(f"{url}:{port}/", validate_cert=False)

    assert run_with_client(use).code == 200
