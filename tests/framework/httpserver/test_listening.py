import asyncio
import socket

from framework.httpserver.listening import Listening
from tests.support.rawhttp import listening_socket


class Greeting(asyncio.Protocol):
    def connection_made(self, transport):
        transport.write(b"hello")
        transport.close()


def greet(accepted, peer, first):
    assert accepted is not None and peer[0] == "127.0.0.1" and first == b""
    return Greeting()


async def greeting(port):
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        return await asyncio.wait_for(reader.read(), 5)
    finally:
        writer.close()


def test_pause_queues_in_the_kernel_and_resume_takes_up():
    async def main():
        loop = asyncio.get_running_loop()
        listener = listening_socket()
        port = listener.getsockname()[1]
        listening = Listening(greet, print)
        listening.add(listener, loop)
        assert await greeting(port) == b"hello"
        listening.pause()
        waiting = asyncio.create_task(greeting(port))
        for _ in range(10):
            await asyncio.sleep(0)
        assert not waiting.done()
        listening.resume()
        assert await waiting == b"hello"
        listening.close()

    asyncio.run(main())


def test_queue_is_emptied_before_closing():
    async def main():
        loop = asyncio.get_running_loop()
        listener = listening_socket()
        address = listener.getsockname()
        listening = Listening(greet, print)
        listening.add(listener, loop)
        listening.pause()
        with socket.create_connection(address) as one, socket.create_connection(address) as other:
            listening.empty_queues()
            await listening.connected()
            listening.close()
            for client in (one, other):
                client.setblocking(False)
                assert await asyncio.wait_for(loop.sock_recv(client, 10), 5) == b"hello"

    asyncio.run(main())
