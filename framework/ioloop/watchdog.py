"""A thread that notices when the loop does not come round."""

import asyncio
import threading
import time
from collections.abc import Callable


class Watchdog:
    """Calls `report(thread_id)` once for each blockade of a loop that lasts longer than `threshold_s`.

    A timer signal per round, as 1.2.1 had it, costs two system calls each time and cannot be had from uvloop. Instead
    the loop moves a mark twice per threshold, and a thread looks whether it still moves; each blockade is reported
    once.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop, threshold_s: float, report: Callable[[int], object]) -> None:
        self.threshold_s = threshold_s
        self._loop = loop
        self._report = report
        self._mark = 0.0
        self._timer: asyncio.TimerHandle | None = None
        self._done = threading.Event()

    def start(self) -> None:
        """Begins to watch the loop that runs, or is about to, in this thread."""
        self._done = threading.Event()
        self._move()
        target = threading.get_ident()
        threading.Thread(target=self._watch, args=(target, self._done), name="loop-watchdog", daemon=True).start()

    def stop(self) -> None:
        """Ends the thread."""
        self._done.set()
        if self._timer is not None:
            self._timer.cancel()

    def _move(self) -> None:
        self._mark = time.monotonic()
        self._timer = self._loop.call_later(self.threshold_s / 2, self._move)

    def _watch(self, target: int, done: threading.Event) -> None:
        reported = -1.0
        while not done.wait(self.threshold_s / 2):
            mark = self._mark
            # Half a threshold may have passed already when the blockade began.
            if mark != reported and time.monotonic() - mark > 1.5 * self.threshold_s:
                reported = mark
                self._report(target)
