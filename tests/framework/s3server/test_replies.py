"""Ranges, conditions, kept headers."""

from pathlib import Path

import pytest

from framework.s3server import replies
from framework.s3server.store import Stored, StoreError

STORED = Stored("k", Path("/x"), 10, "etag", 1_000_000.5)
DATE = "Mon, 12 Jan 1970 13:46:40 GMT"  # that of STORED, to the second


@pytest.mark.parametrize(
    ("value", "part"),
    [
        ("bytes=0-4", (0, 5)),
        ("bytes=5-", (5, 5)),
        ("bytes=-3", (7, 3)),
        ("bytes=-99", (0, 10)),
        ("bytes=0-99", (0, 10)),
        ("bytes=4-2", None),
        ("bytes=0-1,3-4", None),
        ("lines=0-1", None),
        ("", None),
    ],
)
def test_parse_range(value: str, part: tuple[int, int] | None) -> None:
    assert replies.parse_range(value, 10) == part


@pytest.mark.parametrize("value", ["bytes=10-", "bytes=-0"])
def test_range_behind_the_end_is_416(value: str) -> None:
    with pytest.raises(StoreError) as caught:
        replies.parse_range(value, 10)
    assert caught.value.status == 416


@pytest.mark.parametrize(
    ("headers", "is_unmodified"),
    [
        ({"if-none-match": '"etag"'}, True),
        ({"if-none-match": 'W/"etag", "x"'}, True),
        ({"if-none-match": '"x"'}, False),
        ({"if-none-match": '"x"', "if-modified-since": DATE}, False),
        ({"if-modified-since": DATE}, True),
        ({"if-modified-since": "nonsense"}, False),
        ({}, False),
    ],
)
def test_is_unmodified(headers: dict[str, str], is_unmodified: bool) -> None:
    assert replies.is_unmodified(headers, STORED) is is_unmodified


@pytest.mark.parametrize("headers", [{"if-match": '"x"'}, {"if-unmodified-since": "Mon, 12 Jan 1970 13:46:39 GMT"}])
def test_failed_preconditions_are_412(headers: dict[str, str]) -> None:
    with pytest.raises(StoreError) as caught:
        replies.check_preconditions(headers, STORED)
    assert caught.value.status == 412
    replies.check_preconditions({"if-match": '"etag"', "if-unmodified-since": DATE}, STORED)


def test_kept_headers() -> None:
    given = {"content-type": "a/b", "content-encoding": "aws-chunked,gzip", "host": "x", "x-amz-meta-a": "1"}
    assert replies.kept_headers(given) == {"content-type": "a/b", "content-encoding": "gzip", "x-amz-meta-a": "1"}
    with pytest.raises(StoreError, match="metadata"):
        replies.kept_headers({"x-amz-meta-a": "x" * 3000})
