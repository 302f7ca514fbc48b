"""Requests and answers: without a socket, which is what most tests want, or with one, for what only a connection shows.

`Client` keeps cookies as a browser does. Answers are checked as a strict client would.
"""

import asyncio
import re
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from typing import Any, BinaryIO
from urllib.parse import urlencode

from framework.cookies import parse_cookies
from framework.errors import FrameworkError
from framework.escape import json_decode
from framework.httpserver import HTTPServer
from framework.httputil import HTTPHeaders, parse_response_start_line
from framework.netutil import bind_sockets
from framework.request import HTTPRequest
from framework.web.errors import HTTPError

type Application = Callable[[HTTPRequest], Any]


class Response:
    """An answer, taken apart."""

    def __init__(self, status: int, reason: str, headers: HTTPHeaders, body: bytes) -> None:
        self.status = status
        self.reason = reason
        self.headers = headers
        self.body = body

    @property
    def text(self) -> str:
        """The body as UTF-8."""
        return self.body.decode()

    def json(self) -> Any:
        """The value that the body stands for."""
        return json_decode(self.body)

    # The names that httpclient gives these.

    @property
    def code(self) -> int:
        """The status."""
        return self.status

    @property
    def error(self) -> HTTPError | None:
        """What rethrow() raises."""
        return HTTPError(self.status, reason=self.reason) if self.status >= 400 else None

    def rethrow(self) -> None:
        """Nothing, for a status under 400.

        Raises:
            HTTPError: for any other.
        """
        if self.error is not None:
            raise self.error

    def __repr__(self) -> str:
        return f"Response({self.status} {self.reason}, {len(self.body)} bytes)"


class MemoryConnection:
    """A connection that keeps what is written to it."""

    def __init__(self) -> None:
        self.keep_alive = True
        self.closed = False
        self.is_aborted = False
        self.out = bytearray()
        self.is_answered = False
        self._waiter: asyncio.Future[None] | None = None
        self._close_callback: Callable[[], object] | None = None

    def write(self, data: bytes) -> None:
        """Keep bytes of the answer."""
        self.out += data

    def finish(self) -> None:
        """The answer is complete."""
        self._close_callback = None
        self.is_answered = True
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)

    async def wait_answered(self) -> None:
        """Return when the answer is complete."""
        if not self.is_answered:
            self._waiter = asyncio.get_running_loop().create_future()
            await self._waiter

    def answer(self, data: bytes) -> None:
        """Both at once."""
        self.write(data)
        self.finish()

    def drained(self) -> Awaitable[None] | None:
        """Memory takes everything at once."""
        return None

    async def send_file(self, file: BinaryIO, offset: int, count: int) -> None:
        """Keep part of a file."""
        file.seek(offset)
        self.out += file.read(count)

    def set_close_callback(self, callback: Callable[[], object] | None) -> None:
        """Who is told if the client goes away."""
        self._close_callback = callback

    def set_max_body_size(self, max_body_bytes: int) -> None:
        """Nothing: the test decides how large its bodies are."""

    def set_body_timeout(self, timeout_s: float) -> None:
        """Nothing: nobody is slow here."""

    def close(self) -> None:
        """The connection ends; the answer so far is the answer."""
        self.closed = True
        self.finish()

    def abort(self) -> None:
        """The connection is cut."""
        self.is_aborted = True
        self.close()

    def leave(self) -> None:
        """Be a client that goes away before the answer is complete."""
        self.closed = True
        callback, self._close_callback = self._close_callback, None
        if callback is not None:
            callback()


async def call(application: Application, request: HTTPRequest) -> Response:
    """The application's answer to a request, whose connection is a MemoryConnection.

    Raises:
        ConnectionAbortedError: the application cut the connection.
    """
    connection: MemoryConnection = request.connection
    receive = getattr(application, "body_receiver", None)
    receiver = receive(request) if request.body and receive is not None else None
    if receiver is None:
        waiting = application(request)
        if waiting is not None:
            await waiting
    else:
        # As the server does: an answer before the body is there is the last one on its connection.
        is_kept, connection.keep_alive = connection.keep_alive, False
        for at in range(0, len(request.body), 65536):
            waiting = receiver.data_received(request.body[at : at + 65536])
            if waiting is not None:
                await waiting
        connection.keep_alive = is_kept
        receiver.body_complete()
    await connection.wait_answered()
    if connection.is_aborted:
        raise ConnectionAbortedError(f"{request!r}: the application cut the connection")
    return parse_response(bytes(connection.out), request.method == "HEAD")


