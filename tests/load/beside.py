"""What the loads of this folder share: a frontend under load, a polite client beside it, and what both say."""

import contextlib
import os
import socket
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from tests.benchmarks import accounting
from tests.benchmarks.servers import Command, Server
from tests.support.front import free_port

GET = b"GET / HTTP/1.1\r\nHost: here\r\n\r\n"
EVERY_S = 0.005
PATIENCE_S = 10.0


@contextlib.contextmanager
def frontend(folder: Path, descriptors: int = 0) -> Iterator[Server]:
    """A running frontend with all that production has on: limits, time-outs, access log, metrics.

    It serves what tests.load.served does, and a file of 1 MB. `descriptors` is its limit of them.
    """
    (folder / "big.bin").write_bytes(bytes(1 << 20))
    (folder / "small.txt").write_text("small")
    port = free_port()
    limited = ["prlimit", f"--nofile={descriptors}:{descriptors}"] if descriptors else []
    python = [sys.executable, "-m", "tests.load.served", "--port", str(port)]
    environment = {"BENCH_STATIC": str(folder), "BENCH_ROUTES": "1"}
    # prlimit and taskset become what they start, so the server's pid is Python's.
    with Server(Command("frontend", [*limited, *python], port, environment=environment, core=0), folder) as server:
        yield server


def descriptors_of(server: Server) -> int:
    """How many descriptors the server has open."""
    return len(os.listdir(f"/proc/{server.pid}/fd"))


def memory_of(server: Server) -> int:
    """Bytes that it holds (PSS)."""
    return accounting.measure_memory([server.pid]).pss_bytes


def waited_for_core(server: Server) -> float:
    """Seconds that the server was ready to run and the machine had no core for it: others' doing, and no attack's."""
    return int(Path(f"/proc/{server.pid}/schedstat").read_text().split()[1]) / 1e9


class MemoryWatch:
    """The most memory that a server holds while this context lasts, looked at five times a second."""

    def __init__(self, server: Server) -> None:
        self._server = server
        self._is_over = threading.Event()
        self._thread = threading.Thread(target=self._watch)
        self.before_bytes = self.most_bytes = memory_of(server)
        self._began_s = (server.usage().cpu_s, waited_for_core(server))
        self.cpu_s = self.waited_s = 0.0

    @property
    def grown_mb(self) -> float:
        """Megabytes above what it held before."""
        return (self.most_bytes - self.before_bytes) / 1e6

    def __str__(self) -> str:
        core = f"{self.cpu_s:.1f} s on a core and {self.waited_s:.1f} s waiting for one"
        return f"grown by {self.grown_mb:.1f} MB, {core}"

    def __enter__(self) -> "MemoryWatch":
        self._thread.start()
        return self

    def __exit__(self, *error: object) -> None:
        self._is_over.set()
        self._thread.join()
        self.most_bytes = max(self.most_bytes, memory_of(self._server))
        self.cpu_s = self._server.usage().cpu_s - self._began_s[0]
        self.waited_s = waited_for_core(self._server) - self._began_s[1]

    def _watch(self) -> None:
        while not self._is_over.wait(0.2):
            self.most_bytes = max(self.most_bytes, memory_of(self._server))


@dataclass(frozen=True)
class Manners:
    """What a polite client has seen, in milliseconds."""

    requests: int
    errors: int
    p50_ms: float
    p99_ms: float
    worst_ms: float

    def __str__(self) -> str:
        seen = f"{self.requests} requests, {self.errors} errors"
        return f"{seen}, p50 {self.p50_ms:.1f} ms, p99 {self.p99_ms:.1f} ms, worst {self.worst_ms:.0f} ms"


def be_polite(port: int, seconds: float) -> Manners:
    """Requests one after the other, every second one on a new connection."""
    times: list[float] = []
    errors = 0
    kept: socket.socket | None = None
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        began = time.perf_counter()
        try:
            if kept is None:
                kept = connect(port)
            ask(kept)
            times.append(time.perf_counter() - began)
            began = time.perf_counter()
            with connect(port) as fresh:
                ask(fresh)
            times.append(time.perf_counter() - began)
        except OSError:
            errors += 1
            if kept is not None:
                kept.close()
                kept = None
        time.sleep(EVERY_S)
    if kept is not None:
        kept.close()
    times.sort()
    if not times:
        return Manners(0, errors, PATIENCE_S * 1e3, PATIENCE_S * 1e3, PATIENCE_S * 1e3)
    p50, p99 = times[len(times) // 2], times[len(times) * 99 // 100]
    return Manners(len(times), errors, p50 * 1e3, p99 * 1e3, times[-1] * 1e3)


def connect(port: int) -> socket.socket:
    """An open connection that has patience, but not without end."""
    # From another address than the attackers: nginx bounds what one address may have.
    return socket.create_connection(("127.0.0.1", port), PATIENCE_S, ("127.0.0.2", 0))


def ask(connection: socket.socket) -> None:
    """Return when one request is answered with 200.

    Raises:
        OSError: it is not.
    """
    connection.sendall(GET)
    answer = b""
    while not answer.endswith(b"Hello, world"):
        piece = connection.recv(65536)
        answer += piece
        if not piece or not answer.startswith(b"HTTP/1.1 200"[: len(answer)]):
            raise ConnectionError(f"expected 200, got {answer[:60]!r}")


@dataclass(frozen=True)
class Recovery:
    """Seconds until a new connection was answered, and until no more descriptors were open than before."""

    answered_s: float
    back_s: float
    is_complete: bool

    def __str__(self) -> str:
        return f"answers after {self.answered_s:.2f} s, all descriptors back after {self.back_s:.1f} s"


def wait_until_back(server: Server, descriptors: int, most_s: float = 60.0) -> Recovery:
    """How the server comes back when the others have left."""
    began = time.monotonic()
    answered_s = most_s
    while (passed_s := time.monotonic() - began) < most_s:
        with contextlib.suppress(OSError), connect(server.command.port) as fresh:
            ask(fresh)
            answered_s = min(answered_s, time.monotonic() - began)
            # Its own connection is one.
            if descriptors_of(server) <= descriptors + 1:
                return Recovery(answered_s, passed_s, True)
        time.sleep(0.02)
    return Recovery(answered_s, passed_s, False)
