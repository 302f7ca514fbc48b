"""A million requests of many kinds to one frontend: its memory before and after, and what the collector finds.

    python -m tests.load.endurance [--requests 1000000]

Kept connections that pipeline, connections of their own, pages with a session, bodies, bodies cut off, refusals,
errors, long polls and event streams cut off, websockets. Prints the memory (PSS) after a warm-up and at the end, how
many objects lay in reference cycles, and the time that the garbage collector took. Ends with exit 1 if it grew by more
than 2 MB, or a cycle was found.
"""

import argparse
import asyncio
import json
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

from framework.websocket import websocket_connect
from tests.benchmarks.servers import Server
from tests.load import beside
from tests.load.asking import Asker, run

MOST_GROWTH_MB = 2.0
HOST = b" HTTP/1.1\r\nHost: here\r\n"
BROWSER = (
    b"User-Agent: Mozilla/5.0\r\nAccept: text/html,*/*;q=0.8\r\nAccept-Language: es-MX,es;q=0.9\r\n"
    b"Accept-Encoding: gzip, br\r\nSec-Fetch-Mode: navigate\r\n"
)
CHUNKED = b"Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\nTrailer: x\r\n\r\n"
# Of each ten; only requests that leave the connection open.
BATCH = [
    beside.GET,
    b"GET /" + HOST + BROWSER + b"\r\n",
    b"GET /?q=1" + HOST + b"Cookie: a=b; user=nobody\r\n\r\n",
    b"POST /post" + HOST + b"Content-Length: 1000\r\n\r\n" + b"p" * 1000,
    b"POST /post" + HOST + CHUNKED,
    b"GET /nowhere" + HOST + b"\r\n",
    b"DELETE /" + HOST + b"\r\n",
    b"HEAD /" + HOST + b"\r\n",
    b"GET /static/small.txt" + HOST + b"If-None-Match: x\r\n\r\n",
]
PAGE = b"GET /page" + HOST + BROWSER
# One connection each: refused, cut off in the body, while it waits or is answered, of HTTP/1.0, failing.
ONCE = [
    b"GET / HTTP/1.1\r\n\r\n",
    b"GET /\x00 HTTP/1.1\r\nHost: h\r\n\r\n",
    b"POST /post" + HOST + b"Content-Length: 1000\r\n\r\n" + b"p",
    b"GET /poll" + HOST + b"\r\n",
    b"GET / HTTP/1.0\r\n\r\n",
    b"GET /static/big.bin" + HOST + b"\r\n",
    b"GET /events" + HOST + b"\r\n",
    b"GET /fails" + HOST + b"\r\n",
]
CONNECTIONS = 8


@dataclass(frozen=True)
class Outcome:
    """What a frontend held before and after, in bytes, and what its collector did in between."""

    requests: int
    before_bytes: int
    after_bytes: int
    collected: int
    collector_runs: int
    collector_s: float
    cpu_s: float

    @property
    def grown_mb(self) -> float:
        """Megabytes that it holds more."""
        return (self.after_bytes - self.before_bytes) / 1e6

    @property
    def faults(self) -> list[str]:
        """What is not as it must be."""
        found = [] if self.grown_mb <= MOST_GROWTH_MB else [f"grown by {self.grown_mb:.1f} MB"]
        return found + ([f"{self.collected} objects in cycles"] if self.collected else [])

    def __str__(self) -> str:
        memory = f"{self.before_bytes / 1e6:.2f} MB before, {self.after_bytes / 1e6:.2f} MB after"
        collector = f"{self.collector_runs} runs, {self.collector_s * 1e3:.1f} ms of {self.cpu_s:.1f} s of CPU"
        return f"{self.requests:,} requests: {memory}; collector: {self.collected} objects in cycles, {collector}"


async def ask_once(port: int, request: bytes) -> None:
    """One request on a connection of its own, which is cut when something has come, or nothing comes."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(request)
    try:
        await asyncio.wait_for(reader.read(1), 0.01)
    except (TimeoutError, ConnectionError):
        pass
    writer.transport.abort()


async def talk(port: int) -> None:
    """Websockets that say something and close, or go without a word."""
    for is_polite in (True, False):
        websocket = await websocket_connect(f"ws://127.0.0.1:{port}/echo")
        await websocket.write_message("hello")
        await websocket.read_message()
        if is_polite:
            websocket.close()
        else:
            websocket._open_socket().abort()
        await websocket.read_message()


async def ask_many(server: Server, requests: int, cookie: bytes) -> int:
    """How many requests were answered: at least that many."""
    loop = asyncio.get_running_loop()
    port = server.command.port
    batch = [*BATCH, PAGE + b"Cookie: " + cookie + b"\r\n\r\n"]
    askers = [(await loop.create_connection(lambda: Asker(batch), "127.0.0.1", port))[1] for _ in range(CONNECTIONS)]
    others = 0
    while (total := sum(asker.total for asker in askers)) + others < requests:
        for request in ONCE:
            await ask_once(port, request)
        await talk(port)
        others += len(ONCE) + 2
    for asker in askers:
        asker.is_stopping = True
    async with asyncio.timeout(30):
        await asyncio.gather(*(asker.over for asker in askers))
    return total + others


async def endure(server: Server, requests: int, warm_up: int) -> Outcome:
    """The outcome of so many requests, after a warm-up."""
    login = server.ask("/login")
    cookie = next(value for name, value in login.headers if name == "Set-Cookie").partition(";")[0].encode()
    await ask_many(server, warm_up, cookie)
    before = json.loads(server.ask("/garbage").body)
    before_bytes, cpu_s = beside.memory_of(server), server.usage().cpu_s
    answered = await ask_many(server, requests, cookie)
    cpu_s = server.usage().cpu_s - cpu_s
    after = json.loads(server.ask("/garbage").body)
    collected, runs, seconds = (after[name] - before[name] for name in ("collected", "runs", "seconds"))
    return Outcome(answered, before_bytes, beside.memory_of(server), collected, runs, seconds, cpu_s)


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.load.endurance")
    parser.add_argument("--requests", type=int, default=1_000_000)
    options = parser.parse_args()
    began = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="endurance") as name, beside.frontend(Path(name)) as server:
        outcome = run(endure(server, options.requests, options.requests // 10))
    print(f"{outcome}; {time.monotonic() - began:.0f} s in all")
    if outcome.faults:
        sys.exit("\n".join(outcome.faults))


if __name__ == "__main__":
    main()
