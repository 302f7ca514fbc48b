"""Work that has more to do than is fair: it goes on turn by turn, and all of it together gets a slice of each round.

A client that pipelines thousands of requests, sends a body in chunks of one byte or a flood of tiny messages makes much
work of few bytes; so do thousands who read a large file slowly. Each connection stops after a while and waits for its
next turn here. What lost: `call_soon` for each of them. Fifty such clients then took turns of 2 ms each in every round,
and others waited for 1.5 s (measured).
"""

import asyncio
import logging
from collections import deque
from collections.abc import Callable
from time import perf_counter

SLICE_S = 0.002

app_log = logging.getLogger("framework.application")


class Turns:
    """Who waits for a turn on one loop, in order."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._waiting: deque[Callable[[], object]] = deque()
        self._is_scheduled = False

    def wait(self, turn: Callable[[], object]) -> None:
        """Call `turn` when it is its turn: not before the next round of the loop."""
        self._waiting.append(turn)
        if not self._is_scheduled:
            self._is_scheduled = True
            self._loop.call_soon(self._go_round)

    def do[T](self, work: Callable[[], T]) -> "asyncio.Future[T]":
        """What `work` returns when it has had its turn; it has none if the future is cancelled. It must not fail."""
        future: asyncio.Future[T] = self._loop.create_future()

        def turn() -> None:
            if not future.done():
                future.set_result(work())

        self.wait(turn)
        return future

    def _go_round(self) -> None:
        end = perf_counter() + SLICE_S
        waiting = self._waiting
        while waiting:
            try:
                waiting.popleft()()
            except Exception:  # the others must have their turns all the same
                app_log.exception("exception in a turn")
            if perf_counter() >= end:
                break
        self._is_scheduled = bool(waiting)
        if waiting:
            self._loop.call_soon(self._go_round)


def turns_of(loop: asyncio.AbstractEventLoop) -> Turns:
    """The turns of this loop: one for all that runs on it, or the slices would add up."""
    turns: Turns | None = getattr(loop, "_framework_turns", None)
    if turns is None:
        turns = Turns(loop)
        # On the loop itself, so that both go together.
        setattr(loop, "_framework_turns", turns)  # noqa: B010
    return turns
