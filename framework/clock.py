"""One coarse clock: the Date header of all answers, and the time-outs of all connections.

Asking the kernel for the time and formatting it costs more than parsing a request, so a running `Wheel` does both a few
times a second and everybody reads the result:

    clock.now        seconds of the loop's clock (monotonic), at most TICK_S old while a wheel turns
    clock.http_date  the same instant as an HTTP-date (RFC 9110 §5.6.7), as bytes, renewed each second
    clock.version    grows by one with each new `http_date`: what is derived from it is rebuilt when this differs

All three stand in `clock.coarse`: who asks for each request asks there, since the interpreter reads an object's slot
four times as fast as a name of a module that has a `__getattr__`. While no wheel turns (a unit test, a script) the
slots are empty, and `__getattr__` takes the true time instead: right, only slower.

A `Wheel` also holds whatever may time out. What lost: `loop.call_later` per connection. A busy connection moves its
deadline with each request; moving a timer costs a heap operation and an object, moving a deadline costs one attribute.
"""

import asyncio
import time
from collections.abc import Callable
from email.utils import formatdate
from typing import Protocol

TICK_S = 0.25

now: float
http_date: bytes
version: int

_turning = 0


class Expiring(Protocol):
    """Something with a deadline, in seconds of `clock.now`; infinite if it has none at present."""

    deadline: float
    wheel_slot: int

    def expire(self) -> None:
        """Called on the loop once the deadline has passed; sets a later deadline or leaves the wheel."""


class Coarse:
    """The time as the wheels last saw it; the true time while none turns."""

    __slots__ = ("http_date", "now", "version")

    http_date: bytes
    now: float
    version: int

    def __getattr__(self, name: str) -> object:
        """A slot that is empty: the current value.

        Raises:
            AttributeError: for any other name.
        """
        if name == "now":
            return time.monotonic()
        if name == "http_date":
            return format_http_date(time.time())
        if name == "version":
            return int(time.time())
        raise AttributeError(f"module 'framework.clock' has no attribute {name!r}")

    def advance(self) -> float:
        """Seconds of the monotonic clock, after setting the slots to this instant."""
        self.now = now = time.monotonic()
        second = int(time.time())
        if second != self.version:
            self.http_date = format_http_date(second)
            self.version = second
            for forget in forgetting:
                forget()
        return now

    def begin(self) -> None:
        """Go by `advance` from now on."""
        second = int(time.time())
        self.http_date = format_http_date(second)
        self.version = second
        self.advance()

    def end(self) -> None:
        """Tell the true time again."""
        del self.http_date, self.now, self.version
        for forget in forgetting:
            forget()


coarse = Coarse()
forgetting: list[Callable[[], None]] = []
"""Called when the second is over: what is derived from `http_date` is no longer true. Nothing may be remembered while
no wheel turns (`is_turning`), for then nobody calls.
"""


def is_turning() -> bool:
    """Whether the names stand for what a wheel saw last."""
    return _turning > 0


def __getattr__(name: str) -> object:
    """A name of `coarse`.

    Raises:
        AttributeError: for any other name.
    """
    return getattr(coarse, name)


def format_http_date(unix_time: float) -> bytes:
    """The HTTP-date (IMF-fixdate) of a Unix time in seconds."""
    return formatdate(unix_time, usegmt=True).encode("ascii")


class Wheel:
    """Deadlines of many things, looked at once per tick, and the heartbeat of the module's three names.

    A thing lies in the slot of the tick at which it must be looked at. A deadline moved later is only noticed there,
    and the thing is laid into a later slot; a deadline moved earlier needs `watch` again.

    `take_time` is called with each new `clock.now`: whoever needs a sum with it for many things forms it there, once.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop, take_time: Callable[[float], object] | None = None) -> None:
        self._loop = loop
        self._take_time = take_time
        self._slots: dict[int, set[Expiring]] = {}
        self._timer: asyncio.TimerHandle | None = None
        self._next_slot = 0
        self._last_slot = -1

    def start(self) -> None:
        """Begin to turn. Turning twice is turning once."""
        global _turning
        if self._timer is None:
            if _turning == 0:
                coarse.begin()
            _turning += 1
            self._next_slot = int(self._advance() / TICK_S) + 1
            self._timer = self._loop.call_later(TICK_S, self._tick)

    def stop(self) -> None:
        """Stop turning: nothing expires any more."""
        global _turning
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
            _turning -= 1
            if _turning == 0:
                coarse.end()

    @property
    def is_turning(self) -> bool:
        """Whether the wheel was started and not stopped."""
        return self._timer is not None

    def watch(self, thing: Expiring, deadline: float) -> None:
        """Set the deadline of `thing`, in seconds of `clock.now`, and look at it when that has passed.

        Only needed for a first deadline, or for one earlier than the last that was set this way.
        """
        thing.deadline = deadline
        slot = max(int(deadline / TICK_S) + 1, self._next_slot)
        if thing.wheel_slot != slot:
            self.forget(thing)
            self._lay(thing, slot)

    def forget(self, thing: Expiring) -> None:
        """Stop watching; nothing happens if it was not watched."""
        slot = self._slots.get(thing.wheel_slot)
        if slot is not None:
            slot.discard(thing)
            if not slot:
                del self._slots[thing.wheel_slot]
        thing.wheel_slot = -1

    def _lay(self, thing: Expiring, slot: int) -> None:
        if slot == self._last_slot:
            slot = self._last_slot  # one number for thousands of connections, and not one for each: 32 bytes
        else:
            self._last_slot = slot
        thing.wheel_slot = slot
        things = self._slots.get(slot)
        if things is None:
            self._slots[slot] = {thing}
        else:
            things.add(thing)

    def _tick(self) -> None:
        instant = self._advance()
        self._timer = self._loop.call_later(TICK_S, self._tick)
        self.turn(instant)

    def _advance(self) -> float:
        instant = coarse.advance()
        if self._take_time is not None:
            self._take_time(instant)
        return instant

    def turn(self, instant: float) -> None:
        """Look at everything that is due at `instant`; the timer does this, tests do it by hand."""
        current = int(instant / TICK_S)
        # A loop that was blocked skips slots, so go through all of them up to now.
        while self._next_slot <= current:
            slot = self._next_slot
            self._next_slot += 1
            for thing in self._slots.pop(slot, ()):
                self._look_at(thing, instant)

    def _look_at(self, thing: Expiring, instant: float) -> None:
        if thing.deadline > instant:
            # Without a deadline at present: look again in a minute, it may have got one without telling us.
            wait_s = min(thing.deadline - instant, 60.0)
            self._lay(thing, max(int((instant + wait_s) / TICK_S) + 1, self._next_slot))
            return
        thing.wheel_slot = -1
        thing.expire()
