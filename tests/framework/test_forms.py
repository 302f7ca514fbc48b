import time

import pytest

from framework import forms
from framework.errors import ProtocolError


def multipart(*parts, boundary=b"B"):
    return b"".join(b"--%s\r\n%s\r\n" % (boundary, part) for part in parts) + b"--%s--\r\n" % boundary


def parse(body, boundary=b"B", **limits):
    arguments, files = {}, {}
    forms.parse_multipart(boundary, body, arguments, files, forms.MultipartLimits(**limits))
    return arguments, files


def test_urlencoded():
    assert forms.parse_urlencoded(b"a=1&b=x+y%21&a=2&c&=d&&") == {
        "a": [b"1", b"2"],
        "b": [b"x y!"],
        "c": [b""],
        "": [b"d"],
    }
    assert forms.parse_urlencoded(b"%C3%A9=1&%E9=2") == {"é": [b"1", b"2"]}


def test_urlencoded_fields_are_counted_before_they_are_split():
    start = time.perf_counter()
    with pytest.raises(ProtocolError):
        forms.parse_urlencoded(b"&" * 10_000_000)
    assert time.perf_counter() - start < 1


def test_multipart_fields_and_files():
    body = multipart(
        b'Content-Disposition: form-data; name="text"\r\n\r\nhello',
        b'Content-Disposition: form-data; name="f"; filename="a.txt"\r\nContent-Type: text/plain\r\n\r\nx--By',
        b'content-disposition: form-data; name="f"; filename="\xc3\xa9\xe2\x98\x83"\r\n\r\n',
    )
    arguments, files = parse(b"preamble\r\n" + body + b"epilogue")
    assert arguments == {"text": [b"hello"]}
    assert [f.filename for f in files["f"]] == ["a.txt", "é☃"]
    assert [f.content_type for f in files["f"]] == ["text/plain", "application/octet-stream"]
    assert files["f"][0].body == b"x--By"


def test_multipart_names_as_browsers_quote_them():
    body = multipart(b'Content-Disposition: form-data; name="a%22b%0D%0A"\r\n\r\n1')
    assert parse(body)[0] == {'a"b%0D%0A': [b"1"]}


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"--B",
        b"--B\r\n",
        b"--Bx\r\n\r\n\r\n--B--",
        b'--B\r\nContent-Disposition: form-data; name="a"\r\n\r\nno end',
        multipart(b"no head"),
        multipart(b"Content-Disposition: form-data\r\n\r\nno name"),
        multipart(b'Content-Disposition: attachment; name="a"\r\n\r\n1'),
        multipart(b'Content-Disposition: form-data; name="a"\rX: y\r\n\r\n1'),
        multipart(b"X: " + b"y" * 11_000 + b'\r\nContent-Disposition: form-data; name="a"\r\n\r\n1'),
    ],
)
def test_multipart_malformed(body):
    with pytest.raises(ProtocolError) as raised:
        parse(body)
    assert raised.value.status == 400


def test_multipart_parts_are_counted_before_they_are_split():
    part = b'Content-Disposition: form-data; name="a"\r\n\r\n1'
    assert len(parse(multipart(*[part] * 100))[0]["a"]) == 100
    with pytest.raises(ProtocolError):
        parse(multipart(*[part] * 101))
    start = time.perf_counter()
    with pytest.raises(ProtocolError):
        parse(b"--B\r\n" * 2_000_000)
    assert time.perf_counter() - start < 1


@pytest.mark.parametrize(
    "content_type", ["multipart/form-data", "multipart/form-data; boundary=", f"x; boundary={'b' * 71}"]
)
def test_boundary_missing_or_malformed(content_type):
    with pytest.raises(ProtocolError):
        forms.parse_boundary(content_type)


def test_boundary_quoted():
    assert forms.parse_boundary('multipart/form-data; boundary="a b"') == b"a b"


def test_body_by_content_type():
    for content_type, body, expected in [
        ("application/x-www-form-urlencoded; charset=UTF-8", b"a=1", {"a": [b"1"]}),
        (
            "multipart/form-data; boundary=B",
            multipart(b'Content-Disposition: form-data; name="a"\r\n\r\n1'),
            {"a": [b"1"]},
        ),
        ("application/json", b"a=1", {}),
    ]:
        arguments = {}
        forms.parse_body(content_type, body, arguments, {})
        assert arguments == expected
