"""What is new, for every page that waits: one read of the database for all of them, however many wait.

A page says the last number it saw. What it has missed comes from the database or from the tail kept here; if there is
nothing, it waits to be woken by the bus. A wake-up that gets lost costs at most LOOK_EVERY_S: then this looks by
itself.
"""

import asyncio
import logging
from collections import deque
from typing import Any

from app.feed import MAX_EVENTS, Feed
from framework.bus import Bus
from framework.database import DatabaseError, DatabaseUnavailable

CHANNEL = "feed"
LOOK_EVERY_S = 5.0
TAIL = 1000

logger = logging.getLogger("framework.application")


class Updates:
    """The tail of the events, kept up to date, and those who wait for the next one."""

    def __init__(self, feed: Feed, bus: Bus) -> None:
        self._feed = feed
        self._bus = bus
        self._tail: deque[dict[str, Any]] = deque(maxlen=TAIL)
        self._latest: int | None = None  # of the tail; None before the first look
        self._news = asyncio.Event()
        self._waiting: set[asyncio.Future[bool]] = set()
        self._task: asyncio.Task[None] | None = None
        self._is_closed = False

    @property
    def waiting(self) -> int:
        """How many pages wait."""
        return len(self._waiting)

    def start(self) -> None:
        """Follow the bus until `close`."""
        self._bus.add(CHANNEL, self._news.set)
        self._task = asyncio.get_running_loop().create_task(self._follow())

    async def close(self) -> None:
        """Answer everyone who waits, and stop."""
        self._is_closed = True
        self.send_away()
        self._bus.remove(CHANNEL, self._news.set)
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    def announce(self) -> None:
        """Something was written: wake up everyone, on every frontend."""
        self._bus.publish(CHANNEL)

    @property
    def latest(self) -> int:
        """The number of the latest event known here; 0 before the first look at the database."""
        return self._latest or 0

    async def after(self, sequence: int, timeout_s: float) -> list[dict[str, Any]] | None:
        """The events behind that number; waits for the first one, and gives none if timeout_s passes before.

        None if the database has not given that number yet: a backup has been restored since the page was made.

        Raises:
            DatabaseUnavailable: if the database has to be asked and is away.
        """
        deadline = asyncio.get_running_loop().time() + timeout_s
        while not (events := await self._known_after(sequence)):
            if await self._is_from_the_future(sequence):
                return None
            if self._is_closed or not await self._wait(deadline):
                return []
        return events

    async def _is_from_the_future(self, sequence: int) -> bool:
        if self._latest is None or sequence <= self._latest:
            return False
        self._news.set()  # most likely the page has been served by a frontend that knows more
        return sequence > await self._feed.last_sequence()

    async def _wait(self, deadline: float) -> bool:
        """True once something may be new; False at the deadline, or if the page had better ask another frontend."""
        future = asyncio.get_running_loop().create_future()
        self._waiting.add(future)
        try:
            async with asyncio.timeout_at(deadline):
                return bool(await future)
        except TimeoutError:
            return False
        finally:
            self._waiting.discard(future)

    def send_away(self) -> None:
        """Answer everyone who waits, with nothing: they ask again, and another frontend answers."""
        self._wake_all(False)

    def _wake_all(self, is_news: bool) -> None:
        for future in self._waiting:
            if not future.done():
                future.set_result(is_news)

    async def _known_after(self, sequence: int) -> list[dict[str, Any]]:
        if self._latest is None:
            return []  # the first look is under way: thousands who come back after a deploy must not each ask
        if sequence >= self._latest:
            return []
        if self._tail and self._tail[0]["seq"] <= sequence + 1:
            return [event for event in self._tail if event["seq"] > sequence][:MAX_EVENTS]
        return await self._feed.events_after(sequence)

    async def _follow(self) -> None:
        while True:
            try:
                await self._read_new()
            except (DatabaseUnavailable, DatabaseError) as error:
                logger.warning("updates: %s", error)
            try:
                async with asyncio.timeout(LOOK_EVERY_S):
                    await self._news.wait()
            except TimeoutError:
                pass
            self._news.clear()

    async def _read_new(self) -> None:
        latest = self._latest
        if latest is None:
            latest = max(await self._feed.last_sequence() - TAIL // 2, 0)
        known = self._latest
        while events := await self._feed.events_after(latest):
            self._tail.extend(events)
            self._latest = latest = events[-1]["seq"]
            self._wake_all(True)
        if self._latest is None:
            self._latest = latest
            self._wake_all(True)
        elif self._latest == known and (given := await self._feed.last_sequence()) < known:
            # A backup was restored: numbers are given a second time, and what is kept here never happened.
            self._tail.clear()
            self._latest = given
            self._wake_all(True)
