"""Turns in quiet.

On a shared machine a neighbour comes and goes within seconds. While he computes on the other half of our core, the same
work takes half as much CPU time again, and not everybody's work alike: medians level that out only where most rounds
are quiet. So while a turn is measured, a piece of work that is always the same is done every now and then on the same
core. A turn waits until that takes no longer than it must, and is done again where it took longer meanwhile. Whether a
turn counts depends on that alone, and never on what it measured.
"""

import json
import os
import random
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from functools import cache
from statistics import fmean

# What the work may take on average, beside the least that it ever took, while the machine counts as quiet. A neighbour
# on the same core makes that 1.4 to 1.9.
NOISY = 1.15
# Longer than that nobody waits for one turn: the patience is for all.
TURN_S = 20.0
PAUSE_S = 0.2
# How often the work is done beside a turn: it takes a millisecond, 1 % of the core.
EVERY_S = 0.1
TRIES = 50
TEXT = '{"name": ["some", "text", {"with": 1, "all": 2.5}], "of": {"the": null, "kinds": true}}'
# A way to and fro through half a megabyte: a neighbour takes from the second cache what a server needs there.
WAY = [0] * 12_000
_order = random.Random(1).sample(range(len(WAY)), len(WAY))
for _here, _next in zip(_order, _order[1:] + _order[:1], strict=True):
    WAY[_here] = _next


def work() -> float:
    """The CPU time of the work, in seconds: some that computes and some that waits for memory, the caches warm."""
    _do(25)
    before = time.thread_time()
    _do(100)
    return time.thread_time() - before


def _do(times: int) -> None:
    for _ in range(times):
        json.loads(TEXT)
    place = 0
    for _ in WAY:
        place = WAY[place]


class Noise:
    """How loud the machine is on some cores: what the work takes / the least that it ever took there; 1 is quiet."""

    def __init__(self, cores: Sequence[int], work: Callable[[], float] = work) -> None:
        self._cores, self._work = cores, work
        self._least = min(took for _ in range(TRIES) for took in self._ask())

    def __call__(self) -> float:
        """How loud it is now."""
        return self._weigh([took for _ in range(5) for took in self._ask()])

    @contextmanager
    def beside(self) -> Iterator[Callable[[], float]]:
        """Listens within; what comes says afterwards how loud it was."""
        heard: list[float] = []
        done = threading.Event()

        def listen() -> None:
            while not done.wait(EVERY_S):
                heard.extend(self._ask())

        thread = threading.Thread(target=listen)
        thread.start()
        try:
            yield lambda: self._weigh(heard) if heard else self()
        finally:
            done.set()
            thread.join()

    def _ask(self) -> list[float]:
        # Who asks is one thread, and this moves that alone.
        mine = os.sched_getaffinity(0)
        took = []
        try:
            for core in self._cores:
                os.sched_setaffinity(0, {core})
                took.append(self._work())
        finally:
            os.sched_setaffinity(0, mine)
        return took

    def _weigh(self, took: Sequence[float]) -> float:
        self._least = min(self._least, *took)
        return fmean(took) / self._least


@cache
def noise_of(cores: tuple[int, ...]) -> Noise:
    """That of these cores; what is quiet there is learned once, and better with each question."""
    return Noise(cores)


class Patience:
    """For how long the turns of one load may wait for quiet and be done again, altogether."""

    def __init__(
        self,
        seconds: float,
        noise: Callable[[], float],
        beside: Callable[[], AbstractContextManager[Callable[[], float]]],
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self.left_s = seconds
        self._noise, self._beside, self._clock, self._sleep = noise, beside, clock, sleep

    def take[T](self, turn: Callable[[], T]) -> tuple[T, float]:
        """The outcome of the quietest try, and how loud it was meanwhile.

        Raises what the turn raises.
        """
        begun = self._clock()
        deadline = begun + min(TURN_S, self.left_s)
        tries: list[tuple[T, float]] = []
        while True:
            while self._noise() >= NOISY and self._clock() < deadline:
                self._sleep(PAUSE_S)
            started = self._clock()
            with self._beside() as heard:
                outcome = turn()
            tries.append((outcome, heard()))
            if tries[-1][1] < NOISY or self._clock() >= deadline:
                break
        # What the turn that ended it took is no waiting.
        self.left_s -= started - begun
        return min(tries, key=lambda one: one[1])
