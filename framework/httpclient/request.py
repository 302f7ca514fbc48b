"""What is asked and what comes back, as values. Checked when made: what could end a header line never gets further."""

import re
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache
from io import BytesIO
from typing import Any
from urllib.parse import quote, urlsplit, urlunsplit

from framework.errors import ProtocolError
from framework.escape import json_decode
from framework.httpclient.errors import HTTPError
from framework.httputil import HTTPHeaders, format_timestamp, responses

METHODS = frozenset(("GET", "HEAD", "POST", "PUT", "DELETE", "PATCH", "OPTIONS"))
_BODY_METHODS = frozenset(("POST", "PUT", "PATCH"))
_TOKEN = re.compile(r"[!#$%&'*+\-.^_`|~0-9A-Za-z]+")
_PLAIN_TEXT = (
    "user_agent", "network_interface", "proxy_host", "proxy_username", "proxy_password", "auth_username",
    "auth_password", "auth_mode", "proxy_auth_mode", "ca_certs", "client_cert", "client_key",
)  # fmt: skip
_DIGITS = re.compile(r"[0-9]{1,18}", re.ASCII)
is_unsafe = re.compile(r"[\x00-\x1f\x7f]").search

StreamingCallback = Callable[[bytes], Awaitable[None] | None]
BodyProducer = Callable[[Callable[[bytes], Awaitable[None]]], Awaitable[None]]

DEFAULTS: dict[str, Any] = {
    "connect_timeout": 20.0,
    "request_timeout": 20.0,
    "follow_redirects": True,
    "max_redirects": 5,
    "decompress_response": True,
    "proxy_password": "",
    "allow_nonstandard_methods": False,
    "validate_cert": True,
    "max_body_bytes": 100 * 1024 * 1024,
}
"""What holds where a request says None and the client was given no default of its own."""


@dataclass
class HTTPRequest:
    """A request. Times are seconds, 0 means no limit; `connect_timeout` covers the name, the connection and TLS,
    `idle_timeout` (none by default) the silence of a connected peer, `request_timeout` everything.

    Fields left at None take the client's defaults. `use_gzip` and `max_body_size` are older names of
    `decompress_response` and `max_body_bytes`. `max_body_bytes` counts decompressed bytes; with a streaming_callback it
    holds only if given.

    Raises:
        ValueError: a header, the method or the URL holds what HTTP does not allow there, or a body that is not there.
    """

    url: str
    method: str = "GET"
    headers: Mapping[str, str] | None = None
    body: bytes | str | None = None
    auth_username: str | None = None
    auth_password: str | None = None
    connect_timeout: float | None = None
    request_timeout: float | None = None
    if_modified_since: float | datetime | None = None
    follow_redirects: bool | None = None
    max_redirects: int | None = None
    user_agent: str | None = None
    use_gzip: bool | None = None
    network_interface: str | None = None
    streaming_callback: StreamingCallback | None = None
    header_callback: Callable[[str], object] | None = None
    prepare_curl_callback: Callable[[Any], object] | None = None
    proxy_host: str | None = None
    proxy_port: int | None = None
    proxy_username: str | None = None
    proxy_password: str | None = None
    allow_nonstandard_methods: bool | None = None
    validate_cert: bool | None = None
    ca_certs: str | None = None
    allow_ipv6: bool | None = None
    client_key: str | None = None
    client_cert: str | None = None
    body_producer: BodyProducer | None = None
    expect_100_continue: bool = False
    decompress_response: bool | None = None
    ssl_options: Mapping[str, Any] | None = None
    auth_mode: str | None = None
    proxy_auth_mode: str | None = None
    max_body_bytes: int | None = None
    max_body_size: int | None = None
    idle_timeout: float | None = None

    def __post_init__(self) -> None:
        self.start_time = time.time()
        if isinstance(self.body, str):
            self.body = self.body.encode()
        if self.decompress_response is None:
            self.decompress_response = self.use_gzip
        if self.max_body_bytes is None:
            self.max_body_bytes = self.max_body_size
        try:
            self.headers = HTTPHeaders(self.headers) if self.headers else HTTPHeaders()
            if self.if_modified_since is not None:
                self.headers["If-Modified-Since"] = format_timestamp(self.if_modified_since)
        except ProtocolError as error:
            raise ValueError(f"request: {error}") from error
        if not _TOKEN.fullmatch(self.method):
            raise ValueError(f"method: expected a token, got {self.method!r}")
        fields = vars(self)
        for name in _PLAIN_TEXT:
            value = fields[name]
            if value is not None and is_unsafe(value):
                raise ValueError(f"{name}: expected no control characters")
        if self.ssl_options is not None and not isinstance(self.ssl_options, Mapping):
            raise ValueError(
                "ssl_options: expected certfile, keyfile, ca_certs or validate_cert; libcurl has its own TLS"
            )

    def check_body(self) -> None:
        """Nothing, if there is a body exactly where the method has one.

        Raises:
            ValueError: otherwise, unless allow_nonstandard_methods.
        """
        if self.body is not None and self.body_producer is not None:
            raise ValueError("expected body or body_producer, got both")
        length = (self.headers or {}).get("Content-Length")
        if length is not None and (not _DIGITS.fullmatch(length) or self._contradicts(int(length))):
            raise ValueError(f"Content-Length: {length!r} is not the length of the body")
        if self.allow_nonstandard_methods:
            return
        if self.method not in METHODS:
            raise ValueError(f"method: {self.method} needs allow_nonstandard_methods")
        has_body = self.body is not None or self.body_producer is not None
        if has_body != (self.method in _BODY_METHODS) and self.method not in ("DELETE", "OPTIONS"):
            expected = "no body" if has_body else "a body (may be empty)"
            raise ValueError(f"{self.method}: expected {expected}; allow_nonstandard_methods sends it all the same")

    def _contradicts(self, length: int) -> bool:
        """Whether the body is known not to have this length: what follows it would be taken for another request."""
        return self.body_producer is None and length != len(self.body or b"")


