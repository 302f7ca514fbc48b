"""What a request costs while the machine is quiet.

On a shared machine a neighbour computes on the other half of a core of ours for some tenths of a second, and then not.
While he does, the same work takes half as much CPU time again, and not everybody's work alike; and where he is on the
load generator's core, fewer requests come at once, and each costs more. So each turn is cut into slices of 20 ms.
Between them a piece of work that is always the same runs for a moment on each core, and tells whether it is quiet
there. Only slices that begin and end in quiet count; what was measured in them has no say in that.

How many requests a slice had, no load generator tells. The bytes on the loopback interface do: a request makes as many
of them as the whole turn shows.
"""

import json
import operator
import os
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import cache
from itertools import pairwise
from pathlib import Path

from tests.benchmarks import accounting
from tests.benchmarks.loads import Outcome
from tests.benchmarks.servers import CORES

EVERY_S = 0.02
# What the work may take beside what it takes in quiet. A neighbour on the same core makes that 1.4 to 1.9.
NOISY = 1.1
# What it takes in quiet: this part of all the times that it was done took less. The very least would be a fluke.
QUIETEST = 0.03
REMEMBERED = 5000
# Before the first turn it is done as often as this, every few milliseconds.
TRIES = 200
TRY_EVERY_S = 0.005
# With fewer quiet slices the figure of the whole turn is the better one.
FEWEST_SLICES = 5
TEXT = '{"name": ["some", "text", {"with": 1, "all": 2.5}], "of": {"the": null, "kinds": true}}'


@dataclass(frozen=True)
class Mark:
    """The state of the books between two slices, and what the work took there, on one core after the other."""

    works_s: tuple[float, ...]
    time_s: float
    cpu_s: float
    bytes: int


def work(times: int = 60) -> float:
    """The CPU time of the work, in seconds, after some of it that brings the caches back."""
    for _ in range(times // 4):
        json.loads(TEXT)
    before = time.thread_time()
    for _ in range(times):
        json.loads(TEXT)
    return time.thread_time() - before


def count_bytes() -> int:
    """What the loopback interface of this network namespace has carried."""
    for line in Path("/proc/net/dev").read_text().splitlines():
        name, _, counters = line.partition(":")
        if name.strip() == "lo":
            return int(counters.split()[0])
    raise OSError("/proc/net/dev: expected a line for lo, the loopback interface")


class Watch:
    """Looks at servers' books between slices, within `with watch.beside(…)`. It learns what quiet is as it goes."""

    def __init__(self, cores: Sequence[int]) -> None:
        self._cores = cores
        self._works_s: deque[tuple[float, ...]] = deque(maxlen=REMEMBERED)
        self._marks: list[Mark] = []
        # A thread, for it moves from core to core.
        thread = threading.Thread(target=self._learn)
        thread.start()
        thread.join()

    def _learn(self) -> None:
        for _ in range(TRIES):
            self._listen()
            time.sleep(TRY_EVERY_S)

    @contextmanager
    def beside(self, roots: Sequence[int]) -> Iterator[None]:
        """Watch these processes and all their descendants."""
        marks = self._marks = []
        pids = accounting.list_tree(roots)
        done = threading.Event()

        def look() -> None:
            is_over = False
            while True:
                works_s = self._listen()
                marks.append(Mark(works_s, time.perf_counter(), accounting.read_clocks(pids), count_bytes()))
                if is_over:
                    break
                is_over = done.wait(EVERY_S)

        thread = threading.Thread(target=look)
        thread.start()
        try:
            yield
        finally:
            done.set()
            thread.join()

    def in_quiet(self, outcome: Outcome) -> Outcome:
        """The outcome of the turn that was watched last, as it would have been in quiet."""
        return in_quiet(outcome, self._marks, [NOISY * took_s for took_s in self.quiet_s()])

    def quiet_s(self) -> list[float]:
        """What the work takes in quiet, core by core, in seconds."""
        return [sorted(of_core)[int(len(of_core) * QUIETEST)] for of_core in zip(*self._works_s, strict=True)]

    def _listen(self) -> tuple[float, ...]:
        """What the work takes on each core now. The thread stays on the last of them."""
        works_s = []
        for core in self._cores:
            os.sched_setaffinity(0, {core})
            works_s.append(work())
        self._works_s.append(tuple(works_s))
        return self._works_s[-1]


@cache
def shared_watch() -> Watch:
    """One for all turns of a run: it learns what quiet is but once."""
    return Watch(CORES)


def try_for_quiet(turn: Callable[[], Outcome], tries: int) -> Outcome:
    """The first outcome that had enough quiet, or the last of that many tries. What failed in any of them has failed.

    Raises what the turn raises.
    """
    outcome = turn()
    for _ in range(tries - 1):
        if outcome.quiet != 0:
            break
        failed = outcome.failed
        outcome = turn()
        outcome = replace(outcome, failed=outcome.failed + failed)
    return outcome


def in_quiet(outcome: Outcome, marks: Sequence[Mark], most_s: Sequence[float]) -> Outcome:
    """The outcome with the time and the CPU time of its quiet slices, in which as many requests are as of bytes.

    Quiet are those at whose both ends the work took less than `most_s` of its core.
    """
    slices = list(pairwise(marks))
    are_quiet = pairwise(all(map(operator.lt, mark.works_s, most_s)) for mark in marks)
    quiet = [one for one, (is_before, is_after) in zip(slices, are_quiet, strict=True) if is_before and is_after]
    carried = sum(b.bytes - a.bytes for a, b in quiet)
    if len(quiet) < FEWEST_SLICES or not carried or not outcome.cpu_s:
        return replace(outcome, quiet=0.0)
    whole = (marks[-1].bytes - marks[0].bytes) / carried
    cpu_s = whole * sum(b.cpu_s - a.cpu_s for a, b in quiet)
    return replace(
        outcome,
        seconds=whole * sum(b.time_s - a.time_s for a, b in quiet),
        cpu_s=cpu_s,
        # How the kernel's part differs is too little to be told from hundredths of a second.
        system_s=outcome.system_s * cpu_s / outcome.cpu_s,
        quiet=len(quiet) / len(slices),
    )
