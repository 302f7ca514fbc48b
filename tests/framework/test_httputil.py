import datetime
import time

import pytest

from framework import httputil
from framework.httputil import HTTPHeaders, HTTPInputError
from framework.request import HTTPRequest


def test_headers_ignore_case_and_join_repeats():
    headers = HTTPHeaders({"content-type": "text/html"})
    headers.add("Set-Cookie", "a=1")
    headers.add("set-cookie", "b=2")
    assert headers["CONTENT-TYPE"] == "text/html"
    assert headers["Set-Cookie"] == "a=1,b=2"
    assert headers.get_list("set-cookie") == ["a=1", "b=2"]
    assert list(headers.get_all()) == [("Content-Type", "text/html"), ("Set-Cookie", "a=1"), ("Set-Cookie", "b=2")]
    assert list(headers) == ["Content-Type", "Set-Cookie"]
    assert "set-COOKIE" in headers and 5 not in headers
    del headers["Set-Cookie"]
    assert len(headers) == 1


def test_headers_copy_is_independent():
    headers = HTTPHeaders(A="1")
    copied = headers.copy()
    copied.add("A", "2")
    assert headers["A"] == "1" and copied["A"] == "1,2"
    assert headers != copied and headers == HTTPHeaders({"a": "1"})


def test_headers_parse_takes_crlf_lf_and_folds():
    headers = HTTPHeaders.parse("A: 1\r\nB:2\n three\r\n\r\n")
    assert dict(headers) == {"A": "1", "B": "2 three"}
    headers.parse_line("C: x\r\n")
    assert headers["C"] == "x"


@pytest.mark.parametrize("text", ["no colon", "a b: 1", ": 1", " fold", "A: x\x00y", "A: x\ry", "\u00e9: 1", "A : 1"])
def test_headers_refuse(text):
    with pytest.raises(HTTPInputError):
        HTTPHeaders.parse(text)


@pytest.mark.parametrize("line", ["", "\r\n", " ", "\tx", "x"])
def test_line_that_is_no_header_is_refused(line):
    with pytest.raises(HTTPInputError):
        HTTPHeaders().parse_line(line)


@pytest.mark.parametrize("name, value", [("A", "x\r\nSet-Cookie: y"), ("A\r\nB", "x"), ("A", "x\0"), ("", "x")])
def test_setting_refuses_to_split_the_response(name, value):
    with pytest.raises(HTTPInputError):
        HTTPHeaders()[name] = value
    with pytest.raises(HTTPInputError):
        HTTPHeaders().add(name, value)


def test_only_http_whitespace_is_stripped():
    assert HTTPHeaders.parse("A: \t x\xa0\x85 \t\r\n")["A"] == "x\xa0\x85"


def test_many_repeats_take_linear_time():
    headers = HTTPHeaders()
    start = time.perf_counter()
    for _ in range(20_000):
        headers.add("A", "x" * 100)
    assert len(headers["A"]) == 20_000 * 101 - 1
    assert time.perf_counter() - start < 2


def test_names_from_strangers_are_not_remembered_for_ever():
    for number in range(3000):
        httputil.normalize_name(f"x-{number}")
    assert len(httputil._normalized) <= 1000


def test_file_has_keys_and_attributes():
    file = httputil.HTTPFile(filename="a", body=b"", content_type="text/plain")
    assert file["filename"] == file.filename == "a"
    with pytest.raises(AttributeError):
        file.size  # noqa: B018


def test_start_lines():
    assert httputil.parse_request_start_line("GET /a HTTP/1.1") == ("GET", "/a", "HTTP/1.1")
    assert httputil.parse_response_start_line("HTTP/1.1 404 Not Found") == ("HTTP/1.1", 404, "Not Found")
    assert httputil.parse_response_start_line("HTTP/1.0 200").reason == ""
    for line in ("GET  / HTTP/1.1", "GET / HTTP/2.0", "GET / HTTP/1.1 "):
        with pytest.raises(HTTPInputError):
            httputil.parse_request_start_line(line)
    for line in ("HTTP/1.1 4040 x", "HTTP/1.1  200 OK", "200 OK"):
        with pytest.raises(HTTPInputError):
            httputil.parse_response_start_line(line)


def test_url_concat():
    assert httputil.url_concat("http://h/p", {"a": "b c"}) == "http://h/p?a=b+c"
    assert httputil.url_concat("http://h/p?x=&y=1", [("y", "2")]) == "http://h/p?x=&y=1&y=2"
    assert httputil.url_concat("http://h/p", None) == "http://h/p"


def test_dates_round_trip():
    moment = datetime.datetime(1994, 11, 6, 8, 49, 37, tzinfo=datetime.UTC)
    text = "Sun, 06 Nov 1994 08:49:37 GMT"
    naive = moment.replace(tzinfo=None)
    for given in (moment, naive, moment.timestamp(), moment.timetuple(), moment.utctimetuple()):
        assert httputil.format_timestamp(given) == text
    for form in (text, "Sunday, 06-Nov-94 08:49:37 GMT", "Sun Nov  6 08:49:37 1994"):
        assert httputil.parse_timestamp(form) == moment
    assert httputil.parse_timestamp("yesterday") is None
    assert httputil.parse_timestamp("Sun, 06 Nov 99999999999 08:49:37 GMT") is None


@pytest.mark.parametrize(
    "netloc, expected",
    [
        ("host", ("host", None)),
        ("host:80", ("host", 80)),
        ("[::1]:80", ("[::1]", 80)),
        ("[::1]", ("[::1]", None)),
        ("::1", ("::1", None)),
    ],
)
def test_split_host_and_port(netloc, expected):
    assert httputil.split_host_and_port(netloc) == expected


@pytest.mark.parametrize(
    "value, expected",
    [
        ("text/html", ("text/html", {})),
        ("text/html; charset=utf-8", ("text/html", {"charset": "utf-8"})),
        ('form-data; name="a;b"; filename="c\\"d"', ("form-data", {"name": "a;b", "filename": 'c"d'})),
        ('form-data; filename="C:\\dir\\x"', ("form-data", {"filename": "C:\\dir\\x"})),
        ("form-data; filename=x; filename*=UTF-8''na%C3%AFve", ("form-data", {"filename": "naïve"})),
        ("form-data; filename*=iso-8859-1'en'%A3", ("form-data", {"filename": "£"})),
        ("form-data; filename*=nonsense''%A3", ("form-data", {"filename": "\ufffd"})),
        ("a; ; flag; b=1; b=2", ("a", {"b": "1"})),
        ('a; b="unclosed', ("a", {"b": '"unclosed'})),
    ],
)
def test_parse_header_parameters(value, expected):
    assert httputil.parse_header_parameters(value) == expected


def test_parse_header_parameters_takes_linear_time():
    start = time.perf_counter()
    httputil.parse_header_parameters("form-data" + ';"' * 50_000)
    httputil.parse_header_parameters('form-data; a="' + ";" * 100_000)
    httputil.parse_header_parameters("form-data; a" + " " * 50_000 + "b")
    assert time.perf_counter() - start < 2


def test_qs_to_qsl_and_credentials():
    assert list(httputil.qs_to_qsl({"a": ["1", "2"]})) == [("a", "1"), ("a", "2")]
    assert httputil.encode_username_password("é", b"x") == b"\xc3\xa9:x"


def test_names_of_today_that_live_elsewhere() -> None:
    assert httputil.HTTPServerRequest is HTTPRequest
    assert httputil.parse_cookie("a=b") == {"a": "b"}
    with pytest.raises(AttributeError, match="has no attribute 'nothing'"):
        _ = httputil.nothing
