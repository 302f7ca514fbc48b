"""Conditional and partial requests: entity tags, dates, ranges (RFC 9110 §8.8, §13, §14). Values in, decisions out."""

import re
from typing import NamedTuple
from zlib import adler32, crc32

from framework.errors import FrameworkError

_find_tags = re.compile(rb'(?:W/)?"[!\x23-\x7e\x80-\xff]*"|\*').findall
_is_range_set = re.compile(r"bytes[ \t]*=[ \t]*([0-9, \t-]+)", re.IGNORECASE).fullmatch
_is_range = re.compile(r"([0-9]*)[ \t]*-[ \t]*([0-9]*)").fullmatch


def content_etag(body: bytes) -> bytes:
    """The strong entity tag of these bytes, in its quotes.

    Two checksums and the length, at a fifth of the cost of a cryptographic hash (12 bytes: 0.1 against 0.5 us; 10 kB: 5
    against 11 us), which every page would pay. CRC-32 sees every change of up to 32 bits in a row; of any other one in
    2^32 goes unseen, if Adler-32 and the length miss it as well. Nobody gains by forging one: it would only keep a page
    from a browser that has asked for it before.
    """
    return b'"%x-%x-%x"' % (crc32(body), adler32(body), len(body))


def etag_matches(listed: bytes, etag: bytes, is_weak: bool = True) -> bool:
    """Whether an If-None-Match or If-Match value names this tag, or any at all (RFC 9110 §13.1).

    By weak comparison, as If-None-Match wants it, or by strong comparison, as If-Match does.
    """
    if not is_weak:
        return any(tag == b"*" or (tag == etag and not tag.startswith(b"W/")) for tag in _find_tags(listed))
    wanted = etag.removeprefix(b"W/")
    return any(tag == b"*" or tag.removeprefix(b"W/") == wanted for tag in _find_tags(listed))


class Range(NamedTuple):
    """Bytes `start` to `end`, the end not included."""

    start: int
    end: int


def parse_range(value: str, size: int) -> Range | None:
    """The one range that a Range header asks of `size` bytes; None if the header is to be ignored.

    Several ranges are ignored, as RFC 9110 §14.2 allows: a multipart answer has no user among browsers and was a way to
    make servers work (CVE-2011-3192).

    Raises:
        RangeNotSatisfiable: none of the bytes asked for exists.
    """
    whole = _is_range_set(value.strip())
    if whole is None:
        return None
    found = _is_range(whole[1].strip())
    if found is None or (not found[1] and not found[2]):
        return None
    first, last = found[1][:20], found[2][:20]
    if not first:
        # The last n bytes; more than there are means all of them.
        count = min(int(last), size)
        if count == 0:
            raise RangeNotSatisfiable(size)
        return Range(size - count, size)
    start = int(first)
    if last and int(last) < start:
        return None
    if start >= size:
        raise RangeNotSatisfiable(size)
    return Range(start, min(int(last) + 1, size) if last else size)


class RangeNotSatisfiable(FrameworkError):
    """416: the range begins behind the end; `size` bytes are there."""

    def __init__(self, size: int) -> None:
        super().__init__(f"range: only {size} bytes are there")
        self.size = size
