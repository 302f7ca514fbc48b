"""CPU time of one request in the server process: a constant answer, the bare server, an application.

    python -m tests.benchmarks.handlerpath [--rounds 7] [--round-s 1] [--only NAME ...]    real sockets, wrk and ab
    python -m tests.benchmarks.handlerpath --inner                                         our own code, no sockets

Each server is a process of its own with everything on that production has on: limits, time-outs, metrics, the access
log written to a pipe. The servers take turns, a short round each, and the kernel says how much CPU time each round took
(schedstat): that figure survives a noisy machine. A ratio compares medians with the constant answer under that load.
"""

import argparse
import asyncio
import contextlib
import gc
import re
import statistics
import subprocess
import sys
import tempfile
import time
from collections import deque
from collections.abc import Callable
from functools import partial
from pathlib import Path

import uvloop

from framework import metrics, web
from framework.frontend import ACCESS_LOG_EVERY_S, GC_THRESHOLD
from framework.httpserver import Connection, HTTPServer
from framework.log import AccessLog, write_lines
from framework.request import HTTPRequest
from tests.support.rawhttp import listening_socket

CONSTANT = b"HTTP/1.1 200 OK\r\nContent-Type: text/html; charset=UTF-8\r\nContent-Length: 5\r\n\r\nhello"

PIPELINED = 16

# What a Chrome sends with a navigation; %d differs from request to request, as a cookie of an analytics script does.
BROWSER = {
    "User-Agent": "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/130.0.0.0 Safari/537",
    "Accept": "text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,image/webp,*/*;q=0.8",
    "Accept-Language": "en-GB,en;q=0.9,de;q=0.8",
    "Accept-Encoding": "gzip, deflate, br, zstd",
    "Referer": "https://www.example.org/some/other/page?with=query",
    "Connection": "keep-alive",
    "Upgrade-Insecure-Requests": "1",
    "Sec-Fetch-Dest": "document",
    "Sec-Fetch-Mode": "navigate",
    "Cookie": "session=2|1:0|10:1700000000|7:session|8:YWJjZGVm|c0ffee; _seen=%d",
}

# What our nginx puts before that.
PROXIED = {
    "X-Request-ID": "b0c5f2e1a9d84c7f9b3e6a1d2c%06d",
    "X-Request-Start": "t=1764000000.123",
    "X-Real-IP": "192.0.2.17",
    "X-Forwarded-For": "192.0.2.17",
    "X-Forwarded-Proto": "https",
    "X-Scheme": "https",
    "X-Forwarded-Host": "www.example.org",
    "X-Forwarded-Port": "443",
}


class Hello(web.RequestHandler):
    def get(self) -> None:
        self.write("hello")

    def post(self) -> None:
        self.write("hello")


class AsyncHello(web.RequestHandler):
    async def get(self) -> None:
        self.write("hello")


class Json(web.RequestHandler):
    def get(self) -> None:
        self.write({"greeting": "hello", "number": 42})


class Entry(web.RequestHandler):
    def get(self, number: str) -> None:
        self.write("hello")


def make_application(routes: int = 0) -> web.Application:
    """What is measured; with `routes` that many others before it."""
    others = [(rf"/other/{n}/([0-9]+)", Entry) for n in range(routes)]
    own = [(r"/", Hello), (r"/async", AsyncHello), (r"/json", Json), (r"/entry/([0-9]+)", Entry)]
    return web.Application([*others, *own])


def answer_bare(request: HTTPRequest) -> None:
    request.connection.answer(CONSTANT)


