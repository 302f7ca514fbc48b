import gzip
import hashlib
import os
import time
from datetime import UTC, datetime, timedelta

import pytest

from framework.httputil import format_timestamp, parse_timestamp
from framework.testing import Client
from framework.web import Application, RequestHandler, StaticFileHandler
from framework.web.static import content_type_of

PNG = b"\x89PNG\r\n\x1a\n" + bytes(range(256))


@pytest.fixture
def root(tmp_path):
    folder = tmp_path / "static"
    (folder / "images").mkdir(parents=True)
    (folder / "foo.png").write_bytes(PNG)
    (folder / "images" / "logo.png").write_bytes(PNG)
    (folder / "robots.txt").write_text("User-agent: *")
    (folder / "favicon.ico").write_bytes(b"icon")
    (folder / "empty.txt").write_bytes(b"")
    (folder / "large.bin").write_bytes(os.urandom(1000) * 200)
    (folder / "digits.txt").write_text("0123456789")
    (folder / "index.html").write_text("index")
    (tmp_path / "secret.txt").write_text("secret")
    (tmp_path / "static-private").mkdir()
    (tmp_path / "static-private" / "secret.txt").write_text("secret")
    return folder


class Url(RequestHandler):
    def get(self):
        self.write(self.static_url(self.get_argument("path")))


@pytest.fixture
def browser(root):
    settings = {
        "static_path": str(root),
        "cookie_secret": "61oETzKXQAGaYdkL5gEmGeJJFuYh7EQnp2XdTP1o/Vo=",
        "login_url": "/login",
        "xsrf_cookies": True,
    }
    return Client(Application([("/url", Url)], **settings))


def url_of(browser, path):
    return browser.fetch("/url?path=" + path).text


def test_item_068_static_path_example(browser):
    response = browser.fetch("/static/foo.png")
    assert (response.status, response.body) == (200, PNG)
    assert response.headers["Content-Type"] == "image/png"
    assert response.headers["X-Content-Type-Options"] == "nosniff"
    assert "Set-Cookie" not in response.headers


def test_item_069_robots_and_favicon_are_served_from_it(browser):
    assert browser.fetch("/robots.txt").text == "User-agent: *"
    assert browser.fetch("/favicon.ico").body == b"icon"


def test_item_070_072_static_url_has_a_short_hash(browser):
    expected = hashlib.sha256(PNG).hexdigest()[:10]
    assert url_of(browser, "images/logo.png") == f"/static/images/logo.png?v={expected}"
    assert url_of(browser, "missing.png") == "/static/missing.png"


def test_item_072_length_of_the_hash_is_a_setting(root):
    browser = Client(Application([("/url", Url)], static_path=str(root), static_version_length=5))
    address = url_of(browser, "foo.png")
    assert len(address.partition("?v=")[2]) == 5
    assert "immutable" in browser.fetch(address).headers["Cache-Control"]


def test_item_071_version_is_of_the_content(root):
    assert StaticFileHandler.get_content_version(str(root / "foo.png")) == StaticFileHandler.get_content_version(
        str(root / "images" / "logo.png")
    )
    settings = {"static_path": str(root), "static_hash_cache": False}
    before = StaticFileHandler.get_version(settings, "foo.png")
    (root / "foo.png").write_bytes(PNG + b"changed")
    assert StaticFileHandler.get_version(settings, "foo.png") != before
    (root / "foo.png").write_bytes(PNG)
    os.utime(root / "foo.png", (1, 1))
    assert StaticFileHandler.get_version(settings, "foo.png") == before


def test_reset_forgets_versions_that_are_trusted(root):
    settings = {"static_path": str(root)}
    before = StaticFileHandler.get_version(settings, "foo.png")
    (root / "foo.png").write_bytes(PNG + b"changed")
    assert StaticFileHandler.get_version(settings, "foo.png") == before
    StaticFileHandler.reset()
    assert StaticFileHandler.get_version(settings, "foo.png") != before


