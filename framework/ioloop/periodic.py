"""Something done again and again."""

import asyncio
import contextvars
import datetime
import inspect
import random
from collections.abc import Awaitable, Callable

from framework.ioloop.loop import IOLoop


class PeriodicCallback:
    """Calls `callback` every `callback_time` milliseconds (or timedelta), once `start()` was called.

    A round that takes longer than the period skips those it missed; an asynchronous callback is waited for. Exceptions
    are logged and do not end it. `jitter` (0 to 1) spreads each period by that part, so that many processes do not act
    as one.
    """

    def __init__(
        self,
        callback: Callable[[], Awaitable[object] | object],
        callback_time: float | datetime.timedelta,
        jitter: "float | IOLoop | None" = 0.0,
        io_loop: IOLoop | None = None,
    ) -> None:
        if isinstance(callback_time, datetime.timedelta):
            callback_time = callback_time.total_seconds() * 1000
        if callback_time <= 0:
            raise ValueError(f"callback_time: expected more than 0 ms, got {callback_time}")
        self.callback = callback
        self.callback_time = callback_time
        # 1.2.1 had the loop in third place.
        self.jitter = jitter if isinstance(jitter, int | float) else 0.0
        self.io_loop = jitter if isinstance(jitter, IOLoop) else io_loop
        self._timer: asyncio.TimerHandle | None = None
        self._due_s = 0.0
        self._is_running = False

    def start(self) -> None:
        """Begins; the first call comes after one period."""
        if self._is_running:
            return
        self._is_running = True
        self.io_loop = self.io_loop or IOLoop.current()
        self._due_s = self.io_loop.asyncio_loop.time()
        self._schedule()

    def stop(self) -> None:
        """Ends; a call under way goes on."""
        self._is_running = False
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def is_running(self) -> bool:
        """True between start() and stop()."""
        return self._is_running

    def _schedule(self) -> None:
        assert self.io_loop is not None
        period_s = self.callback_time / 1000
        if self.jitter:
            period_s *= 1 + self.jitter * (random.random() - 0.5)
        self._due_s = next_due(self._due_s, self.io_loop.asyncio_loop.time(), period_s)
        # asyncio would copy the starter's context, and a request that has long been answered would get the exceptions.
        self._timer = contextvars.Context().run(self.io_loop.asyncio_loop.call_at, self._due_s, self._fire)

    def _fire(self) -> None:
        assert self.io_loop is not None
        self.io_loop.run_callback(self._call)

    async def _finish(self, result: Awaitable[object]) -> None:
        try:
            await result
        finally:
            if self._is_running:
                self._schedule()

    def _call(self) -> Awaitable[object] | None:
        result = None
        try:
            result = self.callback()
        finally:
            if self._is_running and not inspect.isawaitable(result):
                self._schedule()
        return self._finish(result) if inspect.isawaitable(result) else None


def next_due(last_s: float, now_s: float, period_s: float) -> float:
    """The first time of the series `last_s + n * period_s` that is after `now_s`; no drift, and no catching up."""
    if last_s + period_s > now_s:
        return last_s + period_s
    return last_s + ((now_s - last_s) // period_s + 1) * period_s
