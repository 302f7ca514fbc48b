"""One process per core: how many that is, and forking them.

The appliance does not fork: supervisor starts each frontend on its own, so that one can be replaced without the others.
`fork_processes` is for a server without the appliance: `HTTPServer.bind(8888)`, `HTTPServer.start(0)`.
"""

import logging
import math
import os
import signal
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from types import FrameType

from framework.errors import FrameworkError
from framework.ioloop import IOLoop

gen_log = logging.getLogger("framework.general")

_task_id: int | None = None


class ForkError(FrameworkError):
    """The process cannot fork any more, or its children died too often."""


# -- how many cores ---------------------------------------------------------------------------------------------------


def cpu_count() -> int:
    """Cores that this process may use, at least 1: what its cgroup allows, not what the machine has.

    A container with half a core on a machine of 64 wants one process, not 64 (gunicorn #2028).
    """
    quota = cgroup_quota()
    allowed = len(os.sched_getaffinity(0))  # the kernel has taken the cpuset, v1 or v2, into account
    return allowed if quota is None else max(1, min(allowed, math.ceil(quota)))


def cgroup_quota(proc: Path = Path("/proc/self/cgroup"), mount: Path = Path("/sys/fs/cgroup")) -> float | None:
    """Cores' worth of CPU time that the process's cgroup and its parents allow; None without a limit."""
    try:
        lines = proc.read_text().splitlines()
    except OSError:
        return None
    limits = []
    for line in lines:
        _, controllers, path = line.split(":", 2)
        if controllers == "":
            limits += [_parse_cpu_max(_read(folder / "cpu.max")) for folder in _upwards(mount, path)]
        elif "cpu" in controllers.split(","):
            for top in (mount / "cpu", mount / controllers):
                for folder in _upwards(top, path):
                    limits.append(_parse_cfs(_read(folder / "cpu.cfs_quota_us"), _read(folder / "cpu.cfs_period_us")))
    found = [limit for limit in limits if limit is not None]
    return min(found) if found else None


def _upwards(top: Path, path: str) -> list[Path]:
    """The cgroup's folder and its parents, up to the mount's top.

    Inside a container the path may be the host's, which is not there; the top is then the container's own group.
    """
    folders = [top]
    for part in Path(path).parts:
        if part not in ("/", ".."):
            folders.append(folders[-1] / part)
    return folders


def _read(path: Path) -> str:
    try:
        return path.read_text()
    except OSError:
        return ""


def _parse_cpu_max(text: str) -> float | None:
    """Cores from cgroup v2's `cpu.max`: "150000 100000" is 1.5; None for "max 100000" and for no file."""
    quota, _, period = text.strip().partition(" ")
    return int(quota) / int(period) if quota.isdigit() and period.isdigit() and int(period) else None


def _parse_cfs(quota: str, period: str) -> float | None:
    """Cores from cgroup v1's two files; None for a quota of -1 and for no file."""
    return _parse_cpu_max(f"{quota.strip()} {period.strip()}")


# -- forking ----------------------------------------------------------------------------------------------------------


def task_id() -> int | None:
    """The number of this child, from 0; None in a process that fork_processes did not make."""
    return _task_id


def fork_processes(num_processes: int | None = None, max_restarts: int = 100) -> int:
    """The number of the child, from 0: only children return. The parent supervises, and exits when none is left.

    None or 0 processes means one per core. A child that is killed or exits with an error is started again under its
    number; one that exits with 0 is not. SIGTERM and SIGINT to the parent are passed on, and end the supervision.

    Raises:
        ForkError: a loop exists already (parent and children would share its epoll), or more than `max_restarts`
        children
            died.
    """
    if IOLoop.initialized():
        raise ForkError("fork_processes: a loop exists already; fork before the first use of IOLoop")
    children: dict[int, _Child] = {}
    # Before the first child: a signal that comes while they are forked must not end the parent alone.
    is_stopping = _forward_signals(children)
    for number in range(num_processes or cpu_count()):
        if not is_stopping() and _fork(number, children):
            return number
    restarts = 0
    while children:
        pid, status = os.wait()
        child = children.pop(pid, None)
        code = os.waitstatus_to_exitcode(status)
        if child is None or code == 0 or is_stopping():
            continue
        gen_log.warning("child %d (pid %d) %s, starting it again", child.number, pid, describe_exit(code))
        restarts += 1
        if restarts > max_restarts:
            _end(children)
            raise ForkError(f"fork_processes: more than {max_restarts} children died")
        quick = child.quick_deaths + 1 if time.monotonic() - child.started_s < QUICK_DEATH_S else 0
        time.sleep(restart_delay_s(quick))
        if not is_stopping() and _fork(child.number, children, quick):
            return child.number
    sys.exit(0)


QUICK_DEATH_S = 1.0


def restart_delay_s(quick_deaths: int) -> float:
    """Seconds to wait before a child is started again: none at first, doubling while it dies within a second."""
    return 0.0 if quick_deaths == 0 else min(5.0, 0.05 * 2.0 ** (quick_deaths - 1))


def describe_exit(code: int) -> str:
    """ "exited with 1" or "was killed by SIGKILL"."""
    if code >= 0:
        return f"exited with {code}"
    return f"was killed by {signal.Signals(-code).name}"


class _Child:
    """What the parent remembers of a child."""

    def __init__(self, number: int, quick_deaths: int) -> None:
        self.number = number
        self.quick_deaths = quick_deaths
        self.started_s = time.monotonic()


def _fork(number: int, children: dict[int, _Child], quick_deaths: int = 0) -> bool:
    """True in the child."""
    global _task_id
    # A signal waits until the parent knows the child, and until the child has handlers of its own.
    previous = signal.pthread_sigmask(signal.SIG_BLOCK, (signal.SIGTERM, signal.SIGINT))
    pid = os.fork()
    if pid:
        children[pid] = _Child(number, quick_deaths)
        signal.pthread_sigmask(signal.SIG_SETMASK, previous)
        return False
    for number_, handler in ((signal.SIGTERM, signal.SIG_DFL), (signal.SIGINT, signal.default_int_handler)):
        signal.signal(number_, handler)
    signal.pthread_sigmask(signal.SIG_SETMASK, previous)
    children.clear()
    _task_id = number
    return True


def _forward_signals(children: Mapping[int, _Child]) -> Callable[[], bool]:
    """A function that tells whether a signal to stop has come; it has been passed on to the children then."""
    seen: list[int] = []

    def forward(number: int, frame: FrameType | None) -> None:
        seen.append(number)
        _end(children)

    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, forward)
    return lambda: bool(seen)


def _end(children: Mapping[int, _Child]) -> None:
    """Asks all children to stop."""
    for pid in list(children):
        try:
            os.kill(pid, signal.SIGTERM)
        except ProcessLookupError:
            pass