def test_item_073_version_in_the_address_is_kept_for_ever(browser):
    response = browser.fetch(url_of(browser, "foo.png"))
    assert response.headers["Cache-Control"] == "public, max-age=315360000, immutable"
    assert parse_timestamp(response.headers["Expires"]) > datetime.now(UTC) + timedelta(days=3600)
    plain = browser.fetch("/static/foo.png")
    assert plain.headers["Cache-Control"] == "public" and "Expires" not in plain.headers
    old = browser.fetch("/static/foo.png?v=0123456789")
    assert old.body == PNG
    assert old.headers["Cache-Control"] == "no-cache" and "Expires" not in old.headers


def test_item_074_conditional_requests(browser, root):
    first = browser.fetch("/static/foo.png")
    modified, etag = first.headers["Last-Modified"], first.headers["ETag"]
    later = format_timestamp(time.time() + 60)
    earlier = format_timestamp(os.stat(root / "foo.png").st_mtime - 60)
    for headers, status in (
        ({"If-Modified-Since": modified}, 304),
        ({"If-Modified-Since": later}, 304),
        ({"If-Modified-Since": earlier}, 200),
        ({"If-Modified-Since": "garbage"}, 200),
        ({"If-None-Match": etag}, 304),
        ({"If-None-Match": f'"x", W/{etag}'}, 304),
        ({"If-None-Match": '"x"'}, 200),
        ({"If-None-Match": '"x"', "If-Modified-Since": modified}, 200),
        ({"If-None-Match": etag, "If-Modified-Since": earlier}, 304),
    ):
        response = browser.fetch("/static/foo.png", headers=headers)
        assert response.status == status, headers
        assert response.headers["ETag"] == etag
        assert bool(response.body) == (status == 200)


def test_file_that_is_not_the_one_wanted_is_412(browser, root):
    first = browser.fetch("/static/foo.png").headers
    etag, modified = first["ETag"], first["Last-Modified"]
    earlier = format_timestamp(os.stat(root / "foo.png").st_mtime - 60)
    for headers, status in (
        ({"If-Match": etag}, 200),
        ({"If-Match": f'"x", {etag}'}, 200),
        ({"If-Match": "*"}, 200),
        ({"If-Match": '"x"'}, 412),
        ({"If-Match": "W/" + etag}, 412),
        ({"If-Unmodified-Since": modified}, 200),
        ({"If-Unmodified-Since": "garbage"}, 200),
        ({"If-Unmodified-Since": earlier}, 412),
        ({"If-Match": etag, "If-Unmodified-Since": earlier}, 200),
        ({"If-Match": etag, "If-None-Match": etag}, 304),
    ):
        assert browser.fetch("/static/foo.png", headers=headers).status == status, headers


@pytest.mark.parametrize(
    "path",
    [
        "../secret.txt",
        "%2e%2e/secret.txt",
        "..%2fsecret.txt",
        "images/../../secret.txt",
        "../static-private/secret.txt",
        "/etc/passwd",
        "//etc/passwd",
        "%2fetc/passwd",
        "..",
    ],
)
def test_item_075_no_way_out_of_the_root(browser, path):
    response = browser.fetch("/static/" + path)
    assert response.status == 403
    assert b"secret" not in response.body


@pytest.mark.parametrize("path", ["nothing.png", "foo.png/x", "x%00y", "..\\secret.txt", "%FFx" * 0 + "a" * 300])
def test_item_075_missing_is_404(browser, path):
    assert browser.fetch("/static/" + path).status == 404


def test_folder_is_403(browser):
    assert browser.fetch("/static/images").status == 403
    assert browser.fetch("/static/").status == 403


def test_head_has_no_body(browser):
    for path in ("foo.png", "large.bin", "empty.txt"):
        got, headed = browser.fetch("/static/" + path), browser.fetch("/static/" + path, "HEAD")
        assert headed.body == b""
        del got.headers["Date"], headed.headers["Date"]
        assert sorted(headed.headers.get_all()) == sorted(got.headers.get_all())
        assert headed.headers["Content-Length"] == str(len(got.body))


