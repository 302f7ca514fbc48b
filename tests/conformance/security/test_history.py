"""Holes that servers and frameworks of this kind have had: each is tried here as it was used then.

Named by the identifier of the advisory, or by the release that closed it. What a test shows is that the old way in is
shut; the rules themselves have their tests where they live.
"""

import asyncio
import base64
import contextlib
import gzip
import re
import ssl
import time
from urllib.parse import quote

import pytest

from framework import frames, netutil, signing
from framework.auth import OpenIdMixin
from framework.cookies import format_set_cookie, parse_cookies
from framework.errors import FrameworkError, ProtocolError
from framework.forms import parse_multipart, parse_urlencoded
from framework.httpclient import AsyncHTTPClient, BodyTooLargeError, HTTPRequest
from framework.httputil import HTTPHeaders, parse_header_parameters
from framework.s3server.store import Store
from framework.testing import Client, serving
from framework.web import Application, HTTPError, RequestHandler, StaticFileHandler
from framework.websocket import WebSocketHandler
from tests.support.openid2 import lying_provider


class Hello(RequestHandler):
    def get(self):
        self.write("hello")

    post = get


def client_of(get, **settings):
    handler = type("Handler", (RequestHandler,), {"get": get, "post": get})
    return Client(Application([("/.*", handler)], log_function=lambda _: None, **settings))


def exchange(data, routes=None):
    """All that a server sends back for the bytes, until it closes."""

    async def scenario():
        async with serving(Application(routes or [("/.*", Hello)], log_function=lambda _: None)) as port:
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            writer.write(data)
            writer.write_eof()
            answer = await reader.read()
            writer.close()
            return answer

    return asyncio.run(scenario())


def cost(work, size):
    """Least of five runs, in seconds of this thread's CPU time."""
    data = size
    best = 1e9
    for _ in range(5):
        begun = time.thread_time()
        work(data)
        best = min(best, time.thread_time() - begun)
    return best


def assert_linear(work, size=20_000):
    """Ten times as much takes far less than a hundred times as long, which is what a quadratic parser takes."""
    work(10)
    small, large = cost(work, size), cost(work, 10 * size)
    assert large < 40 * max(small, 1e-4)


def test_1_1_1_script_s_request_is_not_exempt_from_the_xsrf_check():
    client = client_of(lambda self: self.write("x"), xsrf_cookies=True)
    assert client.fetch("/", "POST", headers={"X-Requested-With": "XMLHttpRequest"}).status == 403


@pytest.mark.parametrize("value", ["a\r\nSet-Cookie: b=c", "a\nb", "a\rb", "a\0b", b"a\r\nb"])
def test_cve_2012_2374_header_value_that_ends_the_line_is_refused(value):
    def get(self):
        for call in (self.set_header, self.add_header):
            with pytest.raises(ValueError):
                call("X-Given", value)
        with pytest.raises((ValueError, FrameworkError)):
            self.set_header("X\r\nY", "v")

    response = client_of(get).fetch("/")
    assert response.status == 200 and "X-Given" not in response.headers


def test_2_2_old_versions_of_tls_are_not_spoken():
    for is_server in (True, False):
        context = netutil.ssl_options_to_context({}, server_side=is_server)
        assert context.minimum_version >= ssl.TLSVersion.TLSv1_2


def test_3_2_1_parts_of_a_signed_cookie_can_not_trade_places():
    secret = "61oETzKXQAGaYdkL5gEmGeJJFuYh7EQnp2XdTP1o/Vo="
    now, for_ever = 1_300_000_000.0, 1e6

    def read(value, name="user", min_version=1):
        return signing.decode_signed_value(secret, name, value, for_ever, lambda: now, min_version)

    # Version 1 signs name, value and time without a delimiter. Digits of the value's end lead the time, ...
    value = base64.b64decode("abcd1234")
    payload, stamp, signature = signing.create_signed_value(secret, "user", value, 1, lambda: now).decode().split("|")
    assert payload == "abcd1234" and read(f"{payload}|{stamp}|{signature}") == value
    assert read(f"abcd|1234{stamp}|{signature}") is None
    # ... or those of the time end the value: what is left of it must not be taken for another time.
    payload, stamp, signature = (
        signing.create_signed_value(secret, "user", "abc", 1, lambda: now + 1).decode().split("|")
    )
    assert read(f"{payload}{stamp[:4]}|{stamp[4:]}|{signature}") is None
    # Version 2 tells the end of the name from the beginning of the value, which version 1 could not.
    old, new = (
        signing.create_signed_value(secret, "us", "er1234", version, lambda: now).decode() for version in (1, 2)
    )
    assert read(old) is None and read(new) is None
    assert read(old, "us", min_version=2) is None and read(new, "us") == b"er1234"
    assert signing.DEFAULT_SIGNED_VALUE_MIN_VERSION == 2