class ConstantAnswer(asyncio.Protocol):
    """The limit: no parsing, no time-out, the same bytes for whatever arrives."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = transport

    def data_received(self, data: bytes) -> None:
        self.transport.write(CONSTANT)  # type: ignore[attr-defined]


class ConstantAndClose(ConstantAnswer):
    def data_received(self, data: bytes) -> None:
        self.transport.write(CONSTANT)  # type: ignore[attr-defined]
        self.transport.close()


async def serve(kind: str) -> None:
    """Print the port, and serve until killed."""
    loop = asyncio.get_running_loop()
    listener = listening_socket()
    listener.listen(4096)
    if kind.startswith("constant"):
        protocol = ConstantAndClose if kind == "constant-close" else ConstantAnswer
        await loop.create_server(protocol, sock=listener)
    else:
        application = answer_bare if kind == "bare" else make_application(1000 if kind == "routes" else 0)
        if isinstance(application, web.Application):
            open_access_log(application, loop)
        trusted = ["127.0.0.0/8"] if kind == "proxied" else []
        HTTPServer(application, xheaders=kind == "proxied", trusted_downstream=trusted).add_socket(listener)
    gc.collect()
    gc.freeze()
    gc.set_threshold(GC_THRESHOLD)
    print(listener.getsockname()[1], flush=True)
    await asyncio.Event().wait()


def open_access_log(application: web.Application, loop: asyncio.AbstractEventLoop) -> None:
    """As the frontend does it."""

    def schedule(flush: Callable[[], None]) -> None:
        loop.call_later(ACCESS_LOG_EVERY_S, flush)

    application.access_log = AccessLog(partial(write_lines, sys.stderr.fileno()), schedule, "json")


class Server:
    """A server in a process of its own, whose log goes through a pipe to nobody."""

    def __init__(self, kind: str) -> None:
        self.reader = subprocess.Popen(["cat"], stdin=subprocess.PIPE, stdout=subprocess.DEVNULL)
        command = [sys.executable, "-m", "tests.benchmarks.handlerpath", "--serve", kind]
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=self.reader.stdin, text=True)
        assert self.process.stdout is not None
        self.port = int(self.process.stdout.readline())

    @property
    def cpu_s(self) -> float:
        return int(Path(f"/proc/{self.process.pid}/schedstat").read_text().split()[0]) / 1e9

    @property
    def pss_kb(self) -> int:
        rollup = Path(f"/proc/{self.process.pid}/smaps_rollup").read_text()
        found = re.search(r"^Pss: +(\d+)", rollup, re.MULTILINE)
        return int(found[1]) if found else 0

    def close(self) -> None:
        self.process.kill()
        self.process.wait()
        assert self.reader.stdin is not None
        self.reader.stdin.close()
        self.reader.wait()


def wrk_script(port: int, method: str, target: str, headers: dict[str, str], body: int) -> str:
    """The request as wrk's Lua: the fields in the order in which browsers and proxies send them, "%" counts up."""
    if body:
        headers = {**headers, "Content-Length": str(body)}
    lines = [f"{name}: {value}" for name, value in headers.items()]
    text = "\r\n".join([f"{method} {target} HTTP/1.1", f"Host: 127.0.0.1:{port}", *lines, "", "x" * body])
    pieces = re.split("%0?6?d", text)
    together = " .. n .. ".join(repr(piece) for piece in pieces)
    build = f"n = n + 1\nreturn {together}" if len(pieces) > 1 else "return text"
    return f"local n = 100000\nlocal text = {pieces[0]!r}\nfunction request()\n{build}\nend\n"


class Load:
    """What is asked of which servers."""

    def __init__(
        self,
        method: str = "GET",
        target: str = "/",
        headers: dict[str, str] | None = None,
        body: int = 0,
        servers: tuple[str, ...] = ("constant", "bare", "application"),
        is_kept: bool = True,
    ) -> None:
        self.servers = servers
        self.is_kept = is_kept
        self.target = target
        self.method = method
        self.headers = headers or {}
        self.body = body

    def run(self, port: int, seconds: float) -> int:
        """Load the server on that port for so long; the number of requests answered.

        Raises:
            AssertionError: some were not.
        """
        url = f"http://127.0.0.1:{port}{self.target}"
        if not self.is_kept:
            command = ["ab", "-q", "-n", str(int(seconds * 8000)), "-c", "25", url]
            said = subprocess.run(command, capture_output=True, text=True, check=True).stdout
            assert re.search(r"Failed requests: +0\n", said), said
            found = re.search(r"Complete requests: +(\d+)", said)
        else:
            with tempfile.NamedTemporaryFile("w", suffix=".lua") as script:
                script.write(wrk_script(port, self.method, self.target, self.headers, self.body))
                script.flush()
                command = ["wrk", "-t1", "-c25", f"-d{seconds}s", "-s", script.name, url]
                said = subprocess.run(command, capture_output=True, text=True, check=True).stdout
            assert "Non-2xx" not in said and "Socket errors" not in said, said
            found = re.search(r"(\d+) requests in", said)
        assert found is not None, said
        return int(found[1])


LOADS = {
    "plain": Load(),
    "browser": Load(headers=BROWSER),
    "async": Load(target="/async", servers=("constant", "application")),
    "json": Load(target="/json", servers=("constant", "application")),
    "entry": Load(target="/entry/17", servers=("constant", "application")),
    "routes": Load(servers=("constant", "application", "routes")),
    "post": Load("POST", headers={"Content-Type": "application/octet-stream"}, body=100),
    "proxied": Load(headers=PROXIED | BROWSER, servers=("constant", "proxied")),
    "close": Load(is_kept=False, servers=("constant-close", "bare", "application")),
}


def measure(names: list[str], rounds: int, round_s: float) -> dict[str, dict[str, list[float]]]:
    """Microseconds of CPU per request, one figure a round, by load and server."""
    results: dict[str, dict[str, list[float]]] = {}
    with contextlib.ExitStack() as stack:
        servers: dict[str, Server] = {}
        for kind in {kind for name in names for kind in LOADS[name].servers}:
            servers[kind] = Server(kind)
            stack.callback(servers[kind].close)
        for turn in range(rounds + 1):
            for name in names:
                for kind in LOADS[name].servers:
                    server = servers[kind]
                    before = server.cpu_s
                    count = LOADS[name].run(server.port, round_s)
                    if turn:  # the first is the warm-up
                        used_us = (server.cpu_s - before) / count * 1e6
                        results.setdefault(name, {}).setdefault(kind, []).append(used_us)
    return results


