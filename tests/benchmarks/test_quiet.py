"""Turns that wait for quiet, and are done again after noise."""

import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest

from tests.benchmarks.quiet import NOISY, TURN_S, Noise, Patience, work

LOUD = NOISY + 0.3


class Machine:
    """A clock, which turns and pauses move on, and how loud it is at each question."""

    def __init__(self, *noises: float) -> None:
        self.now = 100.0
        self._noises: Iterator[float] = iter(noises)
        self.turns = 0

    def patience(self, seconds: float) -> Patience:
        return Patience(seconds, self.hear, self.beside, lambda: self.now, self.pass_by)

    def hear(self) -> float:
        return next(self._noises)

    @contextmanager
    def beside(self) -> Iterator[Callable[[], float]]:
        yield self.hear

    def pass_by(self, seconds: float) -> None:
        self.now += seconds

    def turn(self) -> int:
        self.pass_by(1.0)
        self.turns += 1
        return self.turns


def test_in_quiet_the_first_turn_counts_and_costs_no_patience() -> None:
    machine = Machine(1.0, 1.1)
    patience = machine.patience(60)
    assert patience.take(machine.turn) == (1, 1.1)
    assert patience.left_s == 60


def test_a_turn_waits_for_quiet() -> None:
    machine = Machine(LOUD, LOUD, 1.0, 1.0)
    patience = machine.patience(60)
    assert patience.take(machine.turn) == (1, 1.0)
    assert patience.left_s == pytest.approx(59.6)


def test_a_turn_that_noise_met_is_done_again() -> None:
    machine = Machine(1.0, LOUD, 1.0, 1.05)
    patience = machine.patience(60)
    assert patience.take(machine.turn) == (2, 1.05)
    assert patience.left_s == pytest.approx(59)


def test_without_patience_there_is_one_turn_and_its_noise_is_told() -> None:
    machine = Machine(1.0, LOUD)
    assert machine.patience(0).take(machine.turn) == (1, LOUD)


def test_patience_ends_for_one_turn_and_for_all() -> None:
    machine = Machine(*[LOUD] * 400)
    patience = machine.patience(30)
    assert patience.take(machine.turn)[1] == LOUD
    assert patience.left_s == pytest.approx(30 - TURN_S)
    patience.take(machine.turn)
    left, turns = patience.left_s, machine.turns
    assert left == pytest.approx(0)
    patience.take(machine.turn)
    assert patience.left_s == pytest.approx(left)
    assert machine.turns == turns + 1


def test_of_loud_tries_the_quietest_counts() -> None:
    machine = Machine(1.0, LOUD, 1.0, 1.2, *[1.0, LOUD] * 40)
    assert machine.patience(5).take(machine.turn)[1] == 1.2


def test_what_a_turn_raises_comes_through() -> None:
    def fail() -> None:
        raise ValueError("no load")

    with pytest.raises(ValueError, match="no load"):
        Machine(1.0).patience(60).take(fail)


def test_noise_is_measured_from_the_least_so_far() -> None:
    took = iter([*[4.0] * 49, 3.0, *[4.5] * 5, *[2.0] * 5, *[3.0] * 5])
    noise = Noise([min(os.sched_getaffinity(0))], lambda: next(took))
    assert [noise(), noise(), noise()] == [1.5, 1.0, 1.5]


def test_what_is_heard_beside_a_turn_is_an_average() -> None:
    took = iter([*[2.0] * 50, *[2.0, 4.0] * 10_000])
    noise = Noise([min(os.sched_getaffinity(0))], lambda: next(took))
    with noise.beside() as heard:
        time.sleep(0.5)
    assert 1 < heard() < 2


def test_the_work_is_done_on_the_cores_that_are_asked() -> None:
    mine, seen = os.sched_getaffinity(0), []

    def work() -> float:
        seen.append(os.sched_getaffinity(0))
        return 1.0

    Noise(sorted(mine), work)
    assert seen[: len(mine)] == [{core} for core in sorted(mine)]
    assert os.sched_getaffinity(0) == mine


def test_the_work_takes_time() -> None:
    assert 0 < work() < 1
