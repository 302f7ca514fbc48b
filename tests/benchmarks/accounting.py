"""What a server costs, from the kernel's own books: CPU time and memory of a process and of all that descend from it.

CPU time survives a noisy machine: what others do makes a server slower, but hardly dearer. It knows nothing of what the
kernel does on behalf of the load generator, which is the same for everybody.
"""

import os
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

TICKS_PER_S = os.sysconf("SC_CLK_TCK")


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
    # The name stands in parentheses and may hold anything, blanks and parentheses too.
    user, system, waited_user, waited_system = map(int, text.rpartition(")")[2].split()[11:15])
    return (user + waited_user) / TICKS_PER_S, (system + waited_system) / TICKS_PER_S


def measure_times(roots: Iterable[int]) -> tuple[float, float]:
    """Seconds of CPU time that the trees have taken since they began: their own, and the kernel's for them."""
    user_s = system_s = 0.0
    for pid in list_tree(roots):
        try:
            user, system = parse_stat(Path(f"/proc/{pid}/stat").read_text())
        except OSError:
            continue  # ended meanwhile: its parent has its time
        user_s, system_s = user_s + user, system_s + system
    return user_s, system_s


def measure_cpu(roots: Iterable[int]) -> float:
    """Seconds of CPU time that the trees have taken since they began."""
    return sum(measure_times(roots))


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
