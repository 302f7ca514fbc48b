"""Servers under measurement: started on a core of their own, waited for, asked once, ended with all their children."""

import http.client
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Self

from tests.benchmarks import accounting

ROOT = Path(__file__).parents[2]
# What we may run on, before any of it is given away.
CORES = sorted(os.sched_getaffinity(0))
START_TIMEOUT_S = 30.0
REST_TIMEOUT_S = 5.0
# For what was due while somebody was stopped, and for the end of connections that a load has left.
SETTLE_S = 0.05


class ServerError(Exception):
    """A server does not start, or does not answer as it should; the message holds the end of its log."""


@dataclass(frozen=True)
class Answer:
    """One whole answer."""

    status: int
    headers: list[tuple[str, str]]
    body: bytes


@dataclass(frozen=True)
class Command:
    """How a server is started. `core` pins it (None: anywhere); `path` is its unix socket, else it has a port."""

    name: str
    arguments: Sequence[str]
    port: int = 0
    path: str = ""
    environment: Mapping[str, str] = field(default_factory=dict)
    core: int | None = None


class Server:
    """A running server; a context manager that ends it."""

    def __init__(self, command: Command, folder: Path) -> None:
        self.command = command
        self._log = folder / f"{command.name.replace('/', '-')}.log"
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def pid(self) -> int:
        """The first process of its tree."""
        assert self._process is not None
        return self._process.pid

    def __enter__(self) -> Self:
        command = self.command
        pinned = [] if command.core is None else ["taskset", "-c", str(command.core)]
        with open(self._log, "wb") as log:
            self._process = subprocess.Popen(
                [*pinned, *command.arguments],
                cwd=ROOT,
                env={**os.environ, "PYTHONPATH": str(ROOT), "PYTHONWARNINGS": "ignore", **command.environment},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        try:
            self._await_listener()
        except ServerError:
            self.stop()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.stop()

    def _await_listener(self) -> None:
        deadline = time.monotonic() + START_TIMEOUT_S
        while not self._is_listening():
            assert self._process is not None
            if self._process.poll() is not None:
                raise ServerError(f"{self.command.name}: exit {self._process.returncode}: {self._end_of_log()}")
            if time.monotonic() > deadline:
                raise ServerError(
                    f"{self.command.name}: does not listen after {START_TIMEOUT_S} s: {self._end_of_log()}"
                )
            time.sleep(0.05)

    def _is_listening(self) -> bool:
        family, where = (
            (socket.AF_UNIX, self.command.path)
            if self.command.path
            else (socket.AF_INET, ("127.0.0.1", self.command.port))
        )
        with socket.socket(family) as probe:
            probe.settimeout(1)
            return probe.connect_ex(where) == 0  # type: ignore[arg-type]

    def _end_of_log(self) -> str:
        return self._log.read_text(errors="replace").strip()[-600:]

    def stop(self) -> None:
        """End the server: politely, and after two seconds without mercy."""
        if self._process is None:
            return
        wake([self.pid])  # who is stopped hears no SIGTERM
        for number, patience_s in ((signal.SIGTERM, 2.0), (signal.SIGKILL, 5.0)):
            try:
                os.killpg(self._process.pid, number)
            except ProcessLookupError:
                break
            try:
                self._process.wait(patience_s)
                break
            except subprocess.TimeoutExpired:
                continue
        try:
            os.killpg(self._process.pid, signal.SIGKILL)  # children that their parent left behind
        except ProcessLookupError:
            pass
        self._process = None

    def usage(self) -> accounting.Usage:
        """CPU time so far, with all children."""
        return accounting.measure([self.pid])

    def ask(
        self, target: str, method: str = "GET", headers: Mapping[str, str] | None = None, body: bytes | None = None
    ) -> Answer:
        """The answer to one request on a connection of its own.

        Raises:
            ServerError: there is none.
        """
        return ask(self.command.name, self.command.port, target, method, headers, body)


def rest(roots: Sequence[int]) -> None:
    """Stop these processes, with all that descend from them, until `wake`: who waits for its turn must not come between
    the server that has it and the core's caches, with a timer, or a supervisor's look at its workers.

    Raises:
        ServerError: one goes on all the same.
    """
    tree = accounting.list_tree(roots)
    for pid in tree:
        _signal(pid, signal.SIGSTOP)
    end = time.monotonic() + REST_TIMEOUT_S
    while running := [pid for pid in tree if state_of(pid) not in "TXZ"]:
        if time.monotonic() > end:
            raise ServerError(f"processes {running} do not stop; is a debugger at them?")
        time.sleep(0.001)


def wake(roots: Sequence[int]) -> None:
    """Let them go on, children first: gunicorn ends workers of which it has not heard for 30 s."""
    stopped = [pid for pid in accounting.list_tree(roots) if state_of(pid) == "T"]
    for pid in reversed(stopped):
        _signal(pid, signal.SIGCONT)
        time.sleep(SETTLE_S / len(stopped))


@contextmanager
def awake(roots: Sequence[int]) -> Iterator[None]:
    """Within, these run; after that they rest."""
    wake(roots)
    time.sleep(SETTLE_S)
    try:
        yield
    finally:
        time.sleep(SETTLE_S)
        rest(roots)


def _signal(pid: int, number: signal.Signals) -> None:
    try:
        os.kill(pid, number)
    except ProcessLookupError:
        pass  # it ended by itself


def state_of(pid: int) -> str:
    """The kernel's letter for what the process does: T is stopped, Z and X are at their end."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return "X"


def ask(
    name: str,
    port: int,
    target: str,
    method: str = "GET",
    headers: Mapping[str, str] | None = None,
    body: bytes | None = None,
) -> Answer:
    """The answer of 127.0.0.1:port.

    Raises:
        ServerError: there is none.
    """
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    try:
        connection.request(method, target, body=body, headers=dict(headers or {}))
        response = connection.getresponse()
        return Answer(response.status, response.getheaders(), response.read())
    except (OSError, http.client.HTTPException) as error:
        raise ServerError(f"{name}: {method} {target}: {error!r}") from error
    finally:
        connection.close()


def find_free_port() -> int:
    """A port of loopback that nobody listens on just now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def choose_cores() -> tuple[int | None, int | None]:
    """A core for the server and another for the load; (None, None) where there is only one."""
    return (CORES[-1], CORES[0]) if len(CORES) > 1 else (None, None)


@contextmanager
def on_core_of_load() -> Iterator[None]:
    """Within, we and what we start keep off the server's core; a server is told its own by `Command.core`."""
    _, core = choose_cores()
    if core is not None:
        os.sched_setaffinity(0, {core})
    try:
        yield
    finally:
        os.sched_setaffinity(0, CORES)


def python_of(environments: Path | None, name: str) -> str:
    """The interpreter of an environment below the folder; the one that runs us where no folder is given."""
    return str(environments / name / "bin" / "python") if environments else sys.executable