def test_cve_2014_9720_token_looks_different_on_every_page():
    client = client_of(lambda self: self.write(self.xsrf_token), xsrf_cookies=True)
    shown = {client.fetch("/").text for _ in range(5)}
    assert len(shown) == 5
    for token in shown:
        assert client.fetch("/", "POST", body={"_xsrf": token}).status == 200


def test_4_0_page_of_another_site_may_not_open_a_websocket():
    handshake = (
        b"GET /ws HTTP/1.1\r\nHost: here.example\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\nOrigin: http://evil.example\r\n\r\n"
    )
    assert exchange(handshake, [("/ws", WebSocketHandler)]).startswith(b"HTTP/1.1 403 ")


@pytest.mark.parametrize(
    "header", ['a="; _xsrf=evil; b="', "a=b;c; _xsrf=mine", "{}=x; _xsrf=mine", "a=b, _xsrf=x; _xsrf=mine"]
)
def test_4_4_2_cookies_are_read_as_browsers_write_them(header):
    found = parse_cookies(header)
    # A quote does not swallow what follows, and an odd cookie does not take the others with it.
    assert found["_xsrf"] == ("evil" if "evil" in header else "mine")


def test_4_5_3_connection_is_right_after_chunks_and_answers_without_body():
    class Nothing(RequestHandler):
        def get(self):
            self.set_status(204)

    chunked = b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n"
    nothing = b"GET /nothing HTTP/1.1\r\nHost: a\r\n\r\n"
    last = b"GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"
    answer = exchange(chunked + nothing + last, [("/nothing", Nothing), ("/", Hello)])
    assert answer.count(b"HTTP/1.1 200 OK") == 2
    empty = answer.split(b"HTTP/1.1 204")[1].split(b"HTTP/1.1 200")[0]
    assert empty.endswith(b"\r\n\r\n") and b"Content-Length" not in empty and b"Transfer-Encoding" not in empty


def test_cve_2023_28370_folder_with_an_index_redirects_to_no_other_site(tmp_path):
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder" / "index.html").write_text("x")
    routes = [("/+(.*)", StaticFileHandler, {"path": str(tmp_path), "default_filename": "index.html"})]
    for target in ("//evil.example/%2e%2e", "//evil.example/..", "//evil.example/%2e%2e/folder", "//folder"):
        answer = exchange(f"GET {target} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n".encode(), routes)
        location = re.search(rb"\r\nLocation: (.*)\r\n", answer)
        assert location and re.match(rb"/[^/\\]", location[1]), target


@pytest.mark.parametrize("length", ["+1", "1_0", "\u0661", "0x1", "1 1", "-1", "", "1,2"])
def test_ghsa_qppv_j76h_2rpx_lengths_are_plain_digits(length):
    head = f"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: {length}\r\n\r\nx".encode()
    assert exchange(head).startswith(b"HTTP/1.1 400 ")
    chunk = f"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n{length}\r\nx\r\n0\r\n\r\n".encode()
    assert exchange(chunk).startswith(b"HTTP/1.1 400 ")


