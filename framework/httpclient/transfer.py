"""One exchange with one server: a request set up on a curl handle, and what comes back collected.

Each exchange has a handle of its own. A handle that is reused must be cleaned, and what cleaning forgets (a client
certificate, a proxy's password: GHSA-pw6j-qg29-8w7f) goes to the next server; connections and names are kept by the
multi handle all the same. A new handle costs 2 microseconds.
"""

import asyncio
import os
import re
import socket
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from io import BytesIO
from typing import Any
from urllib.parse import urlsplit

import pycurl

from framework.httpclient.addresses import AddressPolicy
from framework.httpclient.errors import AddressRefusedError, BodyTooLargeError, CurlError, HTTPError, HTTPTimeoutError
from framework.httpclient.handle import configure
from framework.httpclient.multi import Multi
from framework.httpclient.redirects import REDIRECTS, origin_of
from framework.httpclient.request import HTTPRequest
from framework.httputil import HTTPHeaders

MAX_HEAD_BYTES = 256 * 1024
MAX_REDIRECT_BODY_BYTES = 1024 * 1024  # nobody sees the body of a redirect that is followed
_TIMES = {
    "namelookup": pycurl.NAMELOOKUP_TIME,
    "connect": pycurl.CONNECT_TIME,
    "appconnect": pycurl.APPCONNECT_TIME,
    "pretransfer": pycurl.PRETRANSFER_TIME,
    "starttransfer": pycurl.STARTTRANSFER_TIME,
    "total": pycurl.TOTAL_TIME,
}
_STATUS_LINE = re.compile(rb"(HTTP/[0-9.]+) ([0-9]{3})(?: ([^\r\n]*))?")
_PLAIN_FIELDS = re.compile(rb"(?:[!#$%&'*+\-.^_`|~0-9A-Za-z]++:[^\x00-\x08\x0a-\x1f\x7f]*+\r\n)*+")
_TIMEOUT_ERRORS = (pycurl.E_OPERATION_TIMEDOUT,)
_NAME_ERRORS = (pycurl.E_COULDNT_RESOLVE_HOST, pycurl.E_COULDNT_RESOLVE_PROXY)
FAILED_NAME_S = 1.0
_MAX_FAILED_NAMES = 1000


@dataclass(frozen=True, slots=True)
class Means:
    """What all transfers of a client have in common: who runs them, where they may go, and a share for cookies.

    `failed_names` has those ("host:port") that could not be looked up, and when by the loop's clock, in seconds.
    """

    multi: Multi
    policy: AddressPolicy | None = None
    cookies: Any = None
    failed_names: dict[str, float] = field(default_factory=dict)

    def note_failed_name(self, name: str, now_s: float) -> None:
        """Remember that a name could not be looked up."""
        self.failed_names.setdefault(name, now_s)
        if len(self.failed_names) > _MAX_FAILED_NAMES:
            del self.failed_names[next(iter(self.failed_names))]

    def forgets_failed_name(self, name: str, now_s: float) -> bool:
        """Whether the name is to be looked up again although it failed, because that was FAILED_NAME_S ago or more."""
        failed_s = self.failed_names.get(name)
        if failed_s is None or now_s < failed_s + FAILED_NAME_S:
            return False
        del self.failed_names[name]
        return True


