"""Ordinary clients that ask as fast as they are answered, and what each request costs the server."""

import asyncio
import time
from collections.abc import Coroutine
from dataclasses import dataclass
from typing import Any

from framework.ioloop import new_event_loop
from tests.benchmarks.servers import Server
from tests.load.beside import GET

ANSWER_STARTS = b"HTTP/1.1 "


@dataclass(frozen=True)
class Rate:
    """Requests per second, and microseconds of the server's CPU for each."""

    per_second: float
    cpu_us: float

    def __str__(self) -> str:
        return f"{self.per_second:,.0f} requests/s, {self.cpu_us:.1f} us of CPU each"


class Asker(asyncio.Protocol):
    """One connection that sends its requests, all of `batch` at once, again and again until `is_stopping`."""

    def __init__(self, batch: list[bytes]) -> None:
        self._batch = b"".join(batch)
        self._count = len(batch)
        self._answered = 0
        self.total = 0
        self.is_stopping = False
        self.over: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport: asyncio.Transport = transport  # type: ignore[assignment]
        self._transport.write(self._batch)

    def data_received(self, data: bytes) -> None:
        # No answer's body holds this, and a status line that two reads share is rare enough to be waited for.
        self._answered += data.count(ANSWER_STARTS)
        if self._answered < self._count:
            return
        self.total += self._answered
        self._answered = 0
        if self.is_stopping:
            self._transport.close()
        else:
            self._transport.write(self._batch)

    def connection_lost(self, error: Exception | None) -> None:
        if not self.over.done():
            if self.is_stopping:
                self.over.set_result(None)
            else:
                self.over.set_exception(ConnectionError(f"the server closed a polite client's connection: {error}"))


async def ask_for(server: Server, seconds: float, connections: int = 10) -> Rate:
    """What that many connections get in that time, one request at a time each."""
    loop = asyncio.get_running_loop()
    port = server.command.port
    cpu_s, began = server.usage().cpu_s, time.perf_counter()
    askers = [(await loop.create_connection(lambda: Asker([GET]), "127.0.0.1", port))[1] for _ in range(connections)]
    await asyncio.sleep(seconds)
    for asker in askers:
        asker.is_stopping = True
    async with asyncio.timeout(30):
        await asyncio.gather(*(asker.over for asker in askers))
    passed_s, cpu_s = time.perf_counter() - began, server.usage().cpu_s - cpu_s
    total = sum(asker.total for asker in askers)
    return Rate(total / passed_s, cpu_s / total * 1e6)


def run[T](work: Coroutine[Any, Any, T]) -> T:
    """As asyncio.run, on the loop that frontends run on."""
    with asyncio.Runner(loop_factory=new_event_loop) as runner:
        return runner.run(work)