@pytest.mark.parametrize(
    "fields",
    [
        "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked",
        "Transfer-Encoding: chunked\r\nContent-Length: 5",
        "Transfer-Encoding: gzip, chunked",
        "Transfer-Encoding: identity",
        "Transfer-Encoding: chunked, identity",
        "Transfer-Encoding: \x0bchunked",
    ],
)
def test_ghsa_753j_mpmx_qq6g_any_but_one_chunked_is_an_error(fields):
    smuggled = f"POST / HTTP/1.1\r\nHost: a\r\n{fields}\r\n\r\n0\r\n\r\nGET /smuggled HTTP/1.1\r\nHost: a\r\n\r\n"
    answer = exchange(smuggled.encode())
    assert answer.startswith((b"HTTP/1.1 400 ", b"HTTP/1.1 501 "))
    assert answer.count(b"HTTP/1.1") == 1


@pytest.mark.parametrize("value", ["a\r\nX: y", "a\rb", "a\nb", "a\0b"])
def test_ghsa_w235_7p84_xx57_client_s_header_can_not_end_its_line(value):
    for headers in ({"X-Given": value}, {value: "x"}):
        with pytest.raises(ValueError):
            HTTPRequest("http://127.0.0.1/", headers=headers)


@pytest.mark.parametrize("space", ["\x0b", "\x0c", "\x1c", "\x85", "\xa0"])
def test_6_4_1_only_blanks_and_tabs_are_white_space(space):
    head = f"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: {space}chunked\r\n\r\n0\r\n\r\n".encode("latin-1")
    assert exchange(head).startswith((b"HTTP/1.1 400 ", b"HTTP/1.1 501 "))
    assert HTTPHeaders.parse(f"A: {space if space > ' ' else ' '}b\r\n").get("A") == (
        f"{space}b" if space > " " else "b"
    )