def parse_response(raw: bytes, is_head: bool = False) -> Response:
    """The one answer that these bytes are, checked.

    Raises:
        FrameworkError: they are none, or more than one, or its length is not what its head says.
    """
    head, _, body = raw.partition(b"\r\n\r\n")
    line, _, block = head.decode("latin-1").partition("\r\n")
    start = parse_response_start_line(line)
    headers = HTTPHeaders.parse(block)
    if headers.get("Transfer-Encoding") == "chunked" and not is_head:
        body = _join_chunks(body)
    elif "Content-Length" in headers and not is_head and len(body) != int(headers["Content-Length"]):
        raise FrameworkError(f"answer: expected {headers['Content-Length']} bytes of body, got {len(body)}")
    if body and (is_head or start.code in (204, 304)):
        raise FrameworkError(f"answer: expected no body, got {len(body)} bytes")
    return Response(start.code, start.reason, headers, body)


def _join_chunks(body: bytes) -> bytes:
    joined = b""
    while found := re.match(rb"([0-9a-f]+)\r\n", body):
        size = int(found[1], 16)
        joined += body[found.end() : found.end() + size]
        body = body[found.end() + size :].removeprefix(b"\r\n")
        if size == 0:
            break
    if body:
        raise FrameworkError(f"answer: expected chunks up to an empty one, got {body[:40]!r}")
    return joined


class Client:
    """A browser of the smallest kind: it sends requests to an application and keeps the cookies that it is given."""

    def __init__(self, application: Application, host: str = "127.0.0.1", remote_ip: str = "127.0.0.1") -> None:
        self.application = application
        self.host = host
        self.remote_ip = remote_ip
        self.cookies: dict[str, str] = {}

    def fetch(self, path: str, method: str = "GET", **kwargs: Any) -> Response:
        """The answer, from a loop that runs for this request; see fetch_async."""
        return asyncio.run(self.fetch_async(path, method, **kwargs))

    async def fetch_async(
        self,
        path: str,
        method: str = "GET",
        headers: Mapping[str, str] | None = None,
        body: bytes | str | Mapping[str, Any] = b"",
        version: str = "HTTP/1.1",
        protocol: str = "http",
    ) -> Response:
        """The answer to one request; a mapping as body is sent as a form."""
        request = self.make_request(path, method, headers, body, version, protocol)
        response = await call(self.application, request)
        for line in response.headers.get_list("Set-Cookie"):
            pair, _, attributes = line.partition(";")
            for name, value in parse_cookies(pair).items():
                # As sent, so that a quoted value goes back as it came.
                self.cookies[name] = pair.partition("=")[2].strip()
                if not value and "1970" not in attributes and "expires" in attributes.lower():
                    del self.cookies[name]
        return response

    def make_request(
        self,
        path: str,
        method: str = "GET",
        headers: Mapping[str, str] | None = None,
        body: bytes | str | Mapping[str, Any] = b"",
        version: str = "HTTP/1.1",
        protocol: str = "http",
    ) -> HTTPRequest:
        """A request with a MemoryConnection, for tests that look at the connection."""
        sent = HTTPHeaders({"Host": self.host, **(headers or {})})
        if isinstance(body, Mapping):
            body = urlencode(body, doseq=True)
            sent.setdefault("Content-Type", "application/x-www-form-urlencoded")
        if isinstance(body, str):
            body = body.encode()
        if self.cookies:
            sent.setdefault("Cookie", "; ".join(f"{name}={value}" for name, value in self.cookies.items()))
        return HTTPRequest(method, path, version, sent, body, self.remote_ip, protocol, connection=MemoryConnection())


@asynccontextmanager
async def serving(application: Application, **options: Any) -> AsyncIterator[int]:
    """The port of a server of this application on 127.0.0.1; the keywords are HTTPServer's."""
    sockets = bind_sockets(0, "127.0.0.1")
    server = HTTPServer(application, **options)
    server.add_sockets(sockets)
    try:
        yield sockets[0].getsockname()[1]
    finally:
        server.stop()
        await server.close_all_connections()


async def exchange(
    port: int,
    path: str,
    method: str = "GET",
    headers: Mapping[str, str] | None = None,
    body: bytes | str | None = None,
    ssl_context: ssl.SSLContext | None = None,
) -> Response:
    """The answer of a server on 127.0.0.1 to one request, after which the connection ends; over TLS with a context."""
    content = body.encode() if isinstance(body, str) else body or b""
    sent = HTTPHeaders({"Host": f"127.0.0.1:{port}", "Connection": "close"})
    if content or body is not None:
        sent["Content-Length"] = str(len(content))
        sent["Content-Type"] = "application/x-www-form-urlencoded"
    sent.update(headers or {})
    head = f"{method} {path} HTTP/1.1\r\n" + "".join(f"{name}: {value}\r\n" for name, value in sent.get_all()) + "\r\n"
    reader, writer = await asyncio.open_connection("127.0.0.1", port, ssl=ssl_context)
    try:
        writer.write(head.encode() + content)
        return parse_response(await reader.read(), method == "HEAD")
    finally:
        writer.close()
        await writer.wait_closed()