def test_post_is_405(browser):
    browser.fetch("/url?path=x")
    response = browser.fetch("/static/foo.png", "POST", body={"_xsrf": browser.cookies["_xsrf"]})
    assert response.status == 405
    assert response.headers["Allow"] == "HEAD, OPTIONS, GET" or set(response.headers["Allow"].split(", ")) == {
        "GET",
        "HEAD",
        "OPTIONS",
    }


@pytest.mark.parametrize(
    ("value", "status", "body", "content_range"),
    [
        ("bytes=0-3", 206, "0123", "bytes 0-3/10"),
        ("bytes=4-", 206, "456789", "bytes 4-9/10"),
        ("bytes=-2", 206, "89", "bytes 8-9/10"),
        ("bytes=-20", 200, "0123456789", None),
        ("bytes=0-", 200, "0123456789", None),
        ("bytes=5-100", 206, "56789", "bytes 5-9/10"),
        ("bytes=10-", 416, "", "bytes */10"),
        ("bytes=-0", 416, "", "bytes */10"),
        ("bytes=3-1", 200, "0123456789", None),
        ("bytes=1-2,4-5", 200, "0123456789", None),
        ("garbage", 200, "0123456789", None),
    ],
)
def test_ranges(browser, value, status, body, content_range):
    response = browser.fetch("/static/digits.txt", headers={"Range": value})
    assert (response.status, response.text) == (status, body)
    assert response.headers.get("Content-Range") == content_range
    headed = browser.fetch("/static/digits.txt", "HEAD", headers={"Range": value})
    assert (headed.status, headed.headers.get("Content-Range")) == (status, content_range)


def test_range_of_an_empty_file_is_416(browser):
    assert browser.fetch("/static/empty.txt", headers={"Range": "bytes=0-"}).status == 416
    assert browser.fetch("/static/empty.txt").body == b""


def test_if_range_gives_all_of_a_changed_file(browser):
    first = browser.fetch("/static/digits.txt").headers
    for value, status in (
        (first["ETag"], 206),
        (first["Last-Modified"], 206),
        ('"other"', 200),
        ("W/" + first["ETag"], 200),
        ("Fri, 02 Jan 1970 03:04:05 GMT", 200),
        ("garbage", 200),
    ):
        headers = {"Range": "bytes=0-1", "If-Range": value}
        assert browser.fetch("/static/digits.txt", headers=headers).status == status, value


def test_large_file_goes_through_whole_and_in_ranges(browser, root):
    data = (root / "large.bin").read_bytes()
    assert browser.fetch("/static/large.bin").body == data
    assert browser.fetch("/static/large.bin", headers={"Range": "bytes=1000-150000"}).body == data[1000:150001]


def test_compressed_file_beside_it_is_sent_to_those_who_accept_it(browser, root):
    text = b"body {}" * 100
    (root / "a.css").write_bytes(text)
    (root / "a.css.gz").write_bytes(gzip.compress(text))
    (root / "a.css.br").write_bytes(b"brotli")
    plain = browser.fetch("/static/a.css")
    assert (plain.body, plain.headers["Vary"]) == (text, "Accept-Encoding")
    assert "Content-Encoding" not in plain.headers
    packed = browser.fetch("/static/a.css", headers={"Accept-Encoding": "gzip"})
    assert gzip.decompress(packed.body) == text
    assert (packed.headers["Content-Encoding"], packed.headers["Content-Type"]) == ("gzip", "text/css; charset=UTF-8")
    brotli = browser.fetch("/static/a.css", headers={"Accept-Encoding": "gzip, br"})
    assert (brotli.body, brotli.headers["Content-Encoding"]) == (b"brotli", "br")
    assert len({response.headers["ETag"] for response in (plain, packed, brotli)}) == 3
    again = browser.fetch("/static/a.css", headers={"Accept-Encoding": "gzip", "If-None-Match": packed.headers["ETag"]})
    assert again.status == 304 and again.headers["Vary"] == "Accept-Encoding"
    ranged = browser.fetch("/static/a.css", headers={"Accept-Encoding": "gzip", "Range": "bytes=0-3"})
    assert ranged.body == b"body"


