"""Servers on free ports and clients that speak bytes: what an HTTP library would never send, and what it would hide."""

import asyncio
import contextlib
import socket

from framework.httpserver import HTTPServer


def listening_socket():
    """A TCP listener on a free port of the loopback address."""
    listener = socket.socket()
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listener.bind(("127.0.0.1", 0))
    listener.listen(128)
    return listener


@contextlib.asynccontextmanager
async def serving(application, listener=None, **options):
    """A running server, with `port` if it listens on TCP; everything is closed at the end."""
    listener = listener or listening_socket()
    server = HTTPServer(application, **options)
    name = listener.getsockname()
    server.add_socket(listener)
    server.port = name[1] if isinstance(name, tuple) else None
    try:
        yield server
    finally:
        server.stop()
        await server.close_all_connections()


@contextlib.asynccontextmanager
async def talking(peer, **options):
    """The port of a server that does with each connection what `peer(reader, writer)` says."""

    async def serve(reader, writer):
        with contextlib.suppress(OSError, asyncio.CancelledError):
            await peer(reader, writer)
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0, **options)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        server.close()
        server.close_clients()
        await server.wait_closed()


class RawClient:
    """A connection that sends and receives bytes."""

    def __init__(self, reader, writer):
        self.reader = reader
        self.writer = writer

    def send(self, data):
        self.writer.write(data)

    async def receive_response(self):
        """(status, headers with small-letter names, body) of one response framed by Content-Length."""
        head = await asyncio.wait_for(self.reader.readuntil(b"\r\n\r\n"), 5)
        lines = head.decode("latin-1").split("\r\n")
        status = int(lines[0].split(" ")[1])
        headers = {n.lower(): v.strip() for n, _, v in (line.partition(":") for line in lines[1:] if line)}
        body = await asyncio.wait_for(self.reader.readexactly(int(headers.get("content-length", 0))), 5)
        return status, headers, body

    async def receive_all(self):
        """Everything up to the end of the stream."""
        return await asyncio.wait_for(self.reader.read(), 5)

    async def ask(self, data):
        """The response to one request."""
        self.send(data)
        return await self.receive_response()


@contextlib.asynccontextmanager
async def closing_client(reader, writer):
    """A raw client on an open stream, closed at the end."""
    try:
        yield RawClient(reader, writer)
    finally:
        writer.close()
        with contextlib.suppress(OSError):
            await writer.wait_closed()


@contextlib.asynccontextmanager
async def connected(port=None, path=None, **options):
    """A raw client, closed at the end."""
    if path is not None:
        streams = await asyncio.open_unix_connection(path)
    else:
        streams = await asyncio.open_connection("127.0.0.1", port, **options)
    async with closing_client(*streams) as client:
        yield client


def hello(request):
    """An application that answers at once and says what it saw."""
    body = f"{request.method} {request.uri} {len(request.body)}".encode()
    connection = b"" if request.connection.keep_alive else b"Connection: close\r\n"
    request.connection.answer(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n%s\r\n%s" % (len(body), connection, body))
