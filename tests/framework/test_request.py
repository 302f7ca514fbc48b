import pytest

from framework.errors import ProtocolError
from framework.request import HTTPRequest


def test_made_by_hand():
    request = HTTPRequest("GET", "/a/b?x=1&y=2&x=3", headers={"Host": "h:81", "X-Y": "z"}, protocol="https")
    assert (request.path, request.query, request.host) == ("/a/b", "x=1&y=2&x=3", "h:81")
    assert request.full_url() == "https://h:81/a/b?x=1&y=2&x=3"
    assert request.arguments == {"x": [b"1", b"3"], "y": [b"2"]}
    assert request.supports_http_1_1() and not HTTPRequest("GET", "/", "HTTP/1.0").supports_http_1_1()
    assert request.headers["x-y"] == "z"
    assert request.find_header(b"x-y") == b"z"
    assert request.find_header(b"x") is None
    assert request.request_time() >= 0


def test_arguments_of_query_and_body_in_this_order():
    headers = {"Content-Type": "application/x-www-form-urlencoded"}
    request = HTTPRequest("POST", "/?a=1", headers=headers, body=b"a=2&b=3")
    assert request.arguments == {"a": [b"1", b"2"], "b": [b"3"]}
    assert request.query_arguments == {"a": [b"1"]}
    assert request.body_arguments == {"a": [b"2"], "b": [b"3"]}
    assert request.files == {}


def test_files():
    headers = {"Content-Type": "multipart/form-data; boundary=B"}
    body = b'--B\r\nContent-Disposition: form-data; name="f"; filename="n"\r\n\r\nx\r\n--B--'
    request = HTTPRequest("POST", "/", headers=headers, body=body)
    assert request.files["f"][0].body == b"x"


@pytest.mark.parametrize(
    "headers, body, status",
    [
        ({"Content-Type": "multipart/form-data"}, b"x", 400),
        ({"Content-Type": "application/x-www-form-urlencoded"}, b"&" * 20_000, 400),
        ({"Content-Type": "application/x-www-form-urlencoded", "Content-Encoding": "gzip"}, b"a=1", 415),
    ],
)
def test_malformed_bodies(headers, body, status):
    with pytest.raises(ProtocolError) as raised:
        HTTPRequest("POST", "/", headers=headers, body=body).arguments  # noqa: B018
    assert raised.value.status == status


def test_cookies_of_all_fields():
    request = HTTPRequest("GET", "/", headers={"Cookie": "a=1; b=\u00e9"})
    request.raw_head = request.raw_head.replace(b"\r\n\r\n", b"\r\ncookie: c=3\r\n\r\n")
    assert request.cookies == {"a": "1", "b": "\u00e9", "c": "3"}
    assert HTTPRequest("GET", "/").cookies == {}


def test_too_many_query_fields():
    with pytest.raises(ProtocolError):
        HTTPRequest("GET", "/?" + "&" * 20_000).arguments  # noqa: B018


def test_repr_shows_no_secret():
    request = HTTPRequest("GET", "/", headers={"Cookie": "secret"}, body=b"secret")
    assert "secret" not in repr(request)
