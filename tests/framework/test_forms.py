import io
import time
import tracemalloc

import pytest
from hypothesis import given
from hypothesis import strategies as st

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


def stream(body, cuts=(), **limits):
    reader = forms.MultipartStream(b"B", lambda head: io.BytesIO(), forms.MultipartLimits(**limits))
    previous = 0
    for cut in [*sorted(cuts), len(body)]:
        reader.feed(body[previous:cut])
        previous = cut
    reader.close()
    files = {
        name: [dict(filename=f.filename, content_type=f.content_type, body=f.body) for f in found]
        for name, found in reader.files.items()
    }
    return reader.arguments, files


UPLOAD = b"preamble\r\n" + multipart(
    b'Content-Disposition: form-data; name="text"\r\n\r\nhello\r\n-\r\n--',
    b'Content-Disposition: form-data; name="f"; filename="a"\r\n\r\n' + b"\r\n--\r\n-B\r\r\n" * 20,
    b'Content-Disposition: form-data; name="f"; filename="empty"\r\nContent-Type: a/b\r\n\r\n',
    b'Content-Disposition: form-data; name="no-content"\r\n',
    b'Content-Disposition: form-data; name="last"\r\n\r\n1',
)


def test_stream_reads_what_the_parser_reads_wherever_it_is_cut():
    expected = parse(UPLOAD)
    assert stream(UPLOAD) == stream(UPLOAD, range(len(UPLOAD))) == expected
    for cut in range(len(UPLOAD)):
        assert stream(UPLOAD, [cut]) == expected


pieces = st.sampled_from(
    [b"--B", b"\r\n", b"--", b"B", b"\r", b"\n", b"x", b'Content-Disposition: form-data; name="a"', b" "]
)


@given(st.lists(pieces, max_size=30).map(b"".join), st.lists(st.integers(0, 400), max_size=5))
def test_chunking_does_not_matter_to_any_body(body, cuts):
    def verdict(*arguments):
        try:
            return stream(*arguments)
        except ProtocolError:
            return None

    cuts = [cut for cut in cuts if cut < len(body)]
    whole = verdict(body)
    assert verdict(body, cuts) == whole == verdict(body, range(len(body)))
    try:
        parsed = parse(body)
    except ProtocolError:
        parsed = None
    assert parsed == whole or b"--B" not in body[:3]


@pytest.mark.parametrize(
    "body, limits, status",
    [
        (UPLOAD, {"max_parts": 3}, 400),
        (UPLOAD, {"max_fields_bytes": 5}, 413),
        (UPLOAD, {"max_part_head_bytes": 40}, 400),
        (UPLOAD[:-20], {}, 400),
        (b"--Bx\r\n", {}, 400),
        (b"", {}, 400),
        (b"--B" + b" " * 500, {}, 400),
    ],
)
def test_stream_refuses_and_closes_its_files(body, limits, status):
    opened = []

    def open_file(head):
        opened.append(io.BytesIO())
        return opened[-1]

    reader = forms.MultipartStream(b"B", open_file, forms.MultipartLimits(**limits))
    with pytest.raises(ProtocolError) as raised:
        reader.feed(body)
        reader.close()
    assert raised.value.status == status
    assert all(file.closed for file in opened)


def test_stream_takes_constant_memory():
    class Sink:
        def write(self, content):
            pass

        def seek(self, position):
            pass

    reader = forms.MultipartStream(b"B", lambda head: Sink())
    reader.feed(b'--B\r\nContent-Disposition: form-data; name="f"; filename="a"\r\n\r\n')
    piece = b"\r\n--x" * 10_000
    tracemalloc.start()
    for _ in range(500):
        reader.feed(piece)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    reader.feed(b"\r\n--B--")
    reader.close()
    assert reader.files["f"][0].size == 500 * len(piece)
    assert peak < 5 * len(piece)
