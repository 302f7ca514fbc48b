"""The answer's side of a handler: status, headers, body, and how they get out.

Two ways out. The common answer (in one piece, with headers and cookies that change nothing about how it is sent) leaves
in one call, its head prebuilt. Everything else is put together line by line. Which it is depends on what the
handler did, not on what it is: a header map comes to be when somebody needs one.
"""

from collections.abc import Generator, Iterator
from datetime import datetime
from functools import lru_cache
from time import perf_counter
from typing import TYPE_CHECKING, Any, BinaryIO
from urllib.parse import quote

from framework import clock, metrics
from framework.escape import json_encode
from framework.httputil import HTTPHeaders
from framework.log import gen_log
from framework.metrics import MOST_ANSWERED
from framework.request import HTTPRequest
from framework.web.conditional import content_etag, etag_matches
from framework.web.heads import (
    MAX_KNOWN_BODY_BYTES,
    SERVER,
    common_answer,
    common_head,
    connection_line,
    encode_head,
    find_known_answer,
    format_head,
    header_text,
    is_unsafe,
)
from framework.web.transforms import OutputTransform

if TYPE_CHECKING:
    from framework.web.application import Application
    from framework.web.rendering import UI

_HTML = "text/html; charset=UTF-8"
_JSON = "application/json; charset=UTF-8"

# What decides on framing, caching or the connection: with one of these set, the answer is not the common one.
_STRUCTURAL = frozenset(
    ("server", "date", "etag", "content-length", "transfer-encoding", "connection", "content-encoding", "content-range")
)


@lru_cache(maxsize=256)
def _known_name(name: str) -> tuple[str, str]:
    """A header's name in lower case and in Http-Header-Case, checked."""
    (usual,) = HTTPHeaders({name: ""})
    return name.lower(), usual


class _Done:
    """What flush() and finish() return when nobody has to wait. Awaiting it costs no future."""

    def __await__(self) -> Generator[None]:
        return
        yield


class _Gone(_Done):
    """What they return when the client has left: whoever waits learns it, whoever does not need not."""

    def __await__(self) -> Generator[None]:
        raise ConnectionResetError("the client closed the connection")
        yield


DONE = _Done()
GONE = _Gone()


