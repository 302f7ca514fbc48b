"""The figures of a turn's quiet slices."""

import os
import subprocess
import sys
import time
from dataclasses import replace
from itertools import pairwise

import pytest

from tests.benchmarks import quiet
from tests.benchmarks.loads import Outcome
from tests.benchmarks.quiet import NOISY, Mark, Watch, count_bytes, in_quiet, try_for_quiet, work

TURN = Outcome(requests=1000, seconds=1.0, failed=3, p50_ms=1.0, p99_ms=2.0, cpu_s=0.9, system_s=0.6)
MOST = (NOISY, NOISY)


def make_marks(*slices: tuple[float, float, float, int]) -> list[Mark]:
    """Marks from what the work took on one of two cores (1 is quiet), and seconds, CPU seconds and bytes of the slice
    before each; the first begins in quiet.
    """
    marks = [Mark((1.0, 1.0), 10.0, 5.0, 7000)]
    for took, time_s, cpu_s, carried in slices:
        last = marks[-1]
        marks.append(Mark((1.0, took), last.time_s + time_s, last.cpu_s + cpu_s, last.bytes + carried))
    return marks


def test_a_quiet_turn_is_what_its_slices_are() -> None:
    found = in_quiet(TURN, make_marks(*[(1.0, 0.1, 0.09, 500)] * 10), MOST)
    assert (found.cpu_s, found.seconds, found.quiet) == (pytest.approx(0.9), pytest.approx(1.0), 1.0)
    assert found.cpu_us == pytest.approx(TURN.cpu_us)


def test_only_slices_that_begin_and_end_in_quiet_count() -> None:
    # Quiet: 100 bytes in 10 ms, of which 5 are CPU time. Loud, and on the way there and back: twice the CPU time.
    slices = [(1.0, 0.01, 0.005, 100)] * 6 + [(NOISY, 0.01, 0.01, 100)] * 3 + [(1.05, 0.01, 0.01, 100)]
    found = in_quiet(TURN, make_marks(*slices), MOST)
    assert found.quiet == 0.6
    assert found.cpu_s == pytest.approx(0.05)  # 1,000 bytes at 5 ms of CPU time for 100
    assert found.seconds == pytest.approx(0.1)
    assert found.system_s / found.cpu_s == pytest.approx(TURN.system_s / TURN.cpu_s)
    assert (found.requests, found.failed, found.p99_ms) == (TURN.requests, TURN.failed, TURN.p99_ms)


@pytest.mark.parametrize(
    "slices",
    [
        pytest.param([(1.0, 0.1, 0.09, 500)] * 4 + [(1.5, 0.1, 0.2, 500)] * 6, id="few quiet slices"),
        pytest.param([(1.0, 0.1, 0.09, 0)] * 10, id="nothing carried"),
        pytest.param([], id="one mark"),
    ],
)
def test_a_turn_without_enough_quiet_stays_as_it_is(slices: list[tuple[float, float, float, int]]) -> None:
    found = in_quiet(TURN, make_marks(*slices), MOST)
    assert found.quiet == 0
    assert (found.cpu_s, found.seconds) == (TURN.cpu_s, TURN.seconds)


def test_watching_a_process_reads_its_clock_and_leaves_us_where_we_are() -> None:
    mine = os.sched_getaffinity(0)
    busy = subprocess.Popen([sys.executable, "-c", "while True: pass"])
    try:
        watch = Watch(sorted(mine))
        with watch.beside([busy.pid]):
            time.sleep(0.5)
    finally:
        busy.kill()
        busy.wait()
    marks = watch._marks
    assert len(marks) > 5
    assert all(a.time_s < b.time_s and a.cpu_s <= b.cpu_s for a, b in pairwise(marks))
    assert marks[-1].cpu_s - marks[0].cpu_s > 0.01
    assert os.sched_getaffinity(0) == mine


def test_quiet_is_learned_core_by_core_and_a_fluke_is_not_believed(monkeypatch: pytest.MonkeyPatch) -> None:
    mine = os.sched_getaffinity(0)
    first, last = min(mine), max(mine)
    counts = dict.fromkeys(mine, 0)

    def take() -> float:
        (core,) = os.sched_getaffinity(0)
        counts[core] += 1
        # Once next to nothing, then a quarter of the time in quiet.
        return 0.1 if counts[core] == 1 else (2.0 if core == first else 3.0) * (1 if counts[core] % 4 == 0 else 1.5)

    monkeypatch.setattr(quiet, "work", take)
    assert Watch([first, last]).quiet_s() == ([2.0, 3.0] if first != last else [2.0, 2.0])


@pytest.mark.parametrize(
    ("shares", "tries", "expected"), [((0.5,), 3, 0.5), ((0.0, 0.2), 3, 0.2), ((0.0, 0.0), 2, 0.0)]
)
def test_a_turn_without_quiet_is_tried_again(shares: tuple[float, ...], tries: int, expected: float) -> None:
    outcomes = iter([replace(TURN, quiet=share) for share in shares])
    found = try_for_quiet(lambda: next(outcomes), tries)
    assert found.quiet == expected
    assert found.failed == TURN.failed * len(shares)
    assert next(outcomes, None) is None


def test_a_turn_that_nobody_watched_is_not_tried_again() -> None:
    outcomes = iter([TURN])
    assert try_for_quiet(lambda: next(outcomes), 3) == TURN


def test_the_work_takes_time() -> None:
    assert 0 < work() < 1


def test_bytes_on_loopback_are_counted() -> None:
    assert count_bytes() >= 0
