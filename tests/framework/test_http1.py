import time

import pytest

from framework import http1
from framework.errors import ProtocolError


def groups(head):
    match = http1.match_head(head)
    return match and match.groups()


def test_head_without_framing_fields():
    head = b"GET /a?b HTTP/1.1\r\nUser-Agent: x\r\nHost: h:80\r\nCookie: c\r\nConnection: keep-alive\r\n\r\n"
    assert groups(head) == (b"GET /a?b HTTP/1.1", b"GET", b"/a?b", b"1", b"h:80")


PLAIN = b"GET / HTTP/1.1\r\nHost: h\r\nUser-Agent: x\r\nCookie: c\r\nConnection: keep-alive\r\nTE: x\r\nE: y\r\n\r\n"


def test_plain_head():
    for match in (http1.match_plain_head(PLAIN + b"x"), http1.match_plain_request(PLAIN)):
        assert match[1] == b"GET / HTTP/1.1\r\nHost: h" and match.lastgroup is None
    assert http1.match_plain_request(PLAIN + b"x") is None


@pytest.mark.parametrize(
    "line",
    [
        b"Connection: close",
        b"If-None-Match: x",
        b"if-range: x",
        b"X-Real-IP: x",
        b"x-scheme: x",
        b"X-REQUEST-ID: x",
        b"X-Request-Start: x",
        b"connection: keep-alive, x",
        b"content-length: +1",
        b"transfer-encoding: chunked",
        b"Expect: 100-continue",
        b"Host: h",
        b"hOST: h",
        b"A : b",
        b" a: b",
        b"A: \0",
        b"A: b\rc",
        b"A: b\nc: d",
    ],
)
@pytest.mark.parametrize("after", [b"Host: h\r\n", b"TE: x\r\n", b"Cookie: c\r\n"])
def test_heads_that_are_not_plain(line, after):
    assert http1.match_plain_request(PLAIN.replace(after, after + line + b"\r\n")) is None


@pytest.mark.parametrize(
    "line",
    [
        *(b"Content-Type: x", b"Cache-Control: x", b"X-Requested-With: x", b"X-Forwarded-For: x", b"C: x", b"I: x"),
        *(b"Hosts: x", b"Expected: x", b"Transfer-Encodings: x", b"Connection2: x", b"X-Scheme-X: x", b"Iff: x"),
        *(b"CF-Ray: x", b"Origin: x", b"Via: x", b"h: x", b"e: x", b"x: x", b"0: x"),
    ],
)
def test_heads_that_are_plain(line):
    assert http1.match_plain_request(PLAIN.replace(b"TE: x", line))


@pytest.mark.parametrize("line", [b"X-Forwarded-For: x", b"x-forwarded-PROTO: x", b"X-Real-IP: x", b"Expect: x"])
def test_heads_that_are_not_direct(line):
    assert http1.match_direct_head(PLAIN)
    assert http1.match_direct_head(PLAIN.replace(b"TE: x", line)) is None


def test_plain_request_with_body():
    head = PLAIN.replace(b"TE: x", b"Content-Length: 17")
    match = http1.match_plain_request(head + b"body\r\n\r\n\n")
    assert (match[1], match["length"], match["body"]) == (b"GET / HTTP/1.1\r\nHost: h", b"17", b"body\r\n\r\n\n")
    assert match.lastgroup == http1.match_plain_request(head).lastgroup == "body"
    for value in (b"", b"+1", b"1_0", b"1 ", b" 1", b"9" * 10, b"1\r\nContent-Length: 1"):
        assert http1.match_plain_request(head.replace(b"17", value)) is None


def test_late_host_head():
    head = b"GET / HTTP/1.1\r\nA: b\r\nHost: h\r\nTE: x\r\n\r\n"
    assert http1.match_late_host_head(head).groups() == (b"GET / HTTP/1.1", b"h", None, None, None)
    after = head.replace(b"TE: x", b"Content-Length: 3")
    assert http1.match_late_host_head(after).groups()[1:] == (b"h", b"3", None, None)
    before = head.replace(b"A: b", b"Content-Length: 3")
    assert http1.match_late_host_head(before).groups()[1:] == (None, None, b"3", b"h")
    assert http1.match_late_host_head(head.replace(b"A: b", b"Host: h")) is None
    assert http1.match_late_host_head(head.replace(b"TE: x", b"Host: h")) is None
    for both in (b"Host: h\r\nHost: h", b"Content-Length: 3\r\nContent-Length: 3"):
        assert http1.match_late_host_head(before.replace(b"TE: x", both)) is None
        assert http1.match_late_host_head(after.replace(b"A: b", both)) is None


def test_head_grammar_takes_linear_time():
    for filler in (b"a" * 200_000, b"A: " + b" \t" * 100_000, b"A: b\r\n" * 30_000, b"Host: a." + b"a." * 90_000):
        start = time.perf_counter()
        assert http1.match_head(b"GET / HTTP/1.1\r\n" + filler) is None
        assert time.perf_counter() - start < 0.5


def framing(*lines, minor=1):
    return http1.Framing(b"GET / HTTP/1.1\r\n" + b"".join(line + b"\r\n" for line in lines) + b"\r\n", minor)


def test_framing():
    assert framing(b"Content-Length:  12 ").content_length == 12
    assert framing(b"transfer-encoding: Chunked").is_chunked
    found = framing(b"Connection: Upgrade, close", b"Expect: 100-Continue", b"Connection: keep-alive")
    assert found.close and found.keep_alive and found.expects_continue
    assert not framing(b"Expect: 100-continue", minor=0).expects_continue


