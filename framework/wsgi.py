"""WSGI applications in both directions (PEP 3333).

    HTTPServer(WSGIContainer(flask_app)).listen(8888)        # Django, Flask and the like on our server
    application = WSGIApplication([(r"/", MainHandler)])     # our handlers under any WSGI server

A container runs the foreign application on threads, so the loop never waits for it; the answer streams, and a slow
reader holds back the thread that feeds it. A large body of known length streams too (of any other the application could
not know its CONTENT_LENGTH): the client waits for who reads it. Under WSGI our handlers can't answer later: what would
have to wait is refused with an error that says so.
"""

import asyncio
import io
import logging
import re
import sys
import threading
from collections import deque
from collections.abc import Awaitable, Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any
from urllib.parse import unquote_to_bytes

from framework import clock
from framework.errors import FrameworkError
from framework.foreign import Foreign
from framework.httputil import HTTPHeaders
from framework.request import BodyReceiver, HTTPRequest
from framework.web import Application

logger = logging.getLogger("framework.application")

WORKERS = 32
BUFFERED_BODY_BYTES = 1 << 20  # a body up to this size is there before a thread begins with it
_HOP_BY_HOP = frozenset(
    (
        "connection",
        "keep-alive",
        "proxy-authenticate",
        "proxy-authorization",
        "te",
        "trailers",
        "transfer-encoding",
        "upgrade",
    )
)
_BODILESS = frozenset((204, 304))
_STATUS = re.compile(r"([2-9][0-9]{2})(?: ([^\x00-\x1f\x7f]*))?", re.ASCII)
_NAME = re.compile(r"[!#$%&'*+\-.^_`|~0-9A-Za-z]+")
_ENDS_A_LINE = re.compile(r"[\r\n\0]")
_LENGTH = re.compile(r"[0-9]{1,18}", re.ASCII)

Environ = dict[str, Any]
StartResponse = Callable[..., Callable[[bytes], object]]
WSGICallable = Callable[[Environ, StartResponse], Iterable[bytes]]


class WSGIError(FrameworkError):
    """A WSGI application broke the rules of PEP 3333; the text says which."""


class WSGIContainer(Foreign):
    """Runs a WSGI application as one of ours, on at most `workers` threads."""

    def __init__(self, application: WSGICallable, workers: int = WORKERS) -> None:
        super().__init__(type(application).__name__)
        self.wsgi_application = application
        self._threads = ThreadPoolExecutor(workers, thread_name_prefix="wsgi")
        self._running: set[asyncio.Task[None]] = set()

    def __call__(self, request: HTTPRequest) -> Awaitable[None]:
        return self._serve(request)

    def body_receiver(self, request: HTTPRequest) -> BodyReceiver | None:
        """Who takes a large body while it arrives; None for another, which is buffered."""
        length = request.find_header(b"content-length")
        if length is None or int(length) <= BUFFERED_BODY_BYTES:
            return None
        return _Upload(_Body(asyncio.get_running_loop(), int(length)), lambda body: self._spawn(request, body))

    def _spawn(self, request: HTTPRequest, body: "_Body") -> None:
        task = asyncio.get_running_loop().create_task(self._serve(request, body))
        self._running.add(task)
        task.add_done_callback(self._running.discard)

    async def shut_down(self) -> None:
        """End the threads once what they do is done."""
        await asyncio.get_running_loop().run_in_executor(None, self._threads.shutdown)

    @staticmethod
    def environ(request: HTTPRequest) -> Environ:
        """The WSGI environment of a request."""
        host, _, port = request.host.rpartition(":") if ":" in request.host.rsplit("]")[-1] else (request.host, "", "")
        environ: Environ = {
            "REQUEST_METHOD": request.method,
            "SCRIPT_NAME": "",
            "PATH_INFO": unquote_to_bytes(request.path).decode("latin-1"),
            "QUERY_STRING": request.query,
            "REMOTE_ADDR": request.remote_ip,
            "SERVER_NAME": host,
            "SERVER_PORT": port or ("443" if request.protocol == "https" else "80"),
            "SERVER_PROTOCOL": request.version,
            "wsgi.version": (1, 0),
            "wsgi.url_scheme": request.protocol,
            "wsgi.input": io.BytesIO(request.body),
            "wsgi.errors": sys.stderr,
            "wsgi.multithread": True,
            "wsgi.multiprocess": True,
            "wsgi.run_once": False,
            # The body is there whole, however it was sent: who reads to the end gets all of it.
            "wsgi.input_terminated": True,
        }
        headers = request.headers
        for name in headers:
            key = name.upper().replace("-", "_")
            if "_" in name or key == "TRANSFER_ENCODING":
                continue  # a_b and a-b become the same variable, so one could pose as the other
            value = ",".join(headers.get_list(name)) if key != "COOKIE" else "; ".join(headers.get_list(name))
            environ[key if key in ("CONTENT_TYPE", "CONTENT_LENGTH") else "HTTP_" + key] = value
        if request.body:
            environ["CONTENT_LENGTH"] = str(len(request.body))
        return environ

    async def _serve(self, request: HTTPRequest, body: "_Body | None" = None) -> None:
        loop = asyncio.get_running_loop()
        answer = _Answer(request, loop)
        await loop.run_in_executor(self._threads, self._run, request, answer, body)
        if body is not None:
            body.break_off()
        self.record(request, answer.status or 499)

    def _run(self, request: HTTPRequest, answer: "_Answer", body: "_Body | None") -> None:
        """Runs on a thread: the application from its call to its close()."""
        pieces: Iterable[bytes] | None = None
        try:
            environ = self.environ(request)
            if body is not None:
                environ["wsgi.input"] = io.BufferedReader(body)
            pieces = self.wsgi_application(environ, answer.start_response)
            if isinstance(pieces, list | tuple) and len(pieces) <= 1:
                answer.body_length = sum(map(len, pieces))
            for piece in pieces:
                if piece:
                    answer.write(piece)
            answer.finish()
        except _ClientGone:
            pass
        except (Exception, SystemExit):  # the request ends here; the process is not the application's to end
            logger.exception("%s %s: the WSGI application failed", request.method, request.path)
            answer.fail()
        finally:
            close = getattr(pieces, "close", None)
            if close is not None:
                try:
                    close()
                except Exception:  # the request ends here
                    logger.exception("%s %s: close() failed", request.method, request.path)


