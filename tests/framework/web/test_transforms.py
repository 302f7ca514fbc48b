import gzip

import pytest

from framework.httputil import HTTPHeaders
from framework.testing import Client
from framework.web import Application, OutputTransform, RequestHandler
from framework.web.transforms import accepted_codings, add_vary

PAGE = "<p>text</p>" * 1000


class Page(RequestHandler):
    def get(self):
        self.set_header("Content-Type", self.get_argument("type", "text/html"))
        self.write(PAGE[: int(self.get_argument("size", "99999"))])


@pytest.fixture
def browser():
    return Client(Application([("/", Page)], compress_response=True))


GZIP = {"Accept-Encoding": "gzip, deflate, br"}


@pytest.mark.parametrize("setting", ["compress_response", "gzip"])
def test_text_is_compressed_for_those_who_accept_it(setting):
    browser = Client(Application([("/", Page)], **{setting: True}))
    response = browser.fetch("/", headers=GZIP)
    assert response.headers["Content-Encoding"] == "gzip"
    assert response.headers["Vary"] == "Accept-Encoding"
    assert response.headers["Content-Length"] == str(len(response.body))
    assert gzip.decompress(response.body).decode() == PAGE
    plain = browser.fetch("/")
    assert plain.text == PAGE
    assert plain.headers["Vary"] == "Accept-Encoding"


def test_compressed_page_has_a_weak_etag_that_still_matches(browser):
    etag = browser.fetch("/", headers=GZIP).headers["ETag"]
    assert etag.startswith('W/"')
    response = browser.fetch("/", headers={**GZIP, "If-None-Match": etag})
    assert response.status == 304
    assert response.headers["Vary"] == "Accept-Encoding"
    assert "Content-Encoding" not in response.headers


@pytest.mark.parametrize("query", ["size=1000", "type=image/png", "type=application/zip", "type=text/event-stream"])
def test_what_gains_nothing_is_left_alone(browser, query):
    assert "Content-Encoding" not in browser.fetch("/?" + query, headers=GZIP).headers


@pytest.mark.parametrize("kind", ["application/json", "text/css", "image/svg%2Bxml", "application/atom%2Bxml"])
def test_other_kinds_of_text_are_compressed(browser, kind):
    assert browser.fetch("/?type=" + kind, headers=GZIP).headers["Content-Encoding"] == "gzip"


def test_level_and_minimum_are_settings():
    browser = Client(Application([("/", Page)], gzip=True, compress_level=1, compress_min_length=10))
    assert browser.fetch("/?size=100", headers=GZIP).headers["Content-Encoding"] == "gzip"
    assert "Content-Encoding" not in browser.fetch("/?size=9", headers=GZIP).headers
    best = Client(Application([("/", Page)], gzip=True, compress_level=9)).fetch("/", headers=GZIP)
    assert len(best.body) < len(browser.fetch("/", headers=GZIP).body)
    assert gzip.decompress(best.body).decode() == PAGE


@pytest.mark.parametrize(
    ("header", "expected"),
    [
        (b"gzip", {"gzip"}),
        (b"GZIP;q=0.5 , br", {"gzip", "br"}),
        (b"gzip;q=0", set()),
        (b"gzip; q=0.000, br", {"br"}),
        (b"*", {"gzip", "br"}),
        (b"*, br;q=0", {"gzip"}),
        (b"x-gzip", {"gzip"}),
        (b"identity, notgzip", set()),
        (b"", set()),
    ],
)
def test_accept_encoding(header, expected):
    assert accepted_codings(header) == expected


def test_vary_is_added_to():
    headers = HTTPHeaders()
    add_vary(headers, "Cookie")
    add_vary(headers, "Accept-Encoding")
    add_vary(headers, "cookie")
    assert headers["Vary"] == "Cookie, Accept-Encoding"


class Upper(OutputTransform):
    def transform_first_chunk(self, status_code, headers, chunk, finishing):
        headers["X-Upper"] = "yes"
        return status_code, headers, self.transform_chunk(chunk, finishing)

    def transform_chunk(self, chunk, finishing):
        return chunk.upper()


class Upper2011:
    def __init__(self, request):
        pass

    def transform_first_chunk(self, headers, chunk, finishing):
        headers["X-Upper"] = "yes"
        return headers, self.transform_chunk(chunk, finishing)

    def transform_chunk(self, chunk, finishing):
        return chunk.upper()


@pytest.mark.parametrize("transform", [Upper, Upper2011])
def test_own_transforms_of_both_generations(transform):
    class Handler(RequestHandler):
        def get(self):
            self.write("a")
            self.flush()
            self.write("b")

    application = Application([("/", Handler)])
    application.add_transform(transform)
    for app in (application, Application([("/", Handler)], transforms=[transform])):
        response = Client(app).fetch("/")
        assert response.text == "AB"
        assert response.headers["X-Upper"] == "yes"
