"""Answers of the S3 service as bytes on the wire, and the conditions and ranges that shape them (RFC 9110 §13, §14)."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import BinaryIO

from framework import clock, httputil
from framework.request import HTTPRequest
from framework.s3server.store import Stored, StoreError

_REASONS = {
    200: "OK", 204: "No Content", 206: "Partial Content", 304: "Not Modified", 400: "Bad Request", 403: "Forbidden",
    404: "Not Found", 405: "Method Not Allowed", 409: "Conflict", 411: "Length Required", 412: "Precondition Failed",
    413: "Content Too Large", 416: "Range Not Satisfiable", 500: "Internal Server Error", 501: "Not Implemented",
    503: "Service Unavailable",
}  # fmt: skip
_RANGE = re.compile(r"bytes=([0-9]{0,18})-([0-9]{0,18})", re.ASCII)

# What a client may set on an object and gets back with it.
KEPT_HEADERS = (
    "content-type",
    "cache-control",
    "content-disposition",
    "content-encoding",
    "content-language",
    "expires",
)
METADATA_PREFIX = "x-amz-meta-"
MAX_METADATA_BYTES = 2048  # S3's own limit


@dataclass(frozen=True, slots=True)
class Reply:
    """One answer; of a `stored` object, `count` bytes from `offset` are sent instead of `body`, out of `file`.

    Whoever gets the answer closes the file.
    """

    status: int = 200
    body: bytes = b""
    headers: dict[str, str] = field(default_factory=dict)
    stored: Stored | None = None
    offset: int = 0
    count: int = 0
    file: BinaryIO | None = None

    def format_head(self, request: HTTPRequest, request_id: str) -> bytes:
        """Status line and headers, Content-Length and Connection among them."""
        length = self.count if self.stored is not None else len(self.body)
        lines = [f"HTTP/1.1 {self.status} {_REASONS.get(self.status, 'Unknown')}"]
        lines += ["Server: Squall", f"Date: {clock.http_date.decode()}", f"x-amz-request-id: {request_id}"]
        lines += [f"{name}: {_check_value(value)}" for name, value in self.headers.items()]
        if self.body and "Content-Type" not in self.headers:
            lines.append("Content-Type: application/xml")
        if self.status not in (204, 304):
            lines.append(f"Content-Length: {length}")
        connection = request.connection
        if not connection.keep_alive:
            lines.append("Connection: close")
        elif request.version == "HTTP/1.0":
            lines.append("Connection: keep-alive")
        return ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1", "replace")


def _check_value(value: str) -> str:
    if "\r" in value or "\n" in value or "\0" in value:
        raise StoreError("InvalidArgument", "a header value must not have line ends", 400)
    return value


def kept_headers(headers: Mapping[str, str]) -> dict[str, str]:
    """What is kept with an object of the headers of its upload.

    Raises:
        StoreError: 400, if the metadata is larger than MAX_METADATA_BYTES.
    """
    kept = {name: headers[name] for name in KEPT_HEADERS if name in headers}
    # aws-chunked names the coding of the upload, not of the object
    encodings = [e.strip() for e in kept.pop("content-encoding", "").split(",") if e.strip() not in ("", "aws-chunked")]
    if encodings:
        kept["content-encoding"] = ", ".join(encodings)
    metadata = {name: value for name, value in headers.items() if name.startswith(METADATA_PREFIX)}
    if sum(len(name) + len(value) for name, value in metadata.items()) > MAX_METADATA_BYTES:
        raise StoreError("MetadataTooLarge", f"metadata: at most {MAX_METADATA_BYTES} bytes", 400)
    return kept | metadata


def check_preconditions(headers: Mapping[str, str], stored: Stored | None, prefix: str = "") -> None:
    """Refuse with 412 what If-Match and If-Unmodified-Since forbid; `prefix` is that of the copy headers.

    Raises:
        StoreError: 412.
    """
    failed = StoreError("PreconditionFailed", "a condition of the request does not hold", 412)
    match = headers.get(f"{prefix}if-match")
    if match is not None:
        if stored is None or not _names(match, stored.etag):
            raise failed
    elif stored is not None and f"{prefix}if-unmodified-since" in headers:
        since = httputil.parse_timestamp(headers[f"{prefix}if-unmodified-since"])
        if since is not None and int(stored.modified) > since.timestamp():
            raise failed


def is_unmodified(headers: Mapping[str, str], stored: Stored, prefix: str = "") -> bool:
    """Whether If-None-Match, or without it If-Modified-Since, says that the client has these bytes already."""
    none_match = headers.get(f"{prefix}if-none-match")
    if none_match is not None:
        return _names(none_match, stored.etag)
    since = httputil.parse_timestamp(headers.get(f"{prefix}if-modified-since", ""))
    return since is not None and int(stored.modified) <= since.timestamp()


def _names(etags: str, etag: str) -> bool:
    return any(given.strip().removeprefix("W/").strip('"') in (etag, "*") for given in etags.split(","))


def parse_range(value: str, size: int) -> tuple[int, int] | None:
    """Offset and count in bytes of one byte range of an object of `size` bytes; None if the whole is to be sent.

    Several ranges, or another unit, are answered with the whole, as RFC 9110 §14.2 allows and S3 does.

    Raises:
        StoreError: 416, if the range lies behind the end.
    """
    match = _RANGE.fullmatch(value.strip())
    if match is None or not (match[1] or match[2]):
        return None
    if not match[1]:
        count = min(int(match[2]), size)
        first = size - count
    else:
        first = int(match[1])
        last = int(match[2]) if match[2] else size - 1
        if match[2] and last < first:
            return None
        count = min(last, size - 1) - first + 1
    if count <= 0:
        raise StoreError("InvalidRange", f"the range lies outside of the object's {size} bytes", 416)
    return first, count
