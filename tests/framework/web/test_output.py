import asyncio
import gzip
import itertools
from datetime import UTC, datetime

import pytest

from framework.testing import Client, call
from framework.web import Application, RequestHandler


def client(verb, path="/", **settings):
    class Handler(RequestHandler):
        get = post = verb

    return Client(Application([("/.*", Handler)], **settings))


def hello(self):
    self.write("Hello, world")


def test_write_takes_text_bytes_and_dicts():
    assert client(lambda self: self.write("é")).fetch("/").body == "é".encode()
    assert client(lambda self: self.write(b"\xff")).fetch("/").body == b"\xff"
    assert client(lambda self: self.write(bytearray(b"x"))).fetch("/").body == b"x"
    response = client(lambda self: self.write({"a": "</script>"})).fetch("/")
    assert response.headers["Content-Type"] == "application/json; charset=UTF-8"
    assert response.body == b'{"a": "<\\/script>"}'


@pytest.mark.parametrize("chunk", [["list"], 5, None, object()])
def test_write_refuses_anything_else(chunk, caplog):
    assert client(lambda self: self.write(chunk)).fetch("/").status == 500
    assert "expected str, bytes or dict" in caplog.text


def test_pieces_are_joined():
    def verb(self):
        self.write("a")
        self.write(b"b")
        self.finish("c")

    assert client(verb).fetch("/").text == "abc"


def test_writing_after_the_end_says_so(caplog):
    def verb(self):
        self.finish("x")
        with pytest.raises(RuntimeError, match=r"write\(\) after finish"):
            self.write("y")
        with pytest.raises(RuntimeError, match=r"finish\(\) after finish"):
            self.finish()
        with pytest.raises(RuntimeError, match=r"flush\(\) after finish"):
            self.flush()

    assert client(verb).fetch("/").text == "x"
    assert "AssertionError" not in caplog.text and "Failed" not in caplog.text


def test_common_and_general_way_send_the_same():
    """The fast path is no other behaviour: same status, same headers, same body."""

    cases = itertools.product(
        ("HTTP/1.1", "HTTP/1.0"),
        ({}, {"If-None-Match": '"x"'}, {"If-None-Match": "*"}),
        ("GET", "POST", "HEAD"),
        (200, 201, 204, 302, 404, 500),
    )
    for version, headers, method, status in cases:

        def common(self, status=status):
            self.set_status(status)
            self.set_header("X-Own", "é")
            self.set_cookie("a", "1")
            self.write("" if status == 204 else "Hello, world")

        def general(self, common=common):
            self.add_header("X-Mark", "1")
            common(self)

        one = client(common).fetch("/", method, version=version, headers=headers)
        two = client(general).fetch("/", method, version=version, headers=headers)
        del two.headers["X-Mark"], one.headers["Date"], two.headers["Date"]  # the second may turn in between
        assert (one.status, one.reason, one.body) == (two.status, two.reason, two.body)
        assert sorted(one.headers.get_all()) == sorted(two.headers.get_all())


@pytest.mark.parametrize(
    ("version", "is_kept", "expected"),
    [
        ("HTTP/1.1", True, None),
        ("HTTP/1.1", False, "close"),
        ("HTTP/1.0", True, "keep-alive"),
        ("HTTP/1.0", False, "close"),
    ],
)
@pytest.mark.parametrize("has_header", [True, False])
def test_connection_header_says_what_the_server_will_do(version, is_kept, expected, has_header):
    def verb(self):
        if has_header:
            self.set_header("X-Mark", "1")
        self.write("x")

    async def scenario():
        browser = client(verb)
        request = browser.make_request("/", version=version)
        request.connection.keep_alive = is_kept
        return await call(browser.application, request)

    assert asyncio.run(scenario()).headers.get("Connection") == expected


