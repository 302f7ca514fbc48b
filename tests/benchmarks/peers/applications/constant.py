"""A constant answer on the bare loop: nothing is parsed, nothing is checked. What no server in Python can be below."""

import asyncio
import socket

import uvloop

from tests.benchmarks.peers import content
from tests.benchmarks.peers.applications import address

HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: text/html; charset=UTF-8\r\nContent-Length: 12\r\n"
ANSWER = HEAD + b"\r\n" + content.HELLO.encode()
# ab -k speaks HTTP/1.0: it keeps a connection only if told so; the same bytes do for everybody.
KEPT = HEAD + b"Connection: keep-alive\r\n\r\n" + content.HELLO.encode()


class Constant(asyncio.Protocol):
    """Counts the ends of heads, and answers each."""

    transport: asyncio.Transport

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = transport  # type: ignore[assignment]

    def data_received(self, data: bytes) -> None:
        count = data.count(b"\r\n\r\n")
        if data.find(b"HTTP/1.0") < 0:
            self.transport.write(ANSWER * count)
        elif data.find(b"Keep-Alive") >= 0:
            self.transport.write(KEPT * count)
        else:
            self.transport.write(ANSWER)
            self.transport.close()


async def serve(place: address.Address) -> None:
    loop = asyncio.get_running_loop()
    if place.path:
        server: asyncio.Server = await loop.create_unix_server(Constant, place.path, backlog=4096)
    else:
        server = await loop.create_server(Constant, "127.0.0.1", place.port, backlog=4096)
        # As ours has it, or it would be no limit for short connections.
        server.sockets[0].setsockopt(socket.IPPROTO_TCP, socket.TCP_DEFER_ACCEPT, 5)
    await server.serve_forever()


if __name__ == "__main__":
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(serve(address.parse()))