class _ClientGone(ConnectionResetError):
    """Nobody is there to take the answer, or to send the rest of the body."""


class _Body(io.RawIOBase):
    """A body while it arrives: fed on the loop, read as a file by the application's thread."""

    def __init__(self, loop: asyncio.AbstractEventLoop, length: int) -> None:
        self._loop = loop
        self._changed = threading.Condition()
        self._pieces: deque[memoryview] = deque()
        self._held = 0
        self._left = length  # bytes that have not arrived
        self._is_broken = False
        self._room: asyncio.Future[None] | None = None

    def feed(self, piece: bytes) -> Awaitable[None] | None:
        """Take a piece; None, or what to wait for until there is room for another."""
        with self._changed:
            self._pieces.append(memoryview(piece))
            self._held += len(piece)
            self._left -= len(piece)
            self._changed.notify()
            # Nothing comes behind the last piece: the connection is free for the next request once it is here.
            if self._left and self._held > BUFFERED_BODY_BYTES:
                self._room = self._loop.create_future()
            return self._room

    def break_off(self) -> None:
        """Nothing more will arrive, or be wanted."""
        with self._changed:
            self._is_broken = True
            self._changed.notify()
        self._make_room()

    def _make_room(self) -> None:
        room, self._room = self._room, None
        if room is not None and not room.done():
            room.set_result(None)

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        with self._changed:
            while not self._pieces and self._left:
                if self._is_broken:
                    raise _ClientGone("the client left before its body was here")
                self._changed.wait()
            if not self._pieces:
                return 0
            piece = self._pieces.popleft()
            count = min(len(buffer), len(piece))
            buffer[:count] = piece[:count]
            if count < len(piece):
                self._pieces.appendleft(piece[count:])
            self._held -= count
            if self._room is not None and self._held <= BUFFERED_BODY_BYTES // 2:
                self._loop.call_soon_threadsafe(self._make_room)
            return count


class _Upload:
    """Carries a body to its reader. `start` is called once it is whole, or more than is buffered."""

    def __init__(self, body: _Body, start: Callable[[_Body], None]) -> None:
        self._body = body
        self._start = start
        self._is_started = False

    def data_received(self, chunk: bytes) -> Awaitable[None] | None:
        waiting = self._body.feed(chunk)
        if waiting is not None:
            self._start_once()
        return waiting

    def body_complete(self) -> None:
        self._start_once()

    def _start_once(self) -> None:
        if not self._is_started:
            self._is_started = True
            self._start(self._body)

    def connection_lost(self) -> None:
        self._body.break_off()