@pytest.mark.parametrize(
    "lines, status",
    [
        ([b"Content-Length: +1"], 400),
        ([b"Content-Length: 1_0"], 400),
        ([b"Content-Length: \xd9\xa1"], 400),
        ([b"Content-Length: "], 400),
        ([b"Content-Length: 1, 1"], 400),
        ([b"Content-Length: 1", b"Content-Length: 1"], 400),
        ([b"Content-Length: 1", b"Transfer-Encoding: chunked"], 400),
        ([b"Content-Length: " + b"9" * 19], 400),
        ([b"Transfer-Encoding: chunked", b"Transfer-Encoding: chunked"], 400),
        ([b"Transfer-Encoding: identity"], 400),
        ([b"Transfer-Encoding: gzip, chunked"], 501),
        ([b"Transfer-Encoding: chunked, gzip"], 400),
        ([b"Expect: 200-ok"], 417),
    ],
)
def test_framing_refused(lines, status):
    with pytest.raises(ProtocolError) as raised:
        framing(*lines)
    assert raised.value.status == status


def test_transfer_encoding_is_no_part_of_http_1_0():
    with pytest.raises(ProtocolError):
        framing(b"Transfer-Encoding: chunked", minor=0)


@pytest.mark.parametrize(
    "method, target, expected",
    [
        (b"GET", b"/", ("/", "", None)),
        (b"GET", b"/a%20b?c=%zz", ("/a%20b", "c=%zz", None)),
        (b"GET", b"/a/../b/./c", ("/a/../b/./c", "", None)),
        (b"GET", b"/\xc3\xa9?\xc3\xa9", ("/é", "é", None)),
        (b"GET", b"/\xe9", ("/é", "", None)),
        (b"GET", b"http://h:80/p?q", ("/p", "q", "h:80")),
        (b"GET", b"HTTPS://h", ("/", "", "h")),
        (b"GET", b"http://h?q", ("/", "q", "h")),
        (b"OPTIONS", b"*", ("*", "", None)),
        (b"CONNECT", b"h:443", ("", "", "h:443")),
        (b"CONNECT", b"[::1]:443", ("", "", "[::1]:443")),
    ],
)
def test_targets(method, target, expected):
    assert http1.split_target(method, target) == expected


@pytest.mark.parametrize(
    "method, target",
    [
        (b"GET", b"*"),
        (b"GET", b"a"),
        (b"GET", b"ftp://h/"),
        (b"GET", b"http://"),
        (b"GET", b"http://u@h/"),
        (b"GET", b"/%zz"),
        (b"GET", b"/%0"),
        (b"GET", b"/%00"),
        (b"GET", b"/.."),
        (b"GET", b"/a/../../b"),
        (b"GET", b"/%2e%2E/"),
        (b"GET", b"/..%2fx"),
        (b"CONNECT", b"/"),
        (b"CONNECT", b"h"),
    ],
)
def test_targets_refused(method, target):
    with pytest.raises(ProtocolError):
        http1.split_target(method, target)


def decode(data, cut=None, max_body_bytes=1000, max_trailer_bytes=100):
    body = http1.ChunkedBody(max_body_bytes, max_trailer_bytes)
    pieces, held = b"", b""
    for part in (data,) if cut is None else (data[:cut], data[cut:]):
        held += part
        position = 0
        while not body.is_done:
            piece, position = body.read(held, position)
            pieces += piece
            if body.needs_input:
                break
        held = held[position:]
    return pieces, body.is_done, held


CHUNKED = b'3\r\nabc\r\n0A ; n = "q\\";" ; x\r\n0123456789\r\n0\r\nTrailer: x\r\nB:\r\n\r\nnext'


def test_chunked_body_cut_anywhere():
    for cut in range(len(CHUNKED)):
        assert decode(CHUNKED, cut) == (b"abc0123456789", True, b"next")


@pytest.mark.parametrize(
    "data, status",
    [
        (b"x", 400),
        (b"\r\n", 400),
        (b"+1\r\n", 400),
        (b"0x1\r\n", 400),
        (b"-1\r\n", 400),
        (b"1_0\r\n", 400),
        (b"\xd9\xa1\r\n", 400),
        (b"1 \r\n", 400),
        (b"1;\r\n", 400),
        (b"1\n", 400),
        (b"1\rx", 400),
        (b"1\r\nab", 400),
        (b"1\r\na\n", 400),
        (b"12345678901234567\r\n", 400),
        (b"ffffffffffffffff\r\n", 413),
        (b"3e9\r\n", 413),
        (b"1;" + b"a" * 2000, 400),
        (b"0\r\nbad name: x\r\n", 400),
        (b"0\r\n fold\r\n", 400),
        (b"0\r\nA: x\n", 400),
        (b"0\r\n" + b"A: b\r\n" * 40, 431),
        (b"0\r\n" + b"A" * 200, 431),
    ],
)
def test_chunked_body_refused(data, status):
    with pytest.raises(ProtocolError) as raised:
        decode(data)
    assert raised.value.status == status


def test_extensions_may_not_outweigh_the_body():
    with pytest.raises(ProtocolError):
        decode((b"1;" + b"e" * 900 + b"\r\nx\r\n") * 100)


def test_flood_of_small_chunks_is_read_in_instalments():
    body = http1.ChunkedBody(10_000, 100)
    data = b"1\r\nx\r\n" * 5000
    piece, position = body.read(data, 0)
    assert len(piece) == 1000 and position == 6000 and not body.needs_input
