import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from framework.web.conditional import RangeNotSatisfiable, content_etag, etag_matches, parse_range


def test_etag_is_of_the_content():
    assert content_etag(b"x") == content_etag(b"x") != content_etag(b"y")
    assert content_etag(b"x" * 10_000) == content_etag(b"x" * 10_000) != content_etag(b"x" * 10_001)
    assert content_etag(b"")[0:1] == content_etag(b"")[-1:] == b'"'


@pytest.mark.parametrize(
    ("header", "etag", "is_match"),
    [
        (b'"a"', b'"a"', True),
        (b'"b"', b'"a"', False),
        (b'"b", "a"', b'"a"', True),
        (b'"b","a","c"', b'"a"', True),
        (b'W/"a"', b'"a"', True),
        (b'"a"', b'W/"a"', True),
        (b'W/"b", W/"a"', b'W/"a"', True),
        (b"*", b'"a"', True),
        (b'"a,b"', b'"a"', False),
        (b'"a,b"', b'"a,b"', True),
        (b"a", b'"a"', False),
        (b"", b'"a"', False),
        (b'"', b'"a"', False),
    ],
)
def test_if_none_match_compares_weakly(header, etag, is_match):
    assert etag_matches(header, etag) is is_match


@pytest.mark.parametrize(
    ("header", "size", "expected"),
    [
        ("bytes=0-4", 10, (0, 5)),
        ("bytes=5-", 10, (5, 10)),
        ("bytes=-3", 10, (7, 10)),
        ("bytes=-300", 10, (0, 10)),
        ("bytes=0-300", 10, (0, 10)),
        ("bytes=9-9", 10, (9, 10)),
        ("Bytes = 1 - 2", 10, (1, 3)),
        ("bytes=4-2", 10, None),
        ("bytes=-", 10, None),
        ("bytes=a-b", 10, None),
        ("bytes=+1-2", 10, None),
        ("bytes=1_0-", 100, None),
        ("bytes=١-", 10, None),
        ("bytes=0-1,3-4", 10, None),
        ("lines=0-1", 10, None),
        ("", 10, None),
    ],
)
def test_range_is_read(header, size, expected):
    assert parse_range(header, size) == expected


@pytest.mark.parametrize(("header", "size"), [("bytes=10-", 10), ("bytes=-0", 10), ("bytes=0-", 0), ("bytes=-5", 0)])
def test_range_behind_the_end_is_refused(header, size):
    with pytest.raises(RangeNotSatisfiable) as caught:
        parse_range(header, size)
    assert caught.value.size == size


def test_endless_digits_cost_nothing():
    with pytest.raises(RangeNotSatisfiable):
        parse_range("bytes=" + "9" * 4000 + "-", 10)


@settings(max_examples=300, deadline=None)
@given(st.one_of(st.text(), st.from_regex(r"bytes=[0-9, -]{0,30}", fullmatch=True)), st.integers(0, 1000))
def test_any_range_is_within_the_file_or_refused(header, size):
    try:
        found = parse_range(header, size)
    except RangeNotSatisfiable:
        return
    if found is not None:
        assert 0 <= found.start < found.end <= size


@settings(max_examples=300, deadline=None)
@given(st.binary(max_size=200), st.binary(max_size=50))
def test_any_if_none_match_is_read(header, body):
    etag = content_etag(body)
    etag_matches(header, etag)
    assert etag_matches(b"W/" + etag + b', "x"', etag)


@settings(max_examples=200, deadline=None)
@given(st.binary(min_size=1, max_size=100), st.data())
def test_changed_bytes_have_another_etag(body, data):
    at = data.draw(st.integers(0, len(body) - 1))
    changed = body[:at] + bytes([body[at] ^ data.draw(st.integers(1, 255))]) + body[at + 1 :]
    assert content_etag(body) != content_etag(changed)