@lru_cache(maxsize=1024)
def normalize_url(url: str) -> tuple[str, str | None, str | None]:
    """The URL in ASCII without user and fragment, and the user name and password that it held.

    Raises:
        ValueError: it is not an http or https URL with a host, or holds blanks or control characters.
    """
    if is_unsafe(url) or " " in url or "\\" in url:
        raise ValueError(f"URL: expected no blanks, backslashes or control characters, got {url!r}")
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https"):
        raise ValueError(f"URL: expected http or https, got {url!r}")
    host = parts.hostname
    if not host:
        raise ValueError(f"URL: expected a host, got {url!r}")
    if not host.isascii():
        host = host.encode("idna").decode("ascii")
    if ":" in host:
        host = f"[{host}]"
    netloc = host if parts.port is None else f"{host}:{parts.port}"
    path = quote(parts.path or "/", safe="/%:@!$&'()*+,;=~-._")
    query = quote(parts.query, safe="/%:@!$&'()*+,;=~-._?[]{}|^`\"<>#") if not parts.query.isascii() else parts.query
    return urlunsplit((parts.scheme, netloc, path, query, "")), parts.username, parts.password


class HTTPResponse:
    """An answer, or what is known where there is none (code 599, `error` set).

    `request_time` is in seconds and includes `time_info["queue"]`, the wait for a free client. `effective_url` is where
    the last redirect led.
    """

    def __init__(
        self,
        request: HTTPRequest,
        code: int,
        headers: HTTPHeaders | None = None,
        buffer: BytesIO | None = None,
        effective_url: str | None = None,
        error: HTTPError | None = None,
        request_time: float | None = None,
        time_info: Mapping[str, float] | None = None,
        reason: str | None = None,
        start_time: float | None = None,
    ) -> None:
        self.request = request
        self.code = code
        self.reason = reason or responses.get(code, "Unknown")
        self.headers = headers if headers is not None else HTTPHeaders()
        self.buffer = buffer
        self.effective_url = effective_url if effective_url is not None else request.url
        self.request_time = request_time
        self.time_info = dict(time_info or {})
        self.start_time = start_time
        self.http_version = ""
        if error is None and not 200 <= code < 300 and code != 304:
            error = HTTPError(code, self.reason)
        # Without a response: an error and a response that know each other, and the body, would wait for the collector.
        self._error = error

    @property
    def error(self) -> HTTPError | None:
        """What is wrong with the answer, None if nothing is; its `response` is this one."""
        error = self._error
        return error.about(self) if error is not None and error.response is None else error

    @property
    def body(self) -> bytes:
        """The body; empty where it was streamed or there is none."""
        return self.buffer.getvalue() if self.buffer is not None else b""

    def json(self) -> Any:
        """The value that the body stands for."""
        return json_decode(self.body)

    def rethrow(self) -> None:
        """Nothing, for a good answer.

        Raises:
            HTTPError: what `error` says.
        """
        error = self.error
        if error is not None:
            raise error

    def __repr__(self) -> str:
        return f"HTTPResponse({self.code} {self.reason}, {self.effective_url!r}, {len(self.body)} bytes)"