def test_header_values_of_several_types():
    def verb(self):
        self.set_header("X-Int", 5)
        self.set_header("X-Bytes", b"x")
        self.set_header("X-Latin", b"\xe9")
        self.set_header("X-Text", "é")
        self.set_header("X-Date", datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC))
        self.set_header("X-Twice", "a")
        self.set_header("x-twice", "b")
        self.add_header("X-Many", "1")
        self.add_header("X-Many", "2")
        self.clear_header("Server")
        self.clear_header("X-Never")

    headers = client(verb).fetch("/").headers
    assert (headers["X-Int"], headers["X-Bytes"], headers["X-Twice"]) == ("5", "x", "b")
    assert (headers["X-Latin"], headers["X-Text"]) == ("\xe9", "\xc3\xa9")
    assert headers["X-Date"] == "Fri, 02 Jan 2026 03:04:05 GMT"
    assert headers.get_list("X-Many") == ["1", "2"]
    assert "Server" not in headers


@pytest.mark.parametrize("bad", ["x\r\nSet-Cookie: a=b", "x\ny", "x\ry", "x\x00y", b"x\r\ny", "\x0b"])
@pytest.mark.parametrize("call_name", ["set_header", "add_header"])
def test_header_that_would_split_the_answer_is_refused(bad, call_name):
    """CVE-2012-2374: the check looked for the wrong characters."""

    def verb(self):
        for name in ("X-Y", "Content-Type"):
            with pytest.raises(ValueError):
                getattr(self, call_name)(name, bad)
        self.write("refused")

    response = client(verb).fetch("/")
    assert response.text == "refused"
    assert "Set-Cookie" not in response.headers


def test_header_name_that_is_no_token_is_refused():
    def verb(self):
        for name in ("X Y", "X:Y", "X\r\nY", ""):
            with pytest.raises(Exception, match="token"):
                self.set_header(name, "x")

    assert client(verb).fetch("/").status == 200


def test_header_of_another_type_is_refused():
    def verb(self):
        with pytest.raises(TypeError):
            self.set_header("X", None)

    assert client(verb).fetch("/").status == 200


def test_status_and_reason():
    response = client(lambda self: self.set_status(418, "Short and stout")).fetch("/")
    assert (response.status, response.reason) == (418, "Short and stout")
    assert client(lambda self: self.set_status(201)).fetch("/").reason == "Created"

    def verb(self):
        with pytest.raises(ValueError):
            self.set_status(200, "x\r\ny")
        assert self.get_status() == 200

    assert client(verb).fetch("/").status == 200


def test_etag_of_a_page_answers_304():
    browser = client(hello)
    etag = browser.fetch("/").headers["ETag"]
    for header in (etag, f"W/{etag}", f'"other", {etag}', "*"):
        response = browser.fetch("/", headers={"If-None-Match": header})
        assert (response.status, response.body) == (304, b"")
        assert response.headers["ETag"] == etag
        assert "Content-Length" not in response.headers and "Content-Type" not in response.headers
    assert browser.fetch("/", headers={"If-None-Match": '"other"'}).status == 200
    assert "ETag" not in browser.fetch("/", "POST").headers


def test_etag_can_be_overridden():
    class Mine(RequestHandler):
        def get(self):
            self.write("x")

        def compute_etag(self):
            return '"mine"'

    class Without(Mine):
        def compute_etag(self):
            return None

    browser = Client(Application([("/", Mine), ("/without", Without)]))
    assert browser.fetch("/").headers["ETag"] == '"mine"'
    assert browser.fetch("/", headers={"If-None-Match": '"mine"'}).status == 304
    assert "ETag" not in browser.fetch("/without").headers


def test_head_has_the_headers_of_get_and_no_body():
    browser = client(hello)
    got, headed = browser.fetch("/"), browser.fetch("/", "HEAD")
    assert headed.body == b""
    del got.headers["Date"], headed.headers["Date"]
    assert sorted(headed.headers.get_all()) == sorted(got.headers.get_all())


def test_flush_streams_in_chunks():
    async def verb(self):
        self.write("a")
        await self.flush()
        self.write("b" * 20)
        await self.flush()
        self.finish("c")

    response = client(verb).fetch("/")
    assert response.headers["Transfer-Encoding"] == "chunked"
    assert "Content-Length" not in response.headers and "ETag" not in response.headers
    assert response.text == "a" + "b" * 20 + "c"
    headed = client(verb).fetch("/", "HEAD")
    assert headed.body == b""


