import asyncio
import resource
import socket

import framework.httpserver.listening
from framework.httpserver.listening import Listening
from tests.support.rawhttp import connected, hello, listening_socket, serving

GET = b"GET / HTTP/1.1\r\nHost: h\r\n\r\n"


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


def test_a_descriptor_that_comes_back_is_given_to_the_next_at_once(monkeypatch):
    """Without descriptors the server rests; but who leaves makes room for who waits."""
    monkeypatch.setattr(framework.httpserver.listening, "_REST_S", 1000)

    async def main():
        async with serving(hello) as server, connected(server.port) as first:
            assert (await first.ask(GET))[0] == 200
            second = socket.socket()
            second.setblocking(False)
            soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
            resource.setrlimit(resource.RLIMIT_NOFILE, (second.fileno() + 1, hard))
            try:
                await asyncio.get_running_loop().sock_connect(second, ("127.0.0.1", server.port))
                await asyncio.get_running_loop().sock_sendall(second, GET)
                async with asyncio.timeout(10):
                    while not server._listening.is_resting:
                        await asyncio.sleep(0)
                first.writer.close()
                answer = await asyncio.wait_for(asyncio.get_running_loop().sock_recv(second, 100), 5)
                assert answer.startswith(b"HTTP/1.1 200")
            finally:
                resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
                second.close()

    asyncio.run(main())