class Responder:
    """Status, headers and body of one answer."""

    application: "Application"
    request: HTTPRequest

    # Defaults live on the class: a request that needs nothing special sets nothing.
    _status_code = 200
    _reason: str | None = None
    _content_type: str = _HTML
    # Headers of its own that the common answer may have, by lower-case name; the map once it has more than that.
    _extra: dict[str, tuple[str, str]] | None = None
    _headers: HTTPHeaders | None = None
    # The body so far: most are written in one piece, which then needs no list.
    _write_buffer: bytes | list[bytes] | None
    _new_cookies: dict[tuple[str, str, str], str] | None = None
    _transforms: list[OutputTransform] | None = None
    _headers_written = False
    # Without a default, for the interpreter is quick only with what a class does not have as well: see __init__.
    _finished: bool
    _auto_finish = True
    # Until something is set that the common head does not have.
    _is_common = True
    # Until anything is set but the content type: a status, a header, a cookie.
    _is_untouched = True
    _is_initializing = False
    _ui: "UI | None" = None
    _is_chunked = False
    _body_left: int | None = None

    # Facts about the subclass, found out once when it is defined (RequestHandler.__init_subclass__).
    _route_name = "RequestHandler"
    _has_default_headers = False
    _has_epilogue = False  # on_finish, or a _ui to be forgotten

    # ---- status and headers

    def set_default_headers(self) -> None:
        """Hook: set the headers that every answer of this handler has, error pages included."""

    def clear(self) -> None:
        """Forget status, headers and body written so far."""
        self._status_code, self._reason = 200, None
        self._headers, self._extra, self._content_type = None, None, _HTML
        self._write_buffer = None
        if self._has_default_headers:
            self.set_default_headers()

    def set_status(self, status_code: int, reason: str | None = None) -> None:
        """Set the status code and, if the usual one won't do, the phrase that follows it.

        Raises:
            ValueError: the phrase holds a control character.
        """
        if reason is not None and is_unsafe(reason):
            raise ValueError(f"reason: expected no control characters, got {reason!r}")
        self._status_code = status_code
        self._reason = reason
        if status_code != 200 or reason is not None:
            self._is_untouched = False
        if reason is not None or status_code < 200 or status_code in (204, 304):
            self._is_common = False

    def get_status(self) -> int:
        """The status code as it stands."""
        return self._status_code

    def set_header(self, name: str, value: str | bytes | int | datetime) -> None:
        """Set a header, in place of any of that name. A datetime becomes an HTTP date (naive: UTC).

        Raises:
            ValueError: the name is no token, or the value holds a control character.
        """
        text = header_text(value)
        if self._headers is not None:
            self._headers[name] = text
            return
        key, name = _known_name(name)
        if key == "content-type":
            self._content_type = text
        elif key in _STRUCTURAL:
            self._header_map()[name] = text
        else:
            if self._extra is None:
                self._extra = {}
                self._is_untouched = False
            self._extra[key] = (name, text)

    def add_header(self, name: str, value: str | bytes | int | datetime) -> None:
        """Add a header to those of that name.

        Raises:
            ValueError: as for set_header.
        """
        self._header_map().add(name, header_text(value))

    def clear_header(self, name: str) -> None:
        """Take a header away, one of the default ones too; nothing happens if it is not there."""
        headers = self._header_map()
        if name in headers:
            del headers[name]

    def _header_map(self) -> HTTPHeaders:
        """All headers so far as a map; from here on the answer goes the general way."""
        if self._headers is None:
            self._is_common = self._is_untouched = False
            headers = self._headers = HTTPHeaders()
            headers["Server"] = SERVER
            headers["Content-Type"] = self._content_type
            headers["Date"] = clock.http_date.decode()
            for name, text in (self._extra or {}).values():
                headers[name] = text
        return self._headers

    # ---- body

    def write(self, chunk: str | bytes | dict[Any, Any]) -> None:
        """Add text (as UTF-8), bytes or a dict (as JSON, with its content type) to the body.

        Raises:
            TypeError: anything else; a list too: old browsers let another site read a JSON array by <script>.
            RuntimeError: the answer is finished.
        """
        if self._finished:
            raise RuntimeError(self._why_not("write()"))
        if isinstance(chunk, str):
            piece = chunk.encode()
        elif isinstance(chunk, bytes):
            piece = chunk
        elif isinstance(chunk, dict):
            self.set_header("Content-Type", _JSON)
            piece = json_encode(chunk).encode()
        elif isinstance(chunk, bytearray | memoryview):
            piece = bytes(chunk)
        else:
            raise TypeError(f"write(): expected str, bytes or dict, got {type(chunk).__name__}")
        written = self._write_buffer
        if written is None:
            self._write_buffer = piece
        elif isinstance(written, list):
            written.append(piece)
        else:
            self._write_buffer = [written, piece]

    def _join_write_buffer(self) -> bytes:
        """All that was written and not sent."""
        written = self._write_buffer
        return written if isinstance(written, bytes) else b"".join(written or ())

    def flush(self, include_footers: bool = False) -> Any:
        """Send what is written so far. Awaiting the result waits until the client has taken enough of it.

        Raises:
            ConnectionResetError: (when awaited) the client has gone.
        """
        if self._finished:
            raise RuntimeError(self._why_not("flush()"))
        self.application.refuse_under_wsgi("flush()")
        self._send(self._join_write_buffer(), include_footers)
        return self._wait()

    async def send_file(self, file: BinaryIO, offset: int, count: int) -> None:
        """Send `count` bytes of a file from `offset`, from kernel to kernel; Content-Length must say so before.

        Raises:
            ConnectionResetError: the client has gone.
        """
        await self.flush()
        if self._body_left is None or self._transforms or self._is_chunked:
            raise RuntimeError("send_file(): expected a Content-Length, no transforms and a method other than HEAD")
        self._body_left -= count
        await self.request.connection.send_file(file, offset, count)

    def finish(self, chunk: str | bytes | dict[Any, Any] | None = None) -> Any:
        """Complete the answer, after writing `chunk` if there is one.

        Raises:
            RuntimeError: it is complete already.
        """
        if self._finished:
            raise RuntimeError(self._why_not("finish()"))
        if chunk is not None:
            self.write(chunk)
        return self._complete()

    def _complete(self) -> _Done:
        """As finish(), of an answer that is not complete yet."""
        request = self.request
        connection = request.connection
        if self._is_untouched and request.is_plain_get and connection.keep_alive and request.version == "HTTP/1.1":
            body = self._write_buffer
            if not isinstance(body, bytes):
                body = self._join_write_buffer()
            answer = find_known_answer((self._content_type, body)) if len(body) <= MAX_KNOWN_BODY_BYTES else None
            if answer is None:
                answer = common_answer(self._content_type, body)
            connection.answer(answer)
        elif not (self._is_common and self._finish_common()):
            self._finish_general(self._join_write_buffer())
        self._finished = True
        application = self.application
        notes = application.notes
        if not notes:
            application.begin_notes()
        notes.append(
            (
                (self._route_name, self._status_code, request.method, request.uri, request.remote_ip),
                request.start_time,
                perf_counter(),
                request.trace,
            )
        )
        if len(notes) >= MOST_ANSWERED:
            metrics.count_answered()
        if application.quick_log is None:
            application.log_request(self)  # type: ignore[arg-type]  # every Responder is a RequestHandler
        if self._has_epilogue:
            # It knows the handler and the handler knows it: neither should wait for the collector.
            self._ui = None
            self.on_finish()
        return DONE

    def on_finish(self) -> None:
        """Hook: called when the answer is complete and logged. It can't be changed any more."""

    def _why_not(self, call: str) -> str:
        if self._is_initializing:
            return f"{call} in initialize(): it may not produce output; prepare() may"
        return f"{call} after finish(); is a callback missing @asynchronous, or an await?"

    # ---- the common way

    def _finish_common(self) -> bool:
        """Send the common answer in one call; False if this request wants something else."""
        request = self.request
        connection = request.connection
        body = self._join_write_buffer()
        status = self._status_code
        key = self._content_type
        if not (connection.keep_alive and request.version == "HTTP/1.1"):
            key += connection_line(connection.keep_alive, request.version)
        if status == 200 and request.method == "GET":
            if self._is_untouched and request.is_plain_get:
                answer = find_known_answer((key, body)) if len(body) <= MAX_KNOWN_BODY_BYTES else None
                connection.answer(answer or common_answer(key, body))
                return True
            etag = content_etag(body)
            if not request.is_plain_get:
                wanted = request.find_header(b"if-none-match")
                if wanted is not None and etag_matches(wanted, etag):
                    return False
            tail = b"%d\r\nETag: %b\r\n" % (len(body), etag)
        elif request.method == "HEAD":
            return False
        else:
            tail = b"%d\r\n" % len(body)
        if self._extra is not None or self._new_cookies is not None:
            tail += self._extra_lines()
        connection.answer(b"".join((common_head(key, status), tail, b"\r\n", body)))
        return True

    def _extra_lines(self) -> bytes:
        lines = [f"{name}: {text}\r\n" for name, text in (self._extra or {}).values()]
        lines += [f"Set-Cookie: {cookie}\r\n" for cookie in (self._new_cookies or {}).values()]
        return encode_head("".join(lines))

    # ---- the general way

    def compute_etag(self) -> str | None:
        """Hook: the entity tag of the body written so far, in quotes; None for no tag."""
        return content_etag(self._join_write_buffer()).decode()

    def set_etag_header(self) -> None:
        """Set the ETag header from compute_etag, if it gives one."""
        if (etag := self.compute_etag()) is not None:
            self.set_header("ETag", etag)

    def check_etag_header(self) -> bool:
        """Whether the client already has what the ETag header names."""
        etag = self._header_map().get("ETag", "")
        wanted = self.request.find_header(b"if-none-match")
        return bool(etag) and wanted is not None and etag_matches(wanted, encode_head(etag))

    def _finish_general(self, body: bytes) -> None:
        if not self._headers_written and self._status_code == 200 and self.request.method in ("GET", "HEAD"):
            if "ETag" not in self._header_map():
                self.set_etag_header()
            if self.check_etag_header():
                self.set_status(304)
                body = b""
        if not self._send(body, True):
            return
        if self._body_left:
            # Less than Content-Length promised: the client must not take the next answer for the rest of this one.
            gen_log.error("%s: body ends %d bytes before its Content-Length", self._summary(), self._body_left)
            self.request.connection.abort()
            return
        if self._is_chunked:
            self.request.connection.write(b"0\r\n\r\n")
        self.request.connection.finish()

    def _send(self, chunk: bytes, is_finishing: bool) -> bool:
        """Put a part of the body out, the head before the first; False if the client has gone."""
        self._write_buffer = None
        self._is_common = self._is_untouched = False
        is_head = self.request.method == "HEAD"
        out = b""
        if not self._headers_written:
            self._headers_written = True
            chunk, out = self._start(chunk, is_finishing)
        else:
            for transform in self._transforms or ():
                chunk = transform.transform_chunk(chunk, is_finishing)
        if not is_head and chunk:
            if self._body_left is not None:
                self._body_left -= len(chunk)
                if self._body_left < 0:
                    self.request.connection.abort()
                    raise RuntimeError(f"body is {-self._body_left} bytes longer than its Content-Length")
            out += b"%x\r\n%b\r\n" % (len(chunk), chunk) if self._is_chunked else chunk
        connection = self.request.connection
        if connection.closed:
            return False
        if out:
            connection.write(out)
        return True

    def _start(self, chunk: bytes, is_finishing: bool) -> tuple[bytes, bytes]:
        """The first part of the body as it goes out, and the head that goes before it."""
        headers = self._header_map()
        for transform in self._transforms or ():
            self._status_code, headers, chunk = transform.transform_first_chunk(
                self._status_code, headers, chunk, is_finishing
            )
        self._headers = headers
        status = self._status_code
        if status in (204, 304) or 100 <= status < 200:
            # RFC 9110 §8.6, RFC 9112 §6.1: no body, and no framing either (upstream sent it until 4.5.3).
            if chunk:
                gen_log.warning("%s: the body of a %d is dropped", self._summary(), status)
            chunk = b""
            for name in ("Content-Length", "Transfer-Encoding", "Content-Encoding", "Content-Language", "Content-Type"):
                if name in headers:
                    del headers[name]
        else:
            self._frame(headers, chunk, is_finishing)
        return chunk, format_head(status, self._reason, self._all_headers(headers))

    def _frame(self, headers: HTTPHeaders, chunk: bytes, is_finishing: bool) -> None:
        """Say how the body ends: by length, by chunks, or (HTTP/1.0) by closing."""
        request = self.request
        is_head = request.method == "HEAD"
        if "Transfer-Encoding" in headers:
            # Ours to say: with a length beside it, two readers would see two ends (RFC 9112 §6.1).
            del headers["Transfer-Encoding"]
        if "Content-Length" in headers:
            self._body_left = None if is_head else int(headers["Content-Length"])
        elif is_finishing:
            headers["Content-Length"] = str(len(chunk))
        elif request.version == "HTTP/1.1":
            headers["Transfer-Encoding"] = "chunked"
            self._is_chunked = not is_head
        elif not is_head:
            request.connection.keep_alive = False

    def _all_headers(self, headers: HTTPHeaders) -> Iterator[tuple[str, str]]:
        connection = self.request.connection
        if headers.get("Connection", "").lower() == "close":
            connection.keep_alive = False
        elif not connection.keep_alive:
            headers["Connection"] = "close"
        elif self.request.version != "HTTP/1.1" and "Connection" not in headers:
            headers["Connection"] = "keep-alive"
        yield from headers.get_all()
        for cookie in (self._new_cookies or {}).values():
            yield "Set-Cookie", cookie

    def _wait(self) -> Any:
        connection = self.request.connection
        if connection.closed:
            return GONE
        return connection.drained() or DONE

    # ---- the ways to end otherwise

    def redirect(self, url: str | bytes, permanent: bool = False, status: int | None = None) -> None:
        """Finish with a redirection: 302, 301 if permanent, or `status` (300 to 399).

        Raises:
            RuntimeError: the headers are out already.
        """
        if self._headers_written:
            raise RuntimeError("redirect(): the headers are sent already")
        if status is None:
            status = 301 if permanent else 302
        if not 300 <= status <= 399:
            raise ValueError(f"redirect(): expected a status from 300 to 399, got {status}")
        self.set_status(status)
        text = url.decode() if isinstance(url, bytes) else url
        # Blanks and controls are dropped as in the seed; other bytes that no URL may hold are percent-encoded.
        text = "".join(char for char in text if char > " " and char != "\x7f")
        self.set_header("Location", quote(text, safe="!#$%&'()*+,/:;=?@[]~"))
        self.finish()

    def detach(self) -> Any:
        """The transport of this connection and the bytes read ahead, for a protocol of your own. Nothing is sent."""
        self._finished = True
        return self.request.connection.detach()

    def _summary(self) -> str:
        return f"{self.request.method} {self.request.uri} ({self.request.remote_ip})"