def test_compressed_file_that_is_older_is_not_sent(browser, root):
    (root / "a.css").write_text("new")
    (root / "a.css.gz").write_bytes(gzip.compress(b"old"))
    os.utime(root / "a.css.gz", (1, 1))
    assert browser.fetch("/static/a.css", headers={"Accept-Encoding": "gzip"}).text == "new"


def files(root, **kwargs):
    return Client(Application([("/(.*)", StaticFileHandler, {"path": str(root), **kwargs})]))


def test_index_file_of_a_folder(root):
    (root / "images" / "index.html").write_text("pictures")
    browser = files(root, default_filename="index.html")
    assert browser.fetch("/").text == "index"
    assert browser.fetch("/images/").text == "pictures"
    response = browser.fetch("/images")
    assert (response.status, response.headers["Location"]) == (301, "/images/")


@pytest.mark.parametrize("path", ["//evil.com/..", "//evil.com/%2e%2e", "/\\evil.com/.."])
def test_redirect_to_a_folder_never_names_another_host(root, path):
    """CVE-2023-28370."""
    browser = Client(
        Application([("/+(.*)", StaticFileHandler, {"path": str(root), "default_filename": "index.html"})])
    )
    response = browser.fetch(path)
    assert response.status in (301, 403, 404)
    assert not response.headers.get("Location", "/x").startswith(("//", "/\\"))


def test_hooks_serve_other_stores():
    class Memory(StaticFileHandler):
        @classmethod
        def get_absolute_path(cls, root, path):
            return path

        def validate_absolute_path(self, root, absolute_path):
            return absolute_path

        @classmethod
        def get_content(cls, abspath, start=None, end=None):
            return b"0123456789"[start:end]

        def get_content_size(self):
            return 10

        def get_modified_time(self):
            return None

        def set_extra_headers(self, path):
            self.set_header("X-Extra", path)

        @classmethod
        def get_version(cls, settings, path):
            return "mine"

    browser = files("/nowhere")
    browser = Client(
        Application(
            [("/mem/(.*)", Memory, {"path": "/nowhere"}), ("/url", Url)], static_path="x", static_handler_class=Memory
        )
    )
    response = browser.fetch("/mem/digits.txt")
    assert (response.text, response.headers["X-Extra"]) == ("0123456789", "digits.txt")
    assert browser.fetch("/mem/digits.txt", headers={"Range": "bytes=2-3"}).text == "23"
    assert url_of(browser, "a.css") == "/static/a.css?v=mine"


def test_prefix_is_a_setting(root):
    browser = Client(Application([("/url", Url)], static_path=str(root), static_url_prefix="/files.v1/"))
    address = url_of(browser, "foo.png")
    assert address.startswith("/files.v1/foo.png?v=")
    assert browser.fetch(address).body == PNG
    assert browser.fetch("/filesxv1/foo.png").status == 404


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("a.js", "text/javascript; charset=UTF-8"),
        ("a.CSS", "text/css; charset=UTF-8"),
        ("a.html", "text/html; charset=UTF-8"),
        ("a.json", "application/json"),
        ("a.svg", "image/svg+xml; charset=UTF-8"),
        ("a.png", "image/png"),
        ("a.woff2", "font/woff2"),
        ("a.tar.gz", "application/gzip"),
        ("a.unknown", "application/octet-stream"),
        ("a", "application/octet-stream"),
    ],
)
def test_content_types(name, expected):
    assert content_type_of(name) == expected
