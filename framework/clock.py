"""One coarse clock: the Date header of all answers, and the time-outs of all connections.

Asking the kernel for the time and formatting it costs more than parsing a request, so a running `Wheel` does both a few
times a second and everybody reads the result:

    clock.now        seconds of the loop's clock (monotonic), at most TICK_S old while a wheel turns
    clock.http_date  the same instant as an HTTP-date (RFC 9110 §5.6.7), as bytes, renewed each second
    clock.version    grows by one with each new `http_date`: what is derived from it is rebuilt when this differs

While no wheel turns (a unit test, a script) the three names do not exist as globals, and the module's `__getattr__`
takes the true time instead: right, only slower.

A `Wheel` also holds whatever may time out. What lost: `loop.call_later` per connection. A busy connection moves its
deadline with each request; moving a timer costs a heap operation and an object, moving a deadline costs one attribute.
"""

import asyncio
import time
from email.utils import formatdate
from typing import Protocol

TICK_S = 0.25

now: float
http_date: bytes
version: int

_turning = 0
_second = 0


class Expiring(Protocol):
    """Something with a deadline, in seconds of `clock.now`; infinite if it has none at present."""

    deadline: float
    wheel_slot: int

    def expire(self) -> None:
        """Called on the loop once the deadline has passed; sets a later deadline or leaves the wheel."""


def __getattr__(name: str) -> object:
    """The current value of a name above while no wheel turns.

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


def format_http_date(unix_time: float) -> bytes:
    """The HTTP-date (IMF-fixdate) of a Unix time in seconds."""
    return formatdate(unix_time, usegmt=True).encode("ascii")


def _advance() -> float:
    """Seconds of the monotonic clock, after setting the module's three names to this instant."""
    global now, http_date, version, _second
    now = time.monotonic()
    second = int(time.time())
    if second != _second:
        http_date = format_http_date(second)
        version = _second = second
    return now


class Wheel:
    """Deadlines of many things, looked at once per tick, and the heartbeat of the module's three names.

    A thing lies in the slot of the tick at which it must be looked at. A deadline moved later is only noticed there,
    and the thing is laid into a later slot; a deadline moved earlier needs `watch` again.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._slots: dict[int, set[Expiring]] = {}
        self._timer: asyncio.TimerHandle | None = None
        self._next_slot = 0

    def start(self) -> None:
        """Begin to turn. Turning twice is turning once."""
        global _turning, _second
        if self._timer is None:
            if _turning == 0:
                _second = 0  # the names are gone: set all of them
            _turning += 1
            self._next_slot = int(_advance() / TICK_S) + 1
            self._timer = self._loop.call_later(TICK_S, self._tick)

    def stop(self) -> None:
        """Stop turning: nothing expires any more."""
        global _turning
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
            _turning -= 1
            if _turning == 0:
                for name in ("now", "http_date", "version"):
                    globals().pop(name, None)

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
        thing.wheel_slot = slot
        things = self._slots.get(slot)
        if things is None:
            self._slots[slot] = {thing}
        else:
            things.add(thing)

    def _tick(self) -> None:
        instant = _advance()
        self._timer = self._loop.call_later(TICK_S, self._tick)
        self.turn(instant)

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