def print_results(results: dict[str, dict[str, list[float]]]) -> None:
    print(f"{'load':<10}{'server':<16}{'CPU us/request':>15}{'least':>8}{'ratio':>8}")
    for name, servers in results.items():
        first = statistics.median(next(iter(servers.values())))
        for kind, figures in servers.items():
            median = statistics.median(figures)
            print(f"{name:<10}{kind:<16}{median:>15.2f}{min(figures):>8.2f}{median / first:>8.2f}")


# ---- without sockets


class Nowhere(asyncio.Transport):
    """A transport that costs nothing: what is written is dropped by C code."""

    def __init__(self, extra: dict[str, object]) -> None:
        super().__init__(extra)
        self.write = deque(maxlen=1).append  # type: ignore[method-assign, assignment]

    def get_write_buffer_size(self) -> int:
        return 0

    def is_closing(self) -> bool:
        return False


class Drain:
    """A socket that costs nothing: it takes all that it is given."""

    send = staticmethod(len)


def head(method: str = "GET", target: str = "/", headers: dict[str, str] | None = None, number: int = 0) -> bytes:
    lines = [f"{name}: {value % number if '%' in value else value}" for name, value in (headers or {}).items()]
    return "\r\n".join([f"{method} {target} HTTP/1.1", "Host: 127.0.0.1:8000", *lines, "", ""]).encode()


def inner_feeds(number: int) -> dict[str, tuple[str, bytes]]:
    """The bytes of each job, and who is asked."""
    post = head("POST", "/", {"Content-Type": "application/octet-stream", "Content-Length": "100"}) + b"x" * 100
    return {
        "bare plain": ("bare", head()),
        "bare browser": ("bare", head(headers=BROWSER, number=number)),
        "bare post": ("bare", post),
        "app plain": ("application", head()),
        "app browser": ("application", head(headers=BROWSER, number=number)),
        "app pipelined": ("application", head() * PIPELINED),
        "app proxied": ("proxied", head(headers=PROXIED | BROWSER, number=number)),
        "app async": ("application", head(target="/async")),
        "app json": ("application", head(target="/json")),
        "app entry": ("application", head(target="/entry/17")),
        "app post": ("application", post),
    }


async def measure_inner(seconds: float, names: list[str]) -> dict[str, float]:
    """Microseconds of each job, the best of many short rounds: other work on the machine only ever adds."""
    loop = asyncio.get_running_loop()
    application = make_application()
    lines: deque[str] = deque(maxlen=1)
    application.access_log = AccessLog(lines.append, lambda flush: loop.call_later(ACCESS_LOG_EVERY_S, flush), "json")
    connections = {}
    for kind, callback in (("bare", answer_bare), ("application", application), ("proxied", application)):
        server = HTTPServer(callback, xheaders=kind == "proxied", trusted_downstream=["127.0.0.0/8"])
        server.wheel.start()
        connections[kind] = Connection(server)
        connections[kind].connection_made(Nowhere({"peername": ("127.0.0.1", 1024)}))
        connections[kind]._socket = Drain()  # type: ignore[assignment]
        connections[kind]._is_direct = True
    gc.collect()
    gc.freeze()
    gc.set_threshold(GC_THRESHOLD)
    best = {name: float("inf") for name in inner_feeds(0) if not names or name in names}
    stop = time.perf_counter() + seconds
    number = 100000
    while time.perf_counter() < stop:
        for name in best:
            feeds = [inner_feeds(number := number + 1)[name][1] for _ in range(4)] * 30
            connection = connections[inner_feeds(0)[name][0]]
            receive = connection.data_received
            connection._requests = 0
            start = time.perf_counter()
            for data in feeds:
                receive(data)
            application.access_log.flush()
            metrics.count_answered()
            requests = len(feeds) * (PIPELINED if name == "app pipelined" else 1)
            best[name] = min(best[name], (time.perf_counter() - start) / requests * 1e6)
        await asyncio.sleep(0)
    return best


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--round-s", type=int, default=1)
    parser.add_argument("--only", nargs="*", default=[])
    parser.add_argument("--inner", action="store_true", help="without sockets")
    parser.add_argument("--seconds", type=float, default=10, help="for all of --inner")
    parser.add_argument("--serve", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.serve:
        uvloop.run(serve(options.serve))
    elif options.inner:
        for name, took in uvloop.run(measure_inner(options.seconds, options.only)).items():
            print(f"{name:<16}{took:>8.3f} us")
    else:
        print_results(measure(options.only or list(LOADS), options.rounds, options.round_s))


if __name__ == "__main__":
    main()
