"""An HTTP request as the application sees it.

Everything that costs something (the header map, arguments, cookies, files) is made when somebody asks for it. Most
requests need one or two headers, and `find_header` takes those straight from the bytes.
"""

import re
import time
from collections.abc import Awaitable, Callable, Mapping
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Protocol, cast

from framework import forms
from framework.cookies import Cookie, parse_cookies
from framework.errors import ProtocolError
from framework.httputil import HTTPFile, HTTPHeaders, decode_text

if TYPE_CHECKING:
    import asyncio
    from typing import BinaryIO

Fields = dict[str, list[bytes]]
Files = dict[str, list[HTTPFile]]
Trace = tuple[bytes, bytes]
"""The X-Request-ID of a request, and its X-Request-Start: when a proxy received it."""


class ServerConnection(Protocol):
    """What `request.connection` offers an application: one object per connection, one request at a time."""

    keep_alive: bool

    @property
    def closed(self) -> bool:
        """Whether the client is gone."""

    def write(self, data: bytes) -> None:
        """Send bytes of the answer; they are dropped if the client is gone."""

    def finish(self) -> None:
        """The answer is complete."""

    def answer(self, data: bytes) -> None:
        """Send a whole answer: write and finish in one."""

    def drained(self) -> Awaitable[None] | None:
        """None if the client keeps up with what is written, else something to wait for until it does."""

    def send_file(self, file: "BinaryIO", offset: int, count: int) -> Awaitable[None]:
        """Send `count` bytes of a file from `offset` on, by the kernel where it can."""

    def set_close_callback(self, callback: Callable[[], object] | None) -> None:
        """Have `callback` called, once, if the client goes away before the answer is complete."""

    def set_max_body_size(self, max_body_bytes: int) -> None:
        """Take a larger or smaller body than the server's limit; before it is read."""

    def set_body_timeout(self, timeout_s: float) -> None:
        """Wait this long for the next piece of the body."""

    def may_detach(self) -> bool:
        """Whether the server has room for one more connection that stays: else an upgrade is to be refused (503)."""

    def detach(self) -> "tuple[asyncio.Transport, bytes]":
        """Take the socket away from the server: the transport, and what was read ahead."""

    def close(self) -> None:
        """Close once what was written is sent."""

    def abort(self) -> None:
        """Close at once."""


class BodyReceiver(Protocol):
    """Takes a body while it arrives; an application returns one from its `body_receiver(request)`."""

    def data_received(self, chunk: bytes) -> Awaitable[None] | None:
        """Take a piece of the body. Nothing more is read before an awaitable that is returned is done."""

    def body_complete(self) -> None:
        """The body is there."""

    def connection_lost(self) -> None:
        """The client went away, or broke the protocol, before the body was complete."""


