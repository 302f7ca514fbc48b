"""Properties of any request, and of the patterns that read its head."""

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from framework import http1
from framework.errors import ProtocolError
from framework.httpserver.xheaders import read_xheaders
from framework.request import find_trace
from tests.support.judge import Judge

# As our nginx puts it before the client's own.
PROXIED = (
    b"X-Request-ID: 0\r\nX-Request-Start: t=1.5\r\nX-Real-IP: 192.0.2.1\r\nX-Forwarded-For: 192.0.2.1\r\n"
    b"X-Forwarded-Proto: http\r\nX-Scheme: http\r\n"
)
LINES = st.sampled_from(
    [
        *(b"Host: h\r\n", b"host:h:80 \r\n", b"Host: a..b\r\n", b"Hos: t\r\n", b"Hostess: x\r\n", b"Host : h\r\n"),
        *(b"Connection: keep-alive\r\n", b"Connection: close\r\n", b"connection: TE\r\n", b"Connectio: n\r\n"),
        *(b"Content-Length: 3\r\n", b"content-length: 0\r\n", b"Transfer-Encoding: chunked\r\n", b"TE: trailers\r\n"),
        *(b"Expect: 100-continue\r\n", b"Upgrade: x\r\n", b"Upgrade-Insecure-Requests: 1\r\n", b"User-Agent: x\r\n"),
        *(b"Cookie: a=b\r\n", b"Accept: */*\r\n", b"X: \xff\t\r\n", b"X:\r\n", b": x\r\n", b" fold\r\n", b"X: \0\r\n"),
        *(PROXIED, b"X-Real-IP: 192.0.2.1\r\n", b"X-Forwarded-For: 192.0.2.1\r\n", b"X-Request-ID: 0\r\n"),
        *(b"X: a\rb\r\n", b"X: a\n", b"\r\n", b"\n", b"\r"),
    ]
)
START = st.sampled_from(
    [b"GET / HTTP/1.1\r\n", b"POST /a?b HTTP/1.1\r\n", b"GET / HTTP/1.0\r\n", b"get / HTTP/1.1\r\n"]
)
BODY = st.sampled_from([b"", b"abc", b"3\r\nabc\r\n0\r\n\r\n", b"0\r\nA: b\r\n\r\n", b"\r\n", b"x\r\n"])
HEADS = st.tuples(START, st.lists(LINES, max_size=8).map(b"".join)).map(b"".join)
REQUESTS = st.lists(st.tuples(HEADS, st.just(b"\r\n"), BODY).map(b"".join), min_size=1, max_size=3).map(b"".join)


@pytest.fixture(scope="module")
def judge():
    judge = Judge()
    yield judge
    judge.close()


@settings(deadline=None, max_examples=200)
@given(REQUESTS, st.lists(st.integers(0, 500), max_size=6))
def test_chunking_does_not_matter(judge, data, cuts):
    cuts = sorted(cut for cut in cuts if cut < len(data))
    pieces = [data[start:end] for start, end in zip([0, *cuts], [*cuts, len(data)], strict=True)]
    assert judge.verdict(pieces) == judge.verdict([data])


def is_valid_line_by_line(head):
    """What the pattern must say, found out without it."""
    try:
        return http1.HeadReader(65536, 8192, 100).examine(head, 0)
    except ProtocolError:
        return False


@settings(deadline=None, max_examples=500)
@given(HEADS)
@example(b"GET / HTTP/1.1\r\nHost: h\r\nConnection: TE\r\nTE: trailers\r\n\r\n")
def test_pattern_agrees_with_the_lines(head):
    head += b"\r\n"
    match = http1.match_head(head)
    assert (match is not None) == is_valid_line_by_line(head)


@settings(deadline=None, max_examples=1000)
@given(HEADS)
@example(b"GET / HTTP/1.1\r\nHost: h\r\nConnection: TE\r\nTE: trailers\r\n\r\n")
@example(b"GET / HTTP/1.1\r\nHost: h\r\nContent-Type: x\r\nContent-Length: 3\r\nCache-Control: x\r\n")
@example(b"GET / HTTP/1.1\r\nHost: h\r\nContent-Length: 3\r\nContent-Length: 3\r\n")
@example(b"GET / HTTP/1.1\r\nCookie: x\r\nHost: h\r\nHost: h\r\n")
@example(b"GET / HTTP/1.1\r\nCookie: x\r\nHost: h\r\nContent-Length: 3\r\nCookie: x\r\n")
@example(b"GET / HTTP/1.1\r\nCookie: x\r\nContent-Length: 3\r\nCookie: x\r\nHost: h\r\n")
@example(b"GET / HTTP/1.1\r\nContent-Length: 3\r\nContent-Length: 3\r\nHost: h\r\n")
@example(b"GET / HTTP/1.1\r\nContent-Length: 3\r\nHost: h\r\nContent-Length: 3\r\n")
@example(b"GET / HTTP/1.1\r\nHost: h\r\nCookie: x\r\nHost: h\r\n")
@example(b"GET / HTTP/1.1\r\nHost: h\r\nContent-Length: 3\r\n\r\n")
@example(b"GET / HTTP/1.1\r\nHost: h\r\n" + PROXIED)
@example(b"GET / HTTP/1.1\r\nHost: h\r\n" + PROXIED + b"Content-Length: 3\r\n")
@example(b"GET / HTTP/1.1\r\nHost: h\r\n" + PROXIED[:-5])
@example(b"GET / HTTP/1.1\r\nHost: h\r\nX-Scheme: https\r\n")
@example(b"GET / HTTP/1.1\r\nHost: h\r\nContent-Length: 3\r\nX-Forwarded-For: 192.0.2.1\r\n")
def test_plain_patterns_match_nothing_that_is_not_valid(head):
    head += b"\r\n"
    match = http1.match_head(head)
    whole = http1.match_plain_request, http1.match_believed_request
    for plain in (http1.match_plain_head, http1.match_direct_head, http1.match_late_host_head, *whole):
        found = plain(head)
        if found is None:
            continue
        known, length = found[1], found["length"] if plain in whole else None
        if plain is http1.match_late_host_head:
            line, host, length, early_length, late_host = found.groups()
            known = line + b"\r\nHost: " + (host or late_host)
            length = length or early_length
        # They are only used for what begins as a valid head did.
        if http1.match_head(known + b"\r\n\r\n") is None:
            continue
        # What follows a Content-Length is the body, blank lines too.
        own = found[0][: found.start("body")] if length is not None and plain in whole else found[0]
        assert match is not None and match[0] == own
        framing = http1.Framing(own, 1)
        assert not (framing.close or framing.is_chunked or framing.expects_continue)
        assert framing.content_length == (None if length is None else int(length))
        if plain is http1.match_believed_request and found[2] is None:
            assert read_xheaders(own, ()) == (None, None) and find_trace(own) is None