@pytest.mark.parametrize("unit", ["a=b;", '\\"', '"', '"\\012', " ", 'a="b;'])
def test_cve_2024_52804_cookies_are_read_in_linear_time(unit):
    assert_linear(lambda size: parse_cookies("a=" + unit * (size // len(unit))))
    # Unquoting is what was quadratic.
    assert_linear(lambda size: parse_cookies('a="' + unit.replace(";", ",") * (size // len(unit)) + '"'))


def test_cve_2025_47287_broken_multipart_is_one_line_of_log(caplog):
    # As many as are allowed: more are refused before the first is looked at.
    body = b"--b\r\nX: y\r\n\r\nno name\r\n" * 90 + b"--b--\r\n"
    request = b"POST / HTTP/1.1\r\nHost: a\r\nContent-Type: multipart/form-data; boundary=b\r\n"

    class Form(RequestHandler):
        def post(self):
            self.get_argument("x")

    head = request + b"Connection: close\r\nContent-Length: %d\r\n\r\n" % len(body)
    assert exchange(head + body, [("/", Form)]).startswith(b"HTTP/1.1 400 ")
    assert len(caplog.records) <= 2


@pytest.mark.parametrize(
    "head",
    [
        "GET /\x00 HTTP/1.1\r\nHost: a",
        "GET /\x7f HTTP/1.1\r\nHost: a",
        "G\x01T / HTTP/1.1\r\nHost: a",
        "GET / HTTP/1.1\r\nHost: a\r\nX: a\x01b",
        "GET / HTTP/1.1\r\nHost: a\r\nX Y: a",
        "GET / HTTP/1.1\r\nHost: a\r\n: a",
        "GET / HTTP/1.1\r\nHost: a\r\nHost: b",
        "GET / HTTP/1.1",
        "GET / HTTP/1.1\r\nHost: a b",
        "GET / HTTP/1.1\r\nHost: a/b",
    ],
)
def test_6_5_0_control_characters_odd_names_and_hosts_are_refused(head):
    assert exchange(f"{head}\r\n\r\n".encode()).startswith((b"HTTP/1.1 400 ", b"HTTP/1.1 501 "))


@pytest.mark.parametrize("reason", ["<script>alert(1)</script>", "a\r\nSet-Cookie: b=c", "a\0b"])
def test_cve_2025_67724_reason_is_neither_markup_nor_a_header(reason):
    def get(self):
        raise HTTPError(400, reason=reason)

    response = client_of(get).fetch("/")
    assert response.status in (400, 500)
    assert "<script>" not in response.text and "Set-Cookie" not in response.headers
    assert not set("\r\n\0") & set(response.reason)


def test_cve_2025_67725_repeated_header_lines_are_joined_in_linear_time():
    def work(size):
        headers = HTTPHeaders()
        for _ in range(size // 20):
            headers.add("X-Same", "value")
        assert not size // 20 or headers["X-Same"].startswith("value,value")

    assert_linear(work)


@pytest.mark.parametrize("unit", ['";', ";", 'a=";";', "a*0=b;"])
def test_cve_2025_67726_parameters_are_parsed_in_linear_time(unit):
    def work(size):
        parse_header_parameters('form-data; name="' + unit * (size // len(unit)))

    assert_linear(work, 5_000)


@pytest.mark.parametrize(
    "target", ["//evil.example", "/\\evil.example", "http://evil.example/", "\t//evil.example", "javascript:x"]
)
def test_6_5_3_next_page_is_one_of_ours(target):
    client = client_of(lambda self: self.redirect(self.get_next_url()))
    location = client.fetch(f"/login?next={quote(target)}").headers["Location"]
    assert location.startswith("/") and not location.startswith(("//", "/\\"))


def test_cve_2026_31958_number_of_parts_has_an_end():
    parts = b"".join(b'--b\r\nContent-Disposition: form-data; name="a"\r\n\r\nx\r\n' for _ in range(5000))
    with pytest.raises(ProtocolError):
        parse_multipart(b"b", parts + b"--b--\r\n", {}, {})


@pytest.mark.parametrize("name", ["domain", "path", "samesite", "comment", "version", "max_age"])
@pytest.mark.parametrize("value", ["a; HttpOnly", "a\r\nX: y", "a;b"])
def test_cve_2026_35536_ghsa_wwv5_g3v4_889x_no_attribute_of_a_cookie_brings_another(name, value):
    def get(self):
        with pytest.raises((ValueError, TypeError, FrameworkError)):
            self.set_cookie("a", "b", **{name: value})

    response = client_of(get).fetch("/")
    assert response.status == 200 and "Set-Cookie" not in response.headers
    with pytest.raises((ValueError, TypeError, FrameworkError)):
        format_set_cookie("a", "b", {name: value})


@pytest.mark.parametrize("end", ["\r", "\r\r", "\x0b"])
def test_6_5_5_carriage_return_ends_no_line_of_a_part(end):
    part = f'--b\r\nContent-Disposition: form-data; name="a"{end}X: y\r\n\r\nx\r\n--b--\r\n'.encode()
    arguments, files = {}, {}
    with pytest.raises(ProtocolError):
        parse_multipart(b"b", part, arguments, files)


def test_cve_2026_49853_credentials_do_not_follow_to_another_origin():
    seen = []

    class Told(RequestHandler):
        def get(self):
            seen.append((self.request.headers.get("Authorization"), self.request.headers.get("Cookie")))

    async def scenario():
        async with serving(Application([("/", Told)], log_function=lambda _: None)) as other:

            class Away(RequestHandler):
                def get(self):
                    self.redirect(f"http://localhost:{other}/")

            async with serving(Application([("/", Away)], log_function=lambda _: None)) as port:
                client = AsyncHTTPClient(force_instance=True)
                await client.fetch(f"http://127.0.0.1:{port}/", headers={"Authorization": "Bearer t", "Cookie": "a=b"})
                await client.fetch(f"http://127.0.0.1:{port}/", auth_username="u", auth_password="p")
                client.close()

    asyncio.run(scenario())
    assert seen == [(None, None), (None, None)]


def test_cve_2026_49854_mask_is_used_round_and_round_and_no_further():
    mask = b"\x01\x02\x03\x04"
    for length in range(70):
        data = bytes(range(length))
        assert frames.apply_mask(data, mask) == bytes(byte ^ mask[at % 4] for at, byte in enumerate(data))


def test_cve_2026_49855_limit_counts_what_comes_out_of_the_compression():
    bomb = gzip.compress(b"\0" * 50_000_000)

    class Bomb(RequestHandler):
        def get(self):
            self.set_header("Content-Encoding", "gzip")
            self.write(bomb)

    async def scenario():
        async with serving(Application([("/", Bomb)], log_function=lambda _: None)) as port:
            client = AsyncHTTPClient(force_instance=True)
            with pytest.raises(BodyTooLargeError):
                await client.fetch(f"http://127.0.0.1:{port}/", max_body_bytes=1_000_000)
            client.close()

    asyncio.run(scenario())


def test_6_5_6_provider_s_yes_is_a_line_of_its_own():
    for body, status in (("is_valid:true\n", 200), ("error:not is_valid:true at all\n", 403)):

        async def scenario(body=body):
            async with serving(lying_provider(200, body)) as provider:

                class SignIn(OpenIdMixin, RequestHandler):
                    _OPENID_ENDPOINT = f"http://127.0.0.1:{provider}/op"

                    async def get(self):
                        if not self.get_argument("openid.mode", None):
                            self.authenticate_redirect()
                        elif not await self.get_authenticated_user():
                            raise HTTPError(403)

                site_of = Application([("/", SignIn)], cookie_secret="x", log_function=lambda _: None)
                async with serving(site_of) as site:
                    client = AsyncHTTPClient(force_instance=True, cookies=True)
                    response = await client.fetch(f"http://127.0.0.1:{site}/", raise_error=False)
                    client.close()
                    return response.code

        assert asyncio.run(scenario()) == status


def test_ghsa_pw6j_qg29_8w7f_next_request_knows_nothing_of_the_last_one_s_credentials():
    seen = []

    class Told(RequestHandler):
        def get(self):
            seen.append((self.request.headers.get("Authorization"), self.request.headers.get("X-Secret")))

    async def scenario():
        async with serving(Application([("/", Told)], log_function=lambda _: None)) as port:
            client = AsyncHTTPClient(force_instance=True, max_clients=1)
            secret = {"auth_username": "u", "auth_password": "p", "headers": {"X-Secret": "s"}}
            await client.fetch(f"http://127.0.0.1:{port}/", **secret)
            await client.fetch(f"http://127.0.0.1:{port}/")
            client.close()

    asyncio.run(scenario())
    assert seen[0][0] is not None and seen[1] == (None, None)


def test_ghsa_mpf4_983q_p7j4_number_of_fields_has_an_end():
    with pytest.raises(ProtocolError):
        parse_urlencoded(b"a&" * 100_000)
    client = client_of(lambda self: self.write(self.get_argument("a", "")))
    assert client.fetch("/?" + "a&" * 20_000).status == 400


def test_ghsa_8423_8fgw_73vq_parts_are_counted_before_they_are_cut():
    import tracemalloc

    body = b"--b\r\n" * 400_000
    tracemalloc.start()
    with pytest.raises(ProtocolError):
        parse_multipart(b"b", body, {}, {})
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < len(body)


def test_signatures_and_tokens_are_compared_in_constant_time(monkeypatch):
    compared = []

    def compare(ours, theirs):
        compared.append((ours, theirs))
        return False

    signed = {version: signing.create_signed_value("secret", "a", "1", version) for version in (1, 2)}
    client = client_of(lambda self: self.write(self.xsrf_token), xsrf_cookies=True)
    token = client.fetch("/").text
    monkeypatch.setattr("hmac.compare_digest", compare)
    # What compare_digest says decides, so nothing else can have compared them.
    for version, value in signed.items():
        assert signing.decode_signed_value("secret", "a", value, min_version=version) is None
        assert compared.pop()[1] == value.rpartition(b"|")[2]
    assert client.fetch("/", "POST", body={"_xsrf": token}).status == 403
    assert compared


def test_6_5_3_store_writes_nowhere_but_in_its_folder(tmp_path):
    (tmp_path / "secret.txt").write_text("secret")
    with contextlib.closing(Store(tmp_path / "store")) as store:
        store.create_bucket("bucket")
        for key in (
            "../../secret.txt",
            "/../../../secret.txt",
            str(tmp_path / "secret.txt"),
            "..",
            "a/../../../new.txt",
        ):
            assert store.find("bucket", key) is None
            draft = store.begin()
            draft.write(b"written")
            store.put("bucket", key, draft, 7, "0" * 32, {})
            assert store.get("bucket", key).size == 7
    assert (tmp_path / "secret.txt").read_text() == "secret"
    assert sorted(one.name for one in tmp_path.iterdir()) == ["secret.txt", "store"]
