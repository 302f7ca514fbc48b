"""What an application does to every answer on its way out: compression, and what you add by `add_transform`."""

import functools
import inspect
import re
import zlib
from collections.abc import Callable

from framework.httputil import HTTPHeaders
from framework.request import HTTPRequest

# Text is worth it; pictures, archives and films are compressed already.
_is_compressible = re.compile(
    r"text/(?!event-stream)|application/(?:(?:x-)?javascript|json|xml|manifest\+json|atom\+xml|rss\+xml|xhtml\+xml|wasm"
    r"|vnd\.ms-fontobject)|[a-z]+/[a-z.-]+\+(?:json|xml)|image/(?:svg\+xml|bmp|x-icon)|font/(?:otf|ttf)",
    re.IGNORECASE,
).match


class OutputTransform:
    """Changes status, headers and body of an answer; one object per request."""

    def __init__(self, request: HTTPRequest) -> None:
        pass

    def transform_first_chunk(
        self, status_code: int, headers: HTTPHeaders, chunk: bytes, finishing: bool
    ) -> tuple[int, HTTPHeaders, bytes]:
        """Status, headers and first part of the body as they go out; `finishing` if it is the last part too."""
        return status_code, headers, chunk

    def transform_chunk(self, chunk: bytes, finishing: bool) -> bytes:
        """A later part of the body as it goes out."""
        return chunk


class GZipContentEncoding(OutputTransform):
    """Compresses text for clients that accept gzip.

    Level 6, not 9: three times as fast for a percent of size. Pages under 1 kB gain nothing on the wire.
    """

    LEVEL = 6
    MIN_LENGTH = 1024

    def __init__(self, request: HTTPRequest, level: int = LEVEL, min_length: int = MIN_LENGTH) -> None:
        super().__init__(request)
        self._min_length = min_length
        is_accepted = "gzip" in accepted_codings(request.find_header(b"accept-encoding") or b"")
        self._compressor = zlib.compressobj(level, zlib.DEFLATED, 31) if is_accepted else None

    def transform_first_chunk(
        self, status_code: int, headers: HTTPHeaders, chunk: bytes, finishing: bool
    ) -> tuple[int, HTTPHeaders, bytes]:
        if status_code != 304 and not _is_compressible(headers.get("Content-Type", "")):
            self._compressor = None
            return status_code, headers, chunk
        # Also when it is not compressed: a cache in between must not hand one form to all.
        add_vary(headers, "Accept-Encoding")
        is_small = finishing and len(chunk) < self._min_length
        if is_small or status_code in (204, 206, 304) or "Content-Encoding" in headers or "Content-Range" in headers:
            self._compressor = None
        if self._compressor is None:
            return status_code, headers, chunk
        headers["Content-Encoding"] = "gzip"
        if "Content-Length" in headers:
            del headers["Content-Length"]
        etag = headers.get("ETag", "")
        if etag and not etag.startswith("W/"):
            # A strong tag promises these very bytes, which the next release of zlib may not give.
            headers["ETag"] = "W/" + etag
        return status_code, headers, self.transform_chunk(chunk, finishing)

    def transform_chunk(self, chunk: bytes, finishing: bool) -> bytes:
        if self._compressor is None:
            return chunk
        mode = zlib.Z_FINISH if finishing else zlib.Z_SYNC_FLUSH
        return self._compressor.compress(chunk) + self._compressor.flush(mode)


class ChunkedTransferEncoding(OutputTransform):
    """Of 1.2.1, for code that names it: answers without a length are chunked without it."""


class _Transform2011(OutputTransform):
    """A transform written for the seed, whose methods knew no status code."""

    def __init__(self, old_class: type, request: HTTPRequest) -> None:
        super().__init__(request)
        self._old = old_class(request)

    def transform_first_chunk(
        self, status_code: int, headers: HTTPHeaders, chunk: bytes, finishing: bool
    ) -> tuple[int, HTTPHeaders, bytes]:
        headers, chunk = self._old.transform_first_chunk(headers, chunk, finishing)
        return status_code, headers, chunk

    def transform_chunk(self, chunk: bytes, finishing: bool) -> bytes:
        changed: bytes = self._old.transform_chunk(chunk, finishing)
        return changed


def as_transform(given: type) -> Callable[[HTTPRequest], OutputTransform]:
    """What makes a transform of this class; it is called as in 2011 if its `transform_first_chunk` takes no status."""
    if len(inspect.signature(given.transform_first_chunk).parameters) == 4:  # type: ignore[attr-defined]
        return functools.partial(_Transform2011, given)
    return given


def accepted_codings(accept_encoding: bytes) -> set[str]:
    """Which of br and gzip an Accept-Encoding value allows (RFC 9110 §12.5.3); `gzip;q=0` does not."""
    accepted: set[str] = set()
    refused: set[str] = set()
    for item in accept_encoding.decode("latin-1").lower().split(","):
        coding, _, parameter = item.partition(";")
        is_refused = re.fullmatch(r"\s*q\s*=\s*0(\.0*)?\s*", parameter)
        (refused if is_refused else accepted).add(coding.strip().removeprefix("x-"))
    if "*" in accepted:
        accepted |= {"br", "gzip"}
    return (accepted - refused) & {"br", "gzip"}


def add_vary(headers: HTTPHeaders, name: str) -> None:
    """Add a header's name to Vary unless it is there."""
    present = headers.get("Vary", "")
    if name.lower() not in (one.strip().lower() for one in present.split(",")):
        headers["Vary"] = f"{present}, {name}" if present else name
