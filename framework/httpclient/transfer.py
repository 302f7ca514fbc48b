"""One exchange with one server: a request set up on a curl handle, and what comes back collected.

Each exchange has a handle of its own. A handle that is reused must be cleaned, and what cleaning forgets (a client
certificate, a proxy's password: GHSA-pw6j-qg29-8w7f) goes to the next server; connections and names are kept by the
multi handle all the same. A new handle costs 2 microseconds.
"""

import asyncio
import os
import re
import socket
import ssl
from collections.abc import Awaitable
from functools import lru_cache
from io import BytesIO
from typing import Any
from urllib.parse import urlsplit

import pycurl

from framework import version
from framework.httpclient.addresses import AddressPolicy
from framework.httpclient.errors import AddressRefusedError, BodyTooLargeError, CurlError, HTTPError, HTTPTimeoutError
from framework.httpclient.multi import Multi
from framework.httpclient.redirects import REDIRECTS
from framework.httpclient.request import HTTPRequest
from framework.httputil import HTTPHeaders

USER_AGENT = f"Squall/{version.rpartition('.')[0]}"
MAX_HEAD_BYTES = 256 * 1024
_DNS_CACHE_S = 60
_TIMES = {
    "namelookup": pycurl.NAMELOOKUP_TIME,
    "connect": pycurl.CONNECT_TIME,
    "appconnect": pycurl.APPCONNECT_TIME,
    "pretransfer": pycurl.PRETRANSFER_TIME,
    "starttransfer": pycurl.STARTTRANSFER_TIME,
    "total": pycurl.TOTAL_TIME,
}
_PLAIN_FIELDS = re.compile(rb"(?:[!#$%&'*+\-.^_`|~0-9A-Za-z]++:[^\x00-\x08\x0a-\x1f\x7f]*+\r\n)*+")
_TIMEOUT_ERRORS = (pycurl.E_OPERATION_TIMEDOUT,)