class _Answer:
    """What the application's thread says, brought to the loop and onto the wire."""

    def __init__(self, request: HTTPRequest, loop: asyncio.AbstractEventLoop) -> None:
        self._request = request
        self._loop = loop
        self.status = 0
        self._reason = ""
        self._headers: list[tuple[str, str]] = []
        self._is_started = False  # the head is on its way
        self._is_chunked = False
        self._left: int | None = None  # bytes that Content-Length still promises
        self.body_length: int | None = None

    def start_response(
        self, status: str, headers: list[tuple[str, str]], exc_info: Any = None
    ) -> Callable[[bytes], object]:
        """See PEP 3333.

        Raises:
            WSGIError: called twice, or with what can't be sent.
        """
        if exc_info is not None and self._is_started:
            raise exc_info[1].with_traceback(exc_info[2])
        if self.status and exc_info is None:
            raise WSGIError("start_response was called twice")
        found = _STATUS.fullmatch(status) if isinstance(status, str) else None
        if found is None:
            raise WSGIError(f"start_response: expected a status such as '200 OK', got {status!r}")
        left = None
        for name, value in headers:
            is_text = isinstance(name, str) and isinstance(value, str)
            if not is_text or not _NAME.fullmatch(name) or _ENDS_A_LINE.search(value) or name.lower() in _HOP_BY_HOP:
                raise WSGIError(f"start_response: the header {name!r} can't be sent: {value!r}")
            if name.lower() == "content-length":
                if not _LENGTH.fullmatch(value) or left is not None:
                    raise WSGIError(f"start_response: expected one Content-Length in digits, got {value!r}")
                left = int(value)
        self.status, self._reason, self._left = int(found[1]), found[2] or "", left
        self._headers = [field for field in headers if self.status != 204 or field[0].lower() != "content-length"]
        return self.write

    def write(self, piece: bytes) -> None:
        """Send a piece of the body; returns when the client has taken enough of it.

        Raises:
            WSGIError: before start_response, or beyond what Content-Length said: the client would take the rest for
                the next answer.
        """
        has_body = self._request.method != "HEAD" and self.status not in _BODILESS
        if has_body and self._left is not None:
            if len(piece) > self._left:
                raise WSGIError("the body is longer than its Content-Length")
            if self.body_length is not None and len(piece) < self._left:  # it is the last piece
                raise WSGIError("the body is shorter than its Content-Length")
            self._left -= len(piece)
        head = b"" if self._is_started else self._format_head()
        if not has_body:
            piece = b""
        elif self._is_chunked:
            piece = b"%x\r\n%b\r\n" % (len(piece), piece)
        if head or piece:
            self._on_loop(self._send(head + piece))

    def finish(self) -> None:
        """The answer is complete.

        Raises:
            WSGIError: it is not, as its Content-Length says: the client would wait for the rest.
        """
        if self._left and self._request.method != "HEAD" and self.status not in _BODILESS:
            raise WSGIError(f"the body is {self._left} bytes shorter than its Content-Length")
        head = b""
        if not self._is_started:
            if self.body_length is None:
                self.body_length = 0
            head = self._format_head()
        self._on_loop(self._send(head + (b"0\r\n\r\n" if self._is_chunked else b""), is_last=True))

    def fail(self) -> None:
        """Say 500 if nothing was said yet; else cut the connection, so that the part is not taken for the whole."""
        if self._is_started:
            self._loop.call_soon_threadsafe(self._request.connection.abort)
            return
        body = b"500: Internal Server Error\n"
        self.status, self._reason, self._left, self.body_length = 500, "Internal Server Error", len(body), None
        self._headers = [("Content-Type", "text/plain"), ("Content-Length", str(len(body)))]
        try:
            self.write(body)
            self.finish()
        except _ClientGone:
            pass

    def _format_head(self) -> bytes:
        if not self.status:
            raise WSGIError("the application answered without calling start_response")
        self._is_started = True
        request, names = self._request, {name.lower() for name, _ in self._headers}
        lines = [f"HTTP/1.1 {self.status} {self._reason}"]
        lines += [f"{name}: {value}" for name, value in self._headers]
        if "server" not in names:
            lines.append("Server: Squall")
        if "date" not in names:
            lines.append(f"Date: {clock.http_date.decode()}")
        connection = request.connection
        if "content-length" not in names and self.status not in _BODILESS and self.status >= 200:
            if self.body_length is not None:
                lines.append(f"Content-Length: {self.body_length}")
            elif request.version == "HTTP/1.1":
                self._is_chunked = request.method != "HEAD"
                lines.append("Transfer-Encoding: chunked")
            else:
                connection.keep_alive = False  # the end of the connection is the end of the body
        if not connection.keep_alive:
            lines.append("Connection: close")
        elif request.version == "HTTP/1.0":
            lines.append("Connection: keep-alive")
        return ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1", "replace")

    def _on_loop(self, work: Any) -> None:
        asyncio.run_coroutine_threadsafe(work, self._loop).result()

    async def _send(self, data: bytes, is_last: bool = False) -> None:
        connection = self._request.connection
        if connection.closed:
            raise _ClientGone
        if data:
            connection.write(data)
        if is_last:
            connection.finish()
        elif (drained := connection.drained()) is not None:
            try:
                await drained
            except ConnectionError as error:
                raise _ClientGone from error