class HTTPRequest:
    """One request. `uri` is the target as sent, `path` what precedes the "?", `query` what follows it.

    `host` is the Host header, or that of an absolute-form target, or 127.0.0.1 if there is none (HTTP/1.0).
    `raw_head` holds the start line and the headers as received, with the empty line. `start_time` is what
    time.perf_counter() said when the head was there. `is_plain_get` is True of a GET that surely has no condition
    (If-…).
    `trace` is what a proxy gave the request for later (see find_trace).
    """

    __slots__ = (
        "_arguments",
        "_body_arguments",
        "_cookies",
        "_files",
        "_finished_at",
        "_headers",
        "_query_arguments",
        "body",
        "connection",
        "host",
        "is_plain_get",
        "method",
        "path",
        "protocol",
        "query",
        "raw_head",
        "remote_ip",
        "start_time",
        "trace",
        "uri",
        "version",
    )

    # Slots that are filled when first asked for; empty until then.
    _arguments: Fields
    _body_arguments: Fields
    _cookies: dict[str, Cookie]
    _files: Files
    _finished_at: float
    _headers: HTTPHeaders
    _query_arguments: Fields

    def __init__(
        self,
        method: str,
        uri: str,
        version: str = "HTTP/1.1",
        headers: Mapping[str, str] | None = None,
        body: bytes = b"",
        remote_ip: str = "127.0.0.1",
        protocol: str = "http",
        host: str | None = None,
        connection: Any = None,
    ) -> None:
        self.method = method
        self.uri = uri
        self.path, _, self.query = uri.partition("?")
        self.version = version
        self._headers = HTTPHeaders(headers or {})
        self.host = host or self._headers.get("Host") or "127.0.0.1"
        self.body = body
        self.remote_ip = remote_ip
        self.protocol = protocol
        self.connection: Any = connection  # a ServerConnection; foreign ones may do less
        lines = "".join(f"{name}: {value}\r\n" for name, value in self._headers.get_all())
        self.raw_head = f"{method} {uri} {version}\r\n{lines}\r\n".encode("utf-8", "surrogateescape")
        self.is_plain_get = False
        self.trace: Trace | None = find_trace(self.raw_head)
        self.start_time = time.perf_counter()

    @property
    def headers(self) -> HTTPHeaders:
        """The header map."""
        try:
            return self._headers
        except AttributeError:
            self._headers = HTTPHeaders.from_valid_block(self.raw_head[self.raw_head.find(b"\n") + 1 :])
            return self._headers

    @headers.setter
    def headers(self, headers: HTTPHeaders) -> None:
        self._headers = headers

    def find_header(self, name_lower: bytes) -> bytes | None:
        """The raw value of the first header of that (small-letter) name, None if there is none; builds no map."""
        match = _header_pattern(name_lower).search(self.raw_head)
        return match[1].rstrip(b" \t") if match is not None else None

    @property
    def cookies(self) -> dict[str, Cookie]:
        """Cookies by name; each is a str, with `value` and `key` for code that expects Morsels."""
        try:
            return self._cookies
        except AttributeError:
            # RFC 6265 §5.4 allows one field, HTTP/2 several, and a proxy may pass those on.
            fields = _header_pattern(b"cookie").findall(self.raw_head)
            self._cookies = parse_cookies(decode_text(b"; ".join(fields))) if fields else {}
            return self._cookies

    @property
    def query_arguments(self) -> Fields:
        """Fields of the query.

        Raises:
            ProtocolError: 400, if there are too many.
        """
        try:
            return self._query_arguments
        except AttributeError:
            self._query_arguments = forms.parse_urlencoded(self.query.encode("utf-8")) if self.query else {}
            return self._query_arguments

    @property
    def body_arguments(self) -> Fields:
        """Fields of a form body; empty for other bodies.

        Raises:
            ProtocolError: 400, if the body is malformed.
        """
        try:
            return self._body_arguments
        except AttributeError:
            self._parse_body()
            return self._body_arguments

    @property
    def files(self) -> Files:
        """Files of a multipart body.

        Raises:
            ProtocolError: 400, if the body is malformed.
        """
        try:
            return self._files
        except AttributeError:
            self._parse_body()
            return self._files

    def _parse_body(self) -> None:
        arguments: Fields = {}
        files: Files = {}
        if self.body:
            content_type = (self.find_header(b"content-type") or b"").decode("latin-1")
            encoding = self.find_header(b"content-encoding") or b"identity"
            if encoding.lower() != b"identity" and forms.is_form(content_type):
                raise ProtocolError("form: expected no Content-Encoding", 415)
            forms.parse_body(content_type, self.body, arguments, files)
        self._body_arguments = arguments
        self._files = files

    @property
    def arguments(self) -> Fields:
        """Fields of the query, followed by those of the body.

        Raises:
            ProtocolError: 400, if either is malformed.
        """
        try:
            return self._arguments
        except AttributeError:
            self._arguments = self._join_arguments() if self.body else self.query_arguments
            return self._arguments

    def _join_arguments(self) -> Fields:
        joined = {name: list(values) for name, values in self.query_arguments.items()}
        for name, values in self.body_arguments.items():
            joined.setdefault(name, []).extend(values)
        return joined

    def set_form(self, arguments: Fields, files: Files) -> None:
        """Say what a form that was parsed while it arrived held."""
        self._body_arguments = arguments
        self._files = files
        self._arguments = self._join_arguments()

    def supports_http_1_1(self) -> bool:
        """Whether the request is of HTTP/1.1 or a later minor version."""
        return self.version == "HTTP/1.1"

    def write(self, chunk: bytes | str) -> None:
        """Send a part of the answer as it is, head included; text as UTF-8."""
        self.connection.write(chunk.encode() if isinstance(chunk, str) else chunk)

    def finish(self) -> None:
        """The answer is complete."""
        self._finished_at = time.perf_counter()
        self.connection.finish()

    def full_url(self) -> str:
        """The URL that the client asked for."""
        if self.uri[:1] != "/":
            return self.uri
        return f"{self.protocol}://{self.host}{self.uri}"

    def request_time(self) -> float:
        """Seconds from the head's arrival until now, or until `finish`."""
        finished_at: float = getattr(self, "_finished_at", 0.0)
        return (finished_at or time.perf_counter()) - self.start_time

    def get_ssl_certificate(self, binary_form: bool = False) -> dict[str, Any] | bytes | None:
        """The client's certificate, None without one; a dict or, with binary_form, DER bytes."""
        return cast("dict[str, Any] | bytes | None", self.connection.get_ssl_certificate(binary_form))

    def __repr__(self) -> str:
        return f"HTTPRequest({self.method} {self.uri!r} host={self.host!r} remote_ip={self.remote_ip!r})"


HTTPServerRequest = HTTPRequest


class ReceivedRequest(HTTPRequest):
    """A request as the server makes it, which fills the public slots itself: the call would cost 1 % of an answer."""

    __slots__ = ()

    __init__ = object.__init__


_search_request_id = re.compile(rb"\nX-Request-ID:[ \t]*([A-Za-z0-9_.-]{1,64})\r", re.IGNORECASE).search
_search_request_start = re.compile(rb"\nX-Request-Start:[ \t]*([^\r]*)", re.IGNORECASE).search


def find_trace(raw_head: bytes) -> Trace | None:
    """The values of X-Request-ID and of X-Request-Start, empty if there is only the other; None if there is neither."""
    request_id = _search_request_id(raw_head)
    started = _search_request_start(raw_head)
    if request_id is None and started is None:
        return None
    return request_id[1] if request_id else b"", started[1] if started else b""


@lru_cache(maxsize=256)
def _header_pattern(name_lower: bytes) -> re.Pattern[bytes]:
    return re.compile(rb"\n" + re.escape(name_lower) + rb":[ \t]*+([^\r]*+)", re.IGNORECASE)