def test_flush_for_http_1_0_ends_by_closing():
    async def verb(self):
        self.write("a")
        await self.flush()
        self.write("b")

    response = client(verb).fetch("/", version="HTTP/1.0")
    assert response.headers["Connection"] == "close"
    assert "Transfer-Encoding" not in response.headers
    assert response.text == "ab"


def test_flush_with_a_length_is_sent_as_it_is():
    async def verb(self):
        self.set_header("Content-Length", 4)
        self.write("ab")
        await self.flush()
        self.write("cd")

    response = client(verb).fetch("/")
    assert response.text == "abcd"
    assert "Transfer-Encoding" not in response.headers


@pytest.mark.parametrize("body", ["abc", "abcde"])
def test_body_of_another_length_than_promised_cuts_the_connection(body, caplog):
    def verb(self):
        self.set_header("Content-Length", 4)
        self.write(body)

    with pytest.raises(ConnectionAbortedError):
        client(verb).fetch("/")
    assert "Content-Length" in caplog.text


def test_error_after_the_head_cuts_the_connection(caplog):
    async def verb(self):
        self.write("a")
        await self.flush()
        raise KeyError("x")

    with pytest.raises(ConnectionAbortedError):
        client(verb).fetch("/")
    assert "after the headers were sent" in caplog.text


def test_flush_to_a_client_that_left_raises_quietly(caplog):
    async def verb(self):
        self.request.connection.leave()
        self.write("x")
        with pytest.raises(ConnectionResetError):
            await self.flush()
        self.write("y")
        await self.flush()

    async def scenario():
        browser = client(verb)
        request = browser.make_request("/")
        browser.application(request)
        assert not browser.application.running

    asyncio.run(scenario())
    assert not [record for record in caplog.records if record.levelname == "ERROR"]


@pytest.mark.parametrize("status", [204, 304])
def test_answers_without_body_have_none(status):
    """Fixed upstream in 4.5.3: a body or its length after a 204 is taken for the next answer."""

    def verb(self):
        self.set_status(status)
        self.write("body")

    response = client(verb).fetch("/", "POST")
    assert (response.status, response.body) == (status, b"")
    assert "Content-Length" not in response.headers and "Transfer-Encoding" not in response.headers


def test_redirect():
    response = client(lambda self: self.redirect("/x y\r\n?a=é")).fetch("/")
    assert (response.status, response.headers["Location"]) == (302, "/xy?a=%C3%A9")
    assert client(lambda self: self.redirect("x", permanent=True)).fetch("/").status == 301
    assert client(lambda self: self.redirect("x", status=307)).fetch("/").status == 307
    assert (
        client(lambda self: self.redirect("https://example.com/a%20b?c=d&e#f")).fetch("/").headers["Location"]
        == "https://example.com/a%20b?c=d&e#f"
    )
    assert client(lambda self: self.redirect("x", status=200)).fetch("/").status == 500


def test_default_headers_are_on_error_pages_too():
    class Handler(RequestHandler):
        def set_default_headers(self):
            self.set_header("X-Frame-Options", "DENY")

        def get(self):
            self.clear()
            self.write("x")

        def post(self):
            raise KeyError("x")

    browser = Client(Application([("/", Handler)]))
    assert browser.fetch("/").headers["X-Frame-Options"] == "DENY"
    assert browser.fetch("/", "POST").headers["X-Frame-Options"] == "DENY"


def test_streamed_answer_is_compressed_as_it_goes():
    async def verb(self):
        self.set_header("Content-Type", "text/plain")
        for _ in range(3):
            self.write("x" * 1000)
            await self.flush()

    response = client(verb, compress_response=True).fetch("/", headers={"Accept-Encoding": "gzip"})
    assert response.headers["Content-Encoding"] == "gzip"
    assert gzip.decompress(response.body) == b"x" * 3000


def test_transfer_encoding_is_not_the_applications_to_say():
    def verb(self):
        self.set_header("Transfer-Encoding", "chunked")
        self.write("x")

    headers = client(verb).fetch("/").headers
    assert "Transfer-Encoding" not in headers and headers["Content-Length"] == "1"
