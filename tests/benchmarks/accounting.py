"""What a server costs, from the kernel's own books: CPU time and memory of a process and of all that descend from it.

CPU time survives who takes our core's time: that makes a server slower, but hardly dearer. Who computes on the other
half of the core makes it dearer, too: see `quiet`. CPU time knows nothing of what the kernel does on behalf of the load
generator, which is the same for everybody.
"""

import os
import time
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

TICKS_PER_S = os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True)
class Usage:
    """Seconds of CPU time of a tree of processes, and how many of them the kernel took for it."""

    cpu_s: float
    system_s: float

    def __add__(self, other: "Usage") -> "Usage":
        return Usage(self.cpu_s + other.cpu_s, self.system_s + other.system_s)

    def __sub__(self, other: "Usage") -> "Usage":
        return Usage(self.cpu_s - other.cpu_s, self.system_s - other.system_s)


@dataclass(frozen=True)
class Memory:
    """Bytes of a tree of processes. Shared pages are divided among those who share them (PSS)."""

    pss_bytes: int
    processes: int


def list_tree(roots: Iterable[int]) -> list[int]:
    """The processes, and all their descendants that live."""
    found: list[int] = []
    pending = list(roots)
    while pending:
        pid = pending.pop()
        found.append(pid)
        for task in _tasks_of(pid):
            try:
                pending += map(int, (task / "children").read_text().split())
            except OSError:
                pass  # the thread has just ended
    return found


def _tasks_of(pid: int) -> list[Path]:
    try:
        return list(Path(f"/proc/{pid}/task").iterdir())
    except OSError:
        return []


def parse_stat(text: str) -> tuple[float, float]:
    """Seconds of CPU time, user and system, of a process and of its children that were waited for: /proc/PID/stat."""
    user, system, waited_user, waited_system = _read_ticks(text)
    return (user + waited_user) / TICKS_PER_S, (system + waited_system) / TICKS_PER_S


def _read_ticks(text: str) -> list[int]:
    # The name stands in parentheses and may hold anything, blanks and parentheses too.
    return [int(ticks) for ticks in text.rpartition(")")[2].split()[11:15]]


def measure(roots: Iterable[int]) -> Usage:
    """What the trees have taken since they began."""
    cpu_s = system_s = 0.0
    for pid in list_tree(roots):
        try:
            text = Path(f"/proc/{pid}/stat").read_text()
            # /proc counts in hundredths of a second, a tenth of what a fan-out takes; this clock does in nanoseconds.
            cpu_s += time.clock_gettime(_clock_of(pid))
        except OSError:
            continue  # ended meanwhile: its parent has its time
        cpu_s += sum(_read_ticks(text)[2:]) / TICKS_PER_S
        system_s += parse_stat(text)[1]
    return Usage(cpu_s, system_s)


def read_clocks(pids: Iterable[int]) -> float:
    """Seconds of CPU time that these processes have taken, to the nanosecond; without their children."""
    cpu_s = 0.0
    for pid in pids:
        try:
            cpu_s += time.clock_gettime(_clock_of(pid))
        except OSError:
            continue  # ended meanwhile
    return cpu_s


def _clock_of(pid: int) -> int:
    """The kernel's name for a process's CPU-time clock, as clock_getcpuclockid(3) makes it; all its threads count."""
    return (~pid << 3) | 2


def measure_memory(roots: Iterable[int]) -> Memory:
    """What the trees hold in memory now.

    Raises:
        PermissionError: the processes belong to somebody else.
    """
    total, processes = 0, list_tree(roots)
    for pid in processes:
        for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
            if line.startswith("Pss:"):
                total += int(line.split()[1]) * 1024
    return Memory(total, len(processes))