class Transfer:
    """A curl handle at work for one request. `curl` is to be given to the multi handle, `close` called at the end."""

    def __init__(self, request: HTTPRequest, url: str, multi: Multi, policy: AddressPolicy | None) -> None:
        self.request = request
        self.url = url
        self.code = 0
        self.reason = ""
        self.http_version = ""
        self.headers = HTTPHeaders()
        self.buffer = BytesIO()
        self.received = 0
        self.failure: BaseException | None = None
        self._multi = multi
        self._policy = policy
        self._head_bytes = 0
        self._is_head_open = True  # for a status line
        self._head: list[bytes] = []
        self._is_paused = False
        self._taking: asyncio.Future[Any] | None = None
        self._outgoing: bytes | None = None
        self._is_sent_up = False
        self._room: asyncio.Future[None] | None = None
        self._producing: asyncio.Task[None] | None = None
        self.curl = pycurl.Curl()

    # ---- setting up

    def set_up(self, deadline_s: float) -> None:
        """Say everything about the request to the handle; `deadline_s` is what is left of the request's time, or 0.

        Raises:
            ValueError: a value that libcurl does not take.
        """
        request, curl = self.request, self.curl
        curl.setopt(pycurl.URL, self.url)
        curl.setopt(pycurl.NOSIGNAL, 1)
        curl.setopt(pycurl.PROTOCOLS, pycurl.PROTO_HTTP | pycurl.PROTO_HTTPS)
        curl.setopt(pycurl.CONNECTTIMEOUT_MS, _milliseconds(request.connect_timeout))
        curl.setopt(pycurl.TIMEOUT_MS, _milliseconds(deadline_s))
        curl.setopt(pycurl.DNS_CACHE_TIMEOUT, _DNS_CACHE_S)
        curl.setopt(pycurl.HEADERFUNCTION, self._take_header)
        curl.setopt(pycurl.WRITEFUNCTION, self._take_body)
        if request.decompress_response:
            curl.setopt(pycurl.ACCEPT_ENCODING, "gzip, deflate")
        if request.network_interface:
            curl.setopt(pycurl.INTERFACE, request.network_interface)
        if request.allow_ipv6 is False:
            curl.setopt(pycurl.IPRESOLVE, pycurl.IPRESOLVE_V4)
        if self._policy is not None:
            curl.setopt(pycurl.OPENSOCKETFUNCTION, self._open_socket)
        self._set_method()
        self._set_headers()
        self._set_credentials()
        self._set_proxy()
        if self.url.startswith("https:"):
            self._set_tls()
        if request.prepare_curl_callback is not None:
            request.prepare_curl_callback(curl)

    def _set_method(self) -> None:
        request, curl = self.request, self.curl
        if request.body_producer is not None:
            curl.setopt(pycurl.UPLOAD, 1)
            curl.setopt(pycurl.READFUNCTION, self._give_body)
            length = (request.headers or {}).get("Content-Length")
            if length is not None:
                curl.setopt(pycurl.INFILESIZE_LARGE, int(length))
            self._producing = asyncio.get_running_loop().create_task(self._produce())
        elif request.body is not None:
            curl.setopt(pycurl.POST, 1)
            curl.setopt(pycurl.POSTFIELDS, request.body)
        elif request.method == "HEAD":
            curl.setopt(pycurl.NOBODY, 1)
        if request.method not in ("GET", "HEAD") or request.body is not None:
            curl.setopt(pycurl.CUSTOMREQUEST, request.method)

    def _set_headers(self) -> None:
        request = self.request
        has_body = request.body is not None or request.body_producer is not None
        if not (request.headers or has_body or request.user_agent or request.expect_100_continue):
            self.curl.setopt(pycurl.USERAGENT, USER_AGENT)
            return
        headers = HTTPHeaders(request.headers or {})
        if request.user_agent or "User-Agent" not in headers:
            headers["User-Agent"] = request.user_agent or USER_AGENT
        # libcurl takes "Name;" for an empty value; "Name:" alone takes one of its own headers away.
        lines = [f"{name}: {value}" if value else f"{name};" for name, value in headers.get_all()]
        if request.body is not None and "Content-Type" not in headers and request.method != "POST":
            lines.append("Content-Type:")
        if request.expect_100_continue:
            lines.append("Expect: 100-continue")
        elif has_body:
            lines.append("Expect:")
        self.curl.setopt(pycurl.HTTPHEADER, [line.encode("utf-8", "surrogateescape") for line in lines])

    def _set_credentials(self) -> None:
        request, curl = self.request, self.curl
        if request.auth_username is None:
            return
        modes = {"basic": pycurl.HTTPAUTH_BASIC, "digest": pycurl.HTTPAUTH_DIGEST}
        mode = request.auth_mode or "basic"
        if mode not in modes:
            raise ValueError(f"auth_mode: expected basic or digest, got {mode!r}")
        curl.setopt(pycurl.HTTPAUTH, modes[mode])
        curl.setopt(pycurl.USERNAME, request.auth_username.encode())
        curl.setopt(pycurl.PASSWORD, (request.auth_password or "").encode())

    def _set_proxy(self) -> None:
        request, curl = self.request, self.curl
        if not request.proxy_host:
            curl.setopt(pycurl.PROXY, "")  # what the environment says of proxies is not for servers
            return
        if self._policy is not None:
            raise ValueError("proxy_host: behind a proxy the address policy would see the proxy's address only")
        if not request.proxy_port:
            raise ValueError("proxy_port: expected the number of the proxy's port, got none")
        curl.setopt(pycurl.PROXY, request.proxy_host)
        curl.setopt(pycurl.PROXYPORT, request.proxy_port)
        if request.proxy_username is not None:
            modes = {"basic": pycurl.HTTPAUTH_BASIC, "digest": pycurl.HTTPAUTH_DIGEST}
            curl.setopt(pycurl.PROXYAUTH, modes[request.proxy_auth_mode or "basic"])
            curl.setopt(pycurl.PROXYUSERNAME, request.proxy_username.encode())
            curl.setopt(pycurl.PROXYPASSWORD, (request.proxy_password or "").encode())

    def _set_tls(self) -> None:
        request, curl = self.request, self.curl
        given = request.ssl_options or {}
        is_checked = request.validate_cert and given.get("validate_cert", True)
        curl.setopt(pycurl.SSL_VERIFYPEER, 1 if is_checked else 0)
        curl.setopt(pycurl.SSL_VERIFYHOST, 2 if is_checked else 0)
        curl.setopt(pycurl.SSLVERSION, pycurl.SSLVERSION_TLSv1_2)
        authorities = request.ca_certs or given.get("ca_certs") or _system_authorities()
        if authorities:
            curl.setopt(pycurl.CAINFO, authorities)
        certificate = request.client_cert or given.get("certfile")
        key = request.client_key or given.get("keyfile")
        if certificate:
            curl.setopt(pycurl.SSLCERT, certificate)
        if key:
            curl.setopt(pycurl.SSLKEY, key)
        if _has_http2():
            curl.setopt(pycurl.HTTP_VERSION, pycurl.CURL_HTTP_VERSION_2TLS)

    # ---- called by libcurl; what they raise would be printed and lost

    def _open_socket(self, purpose: int, address: Any) -> Any:
        family, kind, protocol, name = address
        ip = name[0] if isinstance(name, tuple) else name
        ip = ip.decode() if isinstance(ip, bytes) else ip
        if self._policy is None or family not in (socket.AF_INET, socket.AF_INET6) or not self._policy.allows(ip):
            self.failure = AddressRefusedError(urlsplit(self.url).hostname or "", str(ip))
            return pycurl.SOCKET_BAD
        self.failure = None
        return _Descriptor(socket.socket(family, kind, protocol).detach())

    def _take_header(self, data: bytes) -> int | None:
        self._head_bytes += len(data)
        if self._head_bytes > MAX_HEAD_BYTES:
            self.failure = HTTPError(599, f"head: expected at most {MAX_HEAD_BYTES} bytes")
            return -1
        try:
            if data.startswith(b"HTTP/") and self._is_head_open:
                # Of several heads (1xx, a proxy's answer to CONNECT) the last one counts.
                self.http_version, _, rest = data.decode("latin-1").rstrip("\r\n").partition(" ")
                code, _, self.reason = rest.partition(" ")
                self.code = int(code)
                self._head = []
                self._head_bytes = len(data)
                self._is_head_open = False
            elif data in (b"\r\n", b"\n"):
                self.headers = _parse_fields(b"".join(self._head))
                self._tell_head(self._head)
                self._head = []
                self._is_head_open = True
            else:
                self._head.append(data)
        except Exception as error:
            self.failure = HTTPError(599, f"head of the answer: {error}")
            self.failure.__cause__ = error
            return -1
        return None

    def _tell_head(self, lines: list[bytes]) -> None:
        """Give the final answer's head to who wants it line by line."""
        callback = self.request.header_callback
        if callback is not None and self.code >= 200 and not self._will_redirect():
            callback(f"{self.http_version} {self.code} {self.reason}\r\n")
            for line in lines:
                callback(line.decode("latin-1"))
            callback("\r\n")

    def _will_redirect(self) -> bool:
        return bool(self.request.follow_redirects) and self.code in REDIRECTS and "Location" in self.headers

    def _take_body(self, data: bytes) -> int | None:
        request = self.request
        if self.failure is not None:
            return -1
        if self._taking is not None and not self._taking.done():
            self._is_paused = True
            return int(pycurl.WRITEFUNC_PAUSE)  # libcurl brings these bytes again
        self.received += len(data)
        limit = request.max_body_bytes
        if limit is not None and self.received > limit:
            self.failure = BodyTooLargeError(limit)
            return -1
        if request.streaming_callback is None or self._will_redirect():
            self.buffer.write(data)
            return None
        try:
            waiting = request.streaming_callback(data)
        except Exception as error:
            self.failure = error
            return -1
        if isinstance(waiting, Awaitable):
            self._taking = asyncio.ensure_future(waiting)
            self._taking.add_done_callback(self._is_taken)
        return None

    def _is_taken(self, taking: "asyncio.Future[Any]") -> None:
        if not taking.cancelled() and (error := taking.exception()) is not None:
            self.failure = error
        self._resume()

    def _resume(self) -> None:
        # libcurl takes it for an error to go on with what does not stand still.
        if self._is_paused:
            self._is_paused = False
            self._multi.resume(self.curl)

    def _give_body(self, size: int) -> bytes | int:
        data = self._outgoing
        if self.failure is not None:
            return int(pycurl.READFUNC_ABORT)
        if data is None:
            self._is_paused = not self._is_sent_up
            return int(pycurl.READFUNC_PAUSE) if self._is_paused else b""
        self._outgoing = data[size:] or None
        if self._outgoing is None and self._room is not None and not self._room.done():
            self._room.set_result(None)
        return data[:size]

    # ---- a body that is produced while it is sent

    async def _produce(self) -> None:
        producer = self.request.body_producer
        try:
            if producer is not None:
                await producer(self._write)
        except Exception as error:
            self.failure = error
        self._is_sent_up = True
        self._resume()

    async def _write(self, chunk: bytes) -> None:
        """Send a piece of the body; returns when libcurl has taken it."""
        if not chunk:
            return
        self._outgoing = bytes(chunk)
        self._room = asyncio.get_running_loop().create_future()
        self._resume()
        await self._room

    # ---- the end

    @property
    def taking(self) -> "asyncio.Future[Any] | None":
        """What the streaming callback still does with the last piece."""
        return self._taking if self._taking is not None and not self._taking.done() else None

    def find_error(self, errno: int, message: str, elapsed_s: float) -> BaseException | None:
        """What went wrong, None if nothing did."""
        if self.failure is None and errno == 0:
            return None
        if self.failure is not None and not (isinstance(self.failure, AddressRefusedError) and errno == 0):
            return self.failure
        if errno in _TIMEOUT_ERRORS:
            stage, limit = self._find_stage()
            return HTTPTimeoutError(stage, elapsed_s, limit)
        if errno == 0:
            return None
        return CurlError(errno, message or pycurl.Curl().errstr() or f"libcurl error {errno}")

    def _find_stage(self) -> tuple[str, str]:
        times = self.read_times()
        parts = urlsplit(self.url)
        host = f"{self.request.proxy_host}:{self.request.proxy_port}" if self.request.proxy_host else parts.netloc
        limits = f"connect_timeout={self.request.connect_timeout}", f"request_timeout={self.request.request_timeout}"
        if not times["namelookup"]:
            return f"while looking up {parts.hostname}", limits[0]
        if not times["connect"]:
            return f"while connecting to {host}", limits[0]
        if parts.scheme == "https" and not times["appconnect"]:
            return f"in the TLS handshake with {host}", limits[0]
        if not times["starttransfer"]:
            return f"while waiting for the answer of {host}", limits[1]
        return f"while receiving the body from {host}, after {self.received} bytes", limits[1]

    def read_times(self) -> dict[str, float]:
        """Seconds from the transfer's start until each of its stages was done."""
        return {name: self.curl.getinfo(number) for name, number in _TIMES.items()}

    def close(self) -> None:
        """Let go of the handle. Its callbacks know us and we know it: a cycle that nobody has to find now."""
        for pending in (self._producing, self._taking):
            if pending is not None and not pending.done():
                pending.cancel()
        self.curl.close()