class WSGIApplication(Application):
    """Our handlers as a WSGI application. Handlers must answer before they return."""

    def __init__(self, handlers: Any = None, default_host: str = "", **settings: Any) -> None:
        super().__init__(handlers, default_host, wsgi=True, **settings)

    def __call__(self, environ: Any, start_response: Any = None) -> Any:
        """PEP 3333; with a request alone (from our own server) it is an application like any other."""
        if isinstance(environ, HTTPRequest):
            return super().__call__(environ)
        connection = _Collected()
        super().__call__(_read_request(environ, connection))
        if not connection.is_finished:
            raise WSGIError("the handler did not finish: under WSGI nothing can be answered later")
        status, headers, body = connection.take_apart()
        start_response(status, headers)
        return [body] if environ["REQUEST_METHOD"] != "HEAD" and body else []


class _Collected:
    """The connection of a request under WSGI: it keeps the answer."""

    keep_alive = True
    closed = False

    def __init__(self) -> None:
        self.out = bytearray()
        self.is_finished = False

    def write(self, data: bytes) -> None:
        self.out += data

    def finish(self) -> None:
        self.is_finished = True

    def answer(self, data: bytes) -> None:
        self.out += data
        self.is_finished = True

    def drained(self) -> None:
        return None

    def set_close_callback(self, callback: Any) -> None:
        """Nobody tells a WSGI application that its client left."""

    def abort(self) -> None:
        self.closed = self.is_finished = True

    close = abort

    def take_apart(self) -> tuple[str, list[tuple[str, str]], bytes]:
        """Status, headers and body, without what concerns the connection only."""
        head, _, body = bytes(self.out).partition(b"\r\n\r\n")
        start, *lines = head.decode("latin-1").split("\r\n")
        pairs = [(name, value.strip()) for name, _, value in (line.partition(":") for line in lines)]
        is_chunked = any(name.lower() == "transfer-encoding" for name, _ in pairs)
        headers = [(name, value) for name, value in pairs if name.lower() not in _HOP_BY_HOP]
        return start.partition(" ")[2], headers, b"".join(_read_chunks(body)) if is_chunked else body


def _read_chunks(body: bytes) -> Iterator[bytes]:
    position = 0
    while True:
        end = body.index(b"\r\n", position)
        size = int(body[position:end], 16)
        if not size:
            return
        yield body[end + 2 : end + 2 + size]
        position = end + 2 + size + 2


def _read_request(environ: Environ, connection: _Collected) -> HTTPRequest:
    """The request that a WSGI environment describes."""
    path = (environ.get("SCRIPT_NAME", "") + environ.get("PATH_INFO", "")).encode("latin-1")
    target = "".join(
        chr(b) if (chr(b).isalnum() and b < 128) or chr(b) in "/-_.~!$&'()*+,;=:@" else f"%{b:02X}" for b in path
    )
    if environ.get("QUERY_STRING"):
        target += "?" + environ["QUERY_STRING"]
    headers = HTTPHeaders()
    for key, value in environ.items():
        if key.startswith("HTTP_"):
            headers.add(key[5:].replace("_", "-").title(), str(value))
    for key in ("CONTENT_TYPE", "CONTENT_LENGTH"):
        if environ.get(key):
            headers[key.replace("_", "-").title()] = str(environ[key])
    if "Host" not in headers:
        headers["Host"] = f"{environ['SERVER_NAME']}:{environ['SERVER_PORT']}"
    length = str(environ.get("CONTENT_LENGTH") or "")
    if _LENGTH.fullmatch(length):
        body = environ["wsgi.input"].read(int(length)) if int(length) else b""
    elif environ.get("wsgi.input_terminated"):  # chunked, by a server that ends the input where the body ends
        body = b"".join(iter(lambda: environ["wsgi.input"].read(65_536), b""))
    else:
        body = b""
    return HTTPRequest(
        environ["REQUEST_METHOD"],
        target or "/",
        "HTTP/1.1",
        headers,
        body,
        environ.get("REMOTE_ADDR", "127.0.0.1"),
        environ.get("wsgi.url_scheme", "http"),
        connection=connection,
    )
