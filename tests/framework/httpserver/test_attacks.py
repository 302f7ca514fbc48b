"""Attacks that other servers fail, in small: memory stays bounded, and a polite client beside them is served."""

import asyncio
import contextlib
import socket
import threading
import time

import pytest

from tests.support.rawhttp import connected
from tests.support.serve import server_process

GET = b"GET / HTTP/1.1\r\nHost: h\r\n\r\n"
MIB = 1 << 20


@pytest.fixture(scope="module")
def server():
    with server_process(max_body_bytes=4 * MIB) as server:
        yield server


async def polite(port, seconds=0.3):
    """The worst time, in seconds, of requests sent one after the other for a while."""
    worst = 0.0
    end = time.perf_counter() + seconds
    async with connected(port) as client:
        while (start := time.perf_counter()) < end:
            assert (await client.ask(GET))[0] == 200
            worst = max(worst, time.perf_counter() - start)
            await asyncio.sleep(0.002)
    return worst


class Flood(threading.Thread):
    """Sends `piece` for ever and never reads; connects again when it was cut."""

    def __init__(self, port, head, piece):
        super().__init__()
        self.address = ("127.0.0.1", port)
        self.head = head
        self.piece = piece
        self.is_over = False
        self.start()

    def run(self):
        while not self.is_over:
            with contextlib.suppress(OSError), socket.create_connection(self.address, timeout=0.2) as attacker:
                attacker.sendall(self.head)
                while not self.is_over:
                    with contextlib.suppress(TimeoutError):
                        attacker.send(self.piece)


@pytest.mark.parametrize(
    "head, piece",
    [
        (b"POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n", b"1\r\nx\r\n" * 10_000),
        (b"GET / HTTP/1.1\r\nHost: h\r\n", b"X-Header: y\r\n" * 5000),
        (b"GET /", b"a" * 65536),
        (b"GET / HTTP/1.1\r\nHost: h\r\nX: ", b"a" * 65536),
        (b"", b"\r\n" * 30_000),
        (b"", b"GET /big HTTP/1.1\r\nHost: h\r\n\r\n" * 1000),
        (b"", GET * 2000),
        (b"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 33000000\r\n\r\n", b"x" * 100),
    ],
    ids=[
        "one-byte-chunks",
        "headers",
        "request-line",
        "header-line",
        "empty-lines",
        "big-answers",
        "answers",
        "small-pieces",
    ],
)
def test_flood(server, head, piece):
    async def main():
        await polite(server.port, 0.02)
        before = server.rss_bytes
        attackers = [Flood(server.port, head, piece) for _ in range(4)]
        try:
            worst = await polite(server.port)
            grown = server.rss_bytes - before
        finally:
            for attacker in attackers:
                attacker.is_over = True
            for attacker in attackers:
                attacker.join()
        # 4 bodies of 4 MiB may be under way, and each connection may hold a read and an answer of 1 MB.
        assert grown < 40 * MIB
        assert worst < 0.5  # the machine may be busy with other tests: this is no benchmark

    asyncio.run(main())


def test_idle_connections_and_slow_heads_cost_little(server):
    async def main():
        await polite(server.port, 0.02)
        before = server.rss_bytes
        async with contextlib.AsyncExitStack() as stack:
            for number in range(300):
                client = await stack.enter_async_context(connected(server.port))
                client.send(GET if number % 2 else b"GET / HT")
            assert await polite(server.port, 0.1) < 0.5
            assert server.rss_bytes - before < 300 * 16384

    asyncio.run(main())


def test_descriptors_run_out_and_come_back():
    """More connections than descriptors: those over the limit wait, nothing spins, and it recovers at once."""
    with server_process(nofile=60, max_connections=100_000) as server:

        async def main():
            await polite(server.port, 0.05)
            before = server.cpu_s
            async with contextlib.AsyncExitStack() as stack:
                clients = [await stack.enter_async_context(connected(server.port)) for _ in range(100)]
                await asyncio.sleep(0.5)
                assert server.cpu_s - before < 0.2
                assert (await clients[0].ask(GET))[0] == 200
            start = time.perf_counter()
            assert await polite(server.port, 0.05) < 2
            assert time.perf_counter() - start < 2
            while server.descriptors > 30:
                await asyncio.sleep(0.01)

        asyncio.run(main())