class _Descriptor:
    """A socket for pycurl, which duplicates the descriptor and forgets the object; a socket would complain of that."""

    def __init__(self, fd: int) -> None:
        self._fd = fd

    def fileno(self) -> int:
        return self._fd

    def __del__(self) -> None:
        os.close(self._fd)


def _parse_fields(block: bytes) -> HTTPHeaders:
    """The header map of an answer.

    Raises:
        HTTPInputError: a line is no header.
    """
    if _PLAIN_FIELDS.fullmatch(block):
        return HTTPHeaders.from_valid_block(block)
    return HTTPHeaders.parse(block.decode("latin-1"))


def _milliseconds(seconds: float | None) -> int:
    return max(1, round(seconds * 1000)) if seconds else 0


@lru_cache(maxsize=1)
def _has_http2() -> bool:
    return bool(pycurl.version_info()[4] & pycurl.VERSION_HTTP2)


@lru_cache(maxsize=1)
def _system_authorities() -> str | None:
    """The file of certificate authorities that this system trusts; None leaves it to libcurl."""
    paths = ssl.get_default_verify_paths()
    found = (os.environ.get("SSL_CERT_FILE"), paths.cafile, "/etc/ssl/certs/ca-certificates.crt")
    return next((path for path in found if path and os.path.exists(path)), None)
