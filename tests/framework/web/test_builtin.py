import pytest

from framework.testing import Client
from framework.web import (
    Application,
    ErrorHandler,
    FallbackHandler,
    RedirectHandler,
    RequestHandler,
    addslash,
    removeslash,
)


def client(*handlers, **settings):
    return Client(Application(list(handlers), **settings))


@pytest.mark.parametrize("method", ["GET", "HEAD", "POST", "PUT", "DELETE", "PATCH", "OPTIONS"])
def test_error_handler_answers_all_methods(method):
    browser = client(("/gone", ErrorHandler, {"status_code": 410}), xsrf_cookies=True)
    assert browser.fetch("/gone", method).status == 410


def test_redirect_handler():
    browser = client(
        ("/old", RedirectHandler, {"url": "/new"}),
        ("/temporary", RedirectHandler, {"url": "/new", "permanent": False}),
        ("/user/(.*)", RedirectHandler, {"url": "/people/{0}"}),
        ("/to/(?P<name>.*)", RedirectHandler, {"url": "/people?name={name}"}),
        ("/any(.*)", RedirectHandler, {"url": "{0}"}),
    )
    response = browser.fetch("/old")
    assert (response.status, response.headers["Location"]) == (301, "/new")
    assert browser.fetch("/old?a=b").headers["Location"] == "/new?a=b"
    assert browser.fetch("/temporary").status == 302
    assert browser.fetch("/old", "HEAD").status == 301
    assert browser.fetch("/old", "POST").status == 405
    assert browser.fetch("/user/bob").headers["Location"] == "/people/bob"
    assert browser.fetch("/to/bob?x=y").headers["Location"] == "/people?name=bob"
    assert browser.fetch("/any//evil.com").headers["Location"] == "/evil.com"
    assert browser.fetch("/any%2F%2Fevil.com").headers["Location"] == "/evil.com"


@pytest.mark.parametrize("blank", ["", "%09", "%0A", "%20"])
@pytest.mark.parametrize(
    "group", ["{}//evil.com", "/{}/evil.com", "/{}%5Cevil.com", "{}https://evil.com", "%5C{}/evil.com"]
)
def test_group_of_a_redirect_names_no_other_host(group, blank):
    """redirect() drops blanks: "/<tab>/evil.com" passed the check, and was "//evil.com" then."""
    browser = client(
        ("/any(.*)", RedirectHandler, {"url": "{0}"}),
        ("/slash(.*)", RedirectHandler, {"url": "/{0}"}),
        ("/site(.*)", RedirectHandler, {"url": "https://ours.example/{0}"}),
    )
    for start, expected in (("/any", "/"), ("/slash", "/"), ("/site", "https://ours.example/")):
        location = browser.fetch(start + group.format(blank)).headers["Location"]
        assert location.startswith(expected) and not location.startswith(("//", "/\\", "/%5C")), location


@pytest.mark.parametrize("method", ["GET", "POST", "PUT"])
def test_fallback_handler_hands_the_request_over(method):
    def plain(request):
        body = request.method.encode() + b" " + request.body
        request.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%b" % (len(body), body))
        request.finish()

    async def slow(request):
        plain(request)

    browser = client(
        ("/plain", FallbackHandler, {"fallback": plain}),
        ("/slow", FallbackHandler, {"fallback": slow}),
        ("/direct", plain),
        ("/app/.*", Application([("/app/x", Inner)])),
        xsrf_cookies=True,
    )
    for path in ("/plain", "/slow", "/direct"):
        assert browser.fetch(path, method, body=b"x").text == f"{method} x"
    assert browser.fetch("/app/x").text == "inner"


class Inner(RequestHandler):
    def get(self):
        self.write("inner")


class WithSlash(RequestHandler):
    @addslash
    def get(self):
        self.write("got")

    @addslash
    def post(self):
        self.write("posted")


class WithoutSlash(RequestHandler):
    @removeslash
    def get(self):
        self.write("got")

    @removeslash
    def post(self):
        self.write("posted")


def test_slashes_are_added_and_removed():
    browser = client(("/with/?", WithSlash), ("/without/?", WithoutSlash), ("/.*", WithoutSlash))
    assert browser.fetch("/with/").text == "got"
    response = browser.fetch("/with?a=b")
    assert (response.status, response.headers["Location"]) == (301, "/with/?a=b")
    assert browser.fetch("/with", "POST").status == 404
    assert browser.fetch("/with/", "POST").text == "posted"
    assert browser.fetch("/without").text == "got"
    assert browser.fetch("/").text == "got"
    response = browser.fetch("/without/?a=b")
    assert (response.status, response.headers["Location"]) == (301, "/without?a=b")
    assert browser.fetch("/without/", "POST").status == 404


@pytest.mark.parametrize("path", ["//evil.com/", "/\\evil.com/", "///evil.com//"])
def test_removed_slash_never_names_another_host(path):
    """CVE-2023-28370, here by the decorators."""
    assert client(("/.*", WithoutSlash)).fetch(path).headers["Location"] == "/evil.com"
    assert client((".*", WithSlash)).fetch(path + "x").headers["Location"].startswith("/evil.com")