class Transfer:
    """A curl handle at work for one request. `curl` is to be given to the multi handle, `close` called at the end.

    `interrupt` is called, never from within libcurl, if the transfer fails by what the application's own code did or
    by the time between two bytes: libcurl would notice at the next byte, or never.
    """

    def __init__(self, request: HTTPRequest, means: Means, interrupt: Callable[[], object]) -> None:
        self.request = request
        self.url = request.url
        self.code = 0
        self.reason = ""
        self.http_version = ""
        self.headers = HTTPHeaders()
        self.buffer = BytesIO()
        self.received = 0
        self.failure: BaseException | None = None
        self._means = means
        self._multi = means.multi
        self._policy = means.policy
        self._interrupt = interrupt
        self._head_bytes = 0
        self._is_in_head = False
        self._head: list[bytes] = []
        self._held: list[bytes] | None = None
        self._is_down_paused = self._is_up_paused = False
        self._taking: asyncio.Future[Any] | None = None
        self._outgoing: memoryview | None = None
        self._is_sent_up = False
        self._room: asyncio.Future[None] | None = None
        self._producing: asyncio.Task[None] | None = None
        self._idle_timer: asyncio.TimerHandle | None = None
        self._touched_s = 0.0
        self._sent = self._written = 0
        self.curl = pycurl.Curl()
        if means.cookies is not None:
            self.curl.setopt(pycurl.SHARE, means.cookies)
            self.curl.setopt(pycurl.COOKIEFILE, "")  # starts libcurl's cookie engine, which knows the public suffixes

    def set_up(self, deadline_s: float) -> None:
        """Say everything to the handle; `deadline_s` is what is left of the request's time, or 0.

        Raises:
            ValueError: a value that libcurl does not take.
        """
        request, curl = self.request, self.curl
        if self._policy is not None:
            if request.proxy_host:
                raise ValueError("proxy_host: behind a proxy the address policy would see the proxy's address only")
            curl.setopt(pycurl.OPENSOCKETFUNCTION, self._open_socket)
        configure(curl, request, self.url, deadline_s)
        # libcurl keeps a failure for half as long as an answer (8.16): a name that is new, or whose server was away for
        # a moment, would stay lost for half a minute.
        name = self._find_name()
        if self._means.failed_names and self._means.forgets_failed_name(name, asyncio.get_running_loop().time()):
            curl.setopt(pycurl.RESOLVE, [f"-{name}"])
        curl.setopt(pycurl.HEADERFUNCTION, self._take_header)
        curl.setopt(pycurl.WRITEFUNCTION, self._take_body)
        if request.body_producer is not None:
            curl.setopt(pycurl.READFUNCTION, self._give_body)
            self._producing = asyncio.get_running_loop().create_task(self._produce())
        if request.prepare_curl_callback is not None:
            request.prepare_curl_callback(curl)
        if request.idle_timeout:
            self._watch_idle()

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
        self._touch()
        self._head_bytes += len(data)
        if self._head_bytes > MAX_HEAD_BYTES:
            self.failure = HTTPError(599, f"head: expected at most {MAX_HEAD_BYTES} bytes")
            return -1
        try:
            if self._is_in_head:
                if data in (b"\r\n", b"\n"):
                    self._is_in_head = False
                    self.headers = _parse_fields(b"".join(self._head))
                    self._tell_head(self._head)
                    self._head = []
                else:
                    self._head.append(data)
            elif status := _STATUS_LINE.match(data):
                # Of several heads (1xx, before authentication) the last one counts.
                self.http_version, code, self.reason = (text.decode("latin-1") for text in status.groups(b""))
                self.code = int(code)
                self._head_bytes = len(data)
                self._is_in_head = True
                self._held = None
            # Anything else is a trailer: RFC 9110 §6.5.1 lets us drop what must not be mixed with the headers.
        except Exception as error:
            self.failure = HTTPError(599, f"head of the answer: {error}")
            self.failure.__cause__ = error
            return -1
        return None

    def _tell_head(self, lines: list[bytes]) -> None:
        """Give the final answer's head to who wants it line by line."""
        callback = self.request.header_callback
        if callback is None or self.code < 200 or self._will_redirect():
            return
        if self.code == 401 and self.request.auth_mode == "digest" and self._held is None:
            self._held = lines  # perhaps only the question that a digest answers: told if nothing comes behind it
            return
        self._held = None
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
            self._is_down_paused = True
            return int(pycurl.WRITEFUNC_PAUSE)  # libcurl brings these bytes again
        self._touch()
        self.received += len(data)
        limit = request.max_body_bytes
        will_redirect = self._will_redirect()
        if will_redirect:
            limit = min(MAX_REDIRECT_BODY_BYTES, MAX_REDIRECT_BODY_BYTES if limit is None else limit)
        if limit is not None and self.received > limit:
            self.failure = BodyTooLargeError(limit)
            return -1
        if request.streaming_callback is None or will_redirect:
            self.buffer.write(data)
            return None
        try:
            if self._held is not None:
                self._tell_head(self._held)
            waiting = request.streaming_callback(data)
        except Exception as error:
            self.failure = error
            return -1
        if isinstance(waiting, Awaitable):
            self._taking = asyncio.ensure_future(waiting)
            self._taking.add_done_callback(self._is_taken)
        return None

    def _is_taken(self, taking: "asyncio.Future[Any]") -> None:
        self._touch()
        if not taking.cancelled() and (error := taking.exception()) is not None:
            self._fail(error)
        self._resume()

    def _fail(self, error: BaseException) -> None:
        self.failure = error
        self._interrupt()

    def _resume(self) -> None:
        # libcurl takes it for an error to go on with what does not stand still.
        if (self._is_down_paused or self._is_up_paused) and self.failure is None:
            self._is_down_paused = self._is_up_paused = False
            self._multi.resume(self.curl)

    def _give_body(self, size: int) -> bytes | int:
        data = self._outgoing
        if self.failure is not None:
            return int(pycurl.READFUNC_ABORT)
        if data is None:
            if self._is_sent_up:
                return b""
            self._is_up_paused = True
            return int(pycurl.READFUNC_PAUSE)
        self._touch()
        self._sent += min(size, len(data))
        self._outgoing = data[size:] if size < len(data) else None
        if self._outgoing is None and self._room is not None and not self._room.done():
            self._room.set_result(None)
        return bytes(data[:size])

    # ---- a body that is produced while it is sent

    async def _produce(self) -> None:
        producer = self.request.body_producer
        try:
            if producer is not None:
                await producer(self._write)
        except Exception as error:
            self._fail(error)
            return
        self._is_sent_up = True
        self._resume()

    async def _write(self, chunk: bytes) -> None:
        """Send a piece of the body; returns when libcurl has taken it.

        Raises:
            RuntimeError: the piece before was not awaited.
            ValueError: there is more than Content-Length announced. libcurl would cut it off.
        """
        if not chunk:
            return
        self._written += len(chunk)
        announced = (self.request.headers or {}).get("Content-Length")
        if announced is not None and self._written > int(announced):
            raise ValueError(f"body_producer: expected {announced} bytes as Content-Length says, got more")
        if self._outgoing is not None:
            raise RuntimeError("write(): the piece before is still on its way; await it")
        self._outgoing = memoryview(bytes(chunk))  # sliced for each piece that libcurl asks for: copies are quadratic
        self._room = asyncio.get_running_loop().create_future()
        self._resume()
        await self._room

    # ---- time between bytes

    def _touch(self) -> None:
        if self._idle_timer is not None:
            self._touched_s = asyncio.get_running_loop().time()

    def _watch_idle(self) -> None:
        """Fail when the peer has been silent for idle_timeout; while the application is at work, it isn't the peer."""
        loop, limit_s = asyncio.get_running_loop(), self.request.idle_timeout or 0.0
        now_s = loop.time()
        sent = int(self.curl.getinfo(pycurl.SIZE_UPLOAD_T))
        is_ours = self.taking is not None or self._is_up_paused or not self._is_connected()
        if is_ours or (sent != self._sent and self._producing is None) or self._idle_timer is None:
            self._touched_s = now_s
            self._sent = sent if self._producing is None else self._sent
        left_s = self._touched_s + limit_s - now_s
        if left_s <= 0:
            self._fail(HTTPTimeoutError(self._find_stage()[0], limit_s, f"idle_timeout={limit_s}"))
        else:
            self._idle_timer = loop.call_later(min(left_s, limit_s), self._watch_idle)

    # ---- the end

    @property
    def taking(self) -> "asyncio.Future[Any] | None":
        """What the streaming callback still does with the last piece."""
        return self._taking if self._taking is not None and not self._taking.done() else None

    def find_error(self, errno: int, message: str, elapsed_s: float) -> BaseException | None:
        """What went wrong, None if nothing did; to be asked once, when the transfer has ended."""
        if errno == 0 and self.failure is None and self._held is not None:
            self._tell_head(self._held)
        if errno == 0 and self.failure is None:
            if self.code and not self._is_in_head:
                return None
            # libcurl takes a head without an end for an answer.
            return HTTPError(599, "the connection ended before the head of the answer did")
        if self.failure is not None and not (isinstance(self.failure, AddressRefusedError) and errno == 0):
            return self.failure
        if errno == 0:
            return None  # one address of several was refused, another one has answered
        if errno in _NAME_ERRORS:
            self._means.note_failed_name(self._find_name(), asyncio.get_running_loop().time())
        if errno in _TIMEOUT_ERRORS:
            stage, limit = self._find_stage()
            return HTTPTimeoutError(stage, elapsed_s, limit)
        return CurlError(errno, message or pycurl.Curl().errstr() or f"libcurl error {errno}")

    def _find_name(self) -> str:
        """The name that is looked up, with its port, as libcurl's cache calls it."""
        if self.request.proxy_host:
            return f"{self.request.proxy_host.lower()}:{self.request.proxy_port}"
        _, host, port = origin_of(self.url)
        return f"{host}:{port}"

    def _find_stage(self) -> tuple[str, str]:
        """Where time ran out, and the limit that says so."""
        request, times, parts = self.request, self.read_times(), urlsplit(self.url)
        host = f"{request.proxy_host}:{request.proxy_port}" if request.proxy_host else parts.netloc
        connect_s, whole_s = request.connect_timeout, request.request_timeout
        whole = f"request_timeout={whole_s}"
        # libcurl says by itself that this is not yet the answer's time only while the transfer runs: at a failure it
        # sets all times behind name and connection. What was sent of the request stays what it was.
        if not self._is_connected():
            limit = f"connect_timeout={connect_s}" if connect_s and (not whole_s or connect_s <= whole_s) else whole
            if not times["namelookup"]:
                return f"while looking up {request.proxy_host or parts.hostname}", limit
            if not times["connect"]:
                return f"while connecting to {host}", limit
            if request.proxy_host and parts.scheme == "https" and not self.curl.getinfo(pycurl.HTTP_CONNECTCODE):
                return f"while the proxy {host} was connecting to {parts.netloc}", limit
            return f"in the TLS handshake with {parts.netloc}", limit
        if self.code >= 200 and not self._is_in_head:
            return f"while receiving the body from {host}, after {self.received} bytes", whole
        sent = int(self.curl.getinfo(pycurl.SIZE_UPLOAD_T))
        if sent < len(request.body or b"") or (request.body_producer is not None and not self._is_sent_up):
            return f"while sending the body to {host}, after {sent} bytes", whole
        return f"while waiting for the answer of {host}", whole

    def _is_connected(self) -> bool:
        """Whether the request itself is on its way: there is a connection, a tunnel if one is needed, and TLS."""
        return self.code > 0 or bool(self.curl.getinfo(pycurl.REQUEST_SIZE))

    def read_times(self) -> dict[str, float]:
        """Seconds from the transfer's start until each of its stages was done."""
        return {name: self.curl.getinfo(number) for name, number in _TIMES.items()}

    def close(self) -> None:
        """Let go of the handle. Its callbacks know us and we know it, as does the traceback of what failed: cycles that
        nobody has to find now.
        """
        self.failure = None
        self._interrupt = _do_nothing
        for pending in (self._producing, self._taking):
            if pending is not None and not pending.done():
                pending.cancel()
        if self._idle_timer is not None:
            self._idle_timer.cancel()
        self.curl.close()


def _do_nothing() -> None:
    """Stands for the end of a transfer that is over."""


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
