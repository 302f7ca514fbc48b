"""The head of an answer, as bytes.

The common head (one status, content type and kind of connection) is the same for a second: it is built once and taken
from a dictionary after that. Any other is formatted line by line.
"""

import re
from collections.abc import Iterable
from datetime import datetime

from framework import clock, version
from framework.httputil import format_timestamp, responses
from framework.web.conditional import content_etag

SERVER = f"Squall/{version.rpartition('.')[0]}"

# Whatever would end the line: the way into response splitting (CVE-2012-2374, CVE-2025-67724).
is_unsafe = re.compile(r"[\x00-\x08\x0a-\x1f\x7f]").search

_MAX_PREBUILT = 64
_prebuilt: dict[str | tuple[str, int], bytes] = {}
known_answers: dict[tuple[str, bytes], bytes] = {}
"""Whole answers by common_head's key and body, of small bodies that come again within the second: "[]" for a poll, the
pages of errors and of probes."""
find_known_answer = known_answers.get
MAX_KNOWN_BODY_BYTES = 256

clock.forgetting += (_prebuilt.clear, known_answers.clear)


def common_head(key: str, status_code: int = 200) -> bytes:
    """Status line and headers up to `Content-Length: `.

    `key` is the content type, with CRLF and a Connection line behind it where one is needed (see connection_line).
    """
    head = _prebuilt.get(key if status_code == 200 else (key, status_code))
    if head is None:
        head = b"HTTP/1.1 %d %b\r\nServer: %b\r\nDate: %b\r\nContent-Type: %b\r\nContent-Length: " % (
            status_code,
            reason_phrase(status_code, None).encode(),
            SERVER.encode(),
            clock.http_date,
            encode_head(key),
        )
        if len(_prebuilt) < _MAX_PREBUILT and clock.is_turning():
            _prebuilt[key if status_code == 200 else (key, status_code)] = head
    return head


def common_answer(key: str, body: bytes) -> bytes:
    """The whole answer, with status 200 and an entity tag, for a GET without conditions; `key` is common_head's."""
    answer = b"%b%d\r\nETag: %b\r\n\r\n%b" % (common_head(key), len(body), content_etag(body), body)
    if len(body) <= MAX_KNOWN_BODY_BYTES and len(known_answers) < _MAX_PREBUILT and clock.is_turning():
        known_answers[key, body] = answer
    return answer


def reason_phrase(status_code: int, reason: str | None) -> str:
    """What the status line says after the code."""
    return reason or responses.get(status_code, "Unknown")


def format_head(status_code: int, reason: str | None, headers: Iterable[tuple[str, str]]) -> bytes:
    """Status line, headers and the empty line. Values are checked where they are set, not here."""
    lines = [f"HTTP/1.1 {status_code} {reason_phrase(status_code, reason)}"]
    lines += [f"{name}: {value}" for name, value in headers]
    return encode_head("\r\n".join(lines) + "\r\n\r\n")


def encode_head(text: str) -> bytes:
    """The text as UTF-8; what was given as bytes that are none comes out as those bytes."""
    return text.encode("utf-8", "surrogateescape")


def header_text(value: str | bytes | int | datetime) -> str:
    """A header's value as text, checked.

    Raises:
        ValueError: it holds a control character.
        TypeError: it is none of these types.
    """
    if isinstance(value, bytes):
        text = value.decode("utf-8", "surrogateescape")
    elif isinstance(value, str):
        text = value
    elif isinstance(value, int):
        text = str(value)
    elif isinstance(value, datetime):
        text = format_timestamp(value)
    else:
        raise TypeError(f"header: expected str, bytes, int or datetime, got {value!r}")
    if is_unsafe(text):
        raise ValueError(f"header: expected no control characters, got {text!r}")
    return text


def connection_line(is_kept: bool, http_version: str) -> str:
    """CRLF and the Connection line that keeps or ends this connection; empty where HTTP/1.1's default does."""
    if not is_kept:
        return "\r\nConnection: close"
    return "" if http_version == "HTTP/1.1" else "\r\nConnection: keep-alive"
