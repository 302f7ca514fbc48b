import pytest

from framework.httpclient import HTTPRequest, HTTPResponse
from framework.httpclient.request import normalize_url

URL = "http://a/"


@pytest.mark.parametrize(
    "fields",
    [
        {"headers": {"X": "a\r\nY: b"}},
        {"headers": {"X\r\nY": "b"}},
        {"headers": {"X Y": "b"}},
        {"method": "GET / HTTP/1.1\r\nX:"},
        {"user_agent": "a\nb"},
        {"proxy_host": "a\nb"},
        {"network_interface": "a\0"},
        {"ssl_options": object()},
    ],
    ids=str,
)
def test_injection_is_refused_when_the_request_is_made(fields):
    with pytest.raises(ValueError):
        HTTPRequest(URL, **fields)


@pytest.mark.parametrize(
    "url", ["", "a", "ftp://a/", "file:///etc/passwd", "http:///x", "http://a/\r\nX: y", "http://a b/", "http://a/\\b"]
)
def test_no_http_url_is_refused(url):
    with pytest.raises(ValueError):
        normalize_url(url)


@pytest.mark.parametrize(
    "url, normal",
    [
        ("http://A.example", "http://a.example/"),
        ("http://a/b?c#d", "http://a/b?c"),
        ("https://münchen.example:444/ü%20?q=ä", "https://xn--mnchen-3ya.example:444/%C3%BC%20?q=%C3%A4"),
        ("http://[::1]:80/", "http://[::1]:80/"),
    ],
)
def test_url_is_sent_in_ascii(url, normal):
    assert normalize_url(url)[0] == normal


def test_url_gives_its_credentials():
    assert normalize_url("http://me:secret@a/") == ("http://a/", "me", "secret")


@pytest.mark.parametrize(
    "fields", [{"method": "GET", "body": "x"}, {"method": "POST"}, {"method": "BREW"}, {"method": "HEAD", "body": b""}]
)
def test_body_where_none_belongs_is_refused(fields):
    with pytest.raises(ValueError):
        HTTPRequest(URL, **fields).check_body()
    HTTPRequest(URL, allow_nonstandard_methods=True, **fields).check_body()


def test_old_names_of_fields():
    request = HTTPRequest(URL, use_gzip=False, max_body_size=5, if_modified_since=0)
    assert request.decompress_response is False
    assert request.max_body_bytes == 5
    assert request.headers["If-Modified-Since"] == "Thu, 01 Jan 1970 00:00:00 GMT"


def test_response_without_body():
    assert HTTPResponse(HTTPRequest(URL), 304).error is None
    assert HTTPResponse(HTTPRequest(URL), 200).body == b""
