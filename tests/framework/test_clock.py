import asyncio
import math
import time

import pytest

from framework import clock


class Thing:
    def __init__(self):
        self.deadline = math.inf
        self.wheel_slot = -1
        self.expired = 0

    def expire(self):
        self.expired += 1


@pytest.fixture
def wheel():
    loop = asyncio.new_event_loop()
    wheel = clock.Wheel(loop)
    wheel.start()
    yield wheel
    wheel.stop()
    loop.close()


def test_names_are_true_while_no_wheel_turns():
    assert abs(clock.now - time.monotonic()) < 1
    assert clock.http_date == clock.format_http_date(time.time())
    with pytest.raises(AttributeError):
        clock.later  # noqa: B018


def test_http_date_is_imf_fixdate():
    assert clock.format_http_date(784111777) == b"Sun, 06 Nov 1994 08:49:37 GMT"


def test_thing_expires_once_its_deadline_has_passed(wheel):
    thing = Thing()
    start = clock.now
    wheel.watch(thing, start + 10)
    wheel.turn(start + 9)
    assert thing.expired == 0
    wheel.turn(start + 10.5)
    wheel.turn(start + 20)
    assert thing.expired == 1


def test_deadline_moved_later_needs_no_telling(wheel):
    thing = Thing()
    start = clock.now
    wheel.watch(thing, start + 1)
    thing.deadline = start + 100
    wheel.turn(start + 60)
    assert thing.expired == 0
    wheel.turn(start + 101)
    assert thing.expired == 1


def test_deadline_moved_earlier_is_told(wheel):
    thing = Thing()
    start = clock.now
    wheel.watch(thing, start + 100)
    wheel.watch(thing, start + 1)
    wheel.turn(start + 2)
    assert thing.expired == 1


def test_forgotten_thing_never_expires(wheel):
    thing = Thing()
    wheel.watch(thing, clock.now + 1)
    wheel.forget(thing)
    wheel.forget(thing)
    wheel.turn(clock.now + 50)
    assert thing.expired == 0
    assert not wheel._slots


def test_thing_without_deadline_is_looked_at_seldom(wheel):
    thing = Thing()
    start = clock.now
    wheel.watch(thing, start + 1)
    thing.deadline = math.inf
    wheel.turn(start + 2)
    thing.deadline = start + 70
    wheel.turn(start + 71)
    assert thing.expired == 1


def test_who_forms_sums_with_the_time_is_told_it_at_each_tick():
    loop = asyncio.new_event_loop()
    told = []
    is_third = loop.create_future()

    def take_time(now):
        told.append(now)
        assert now == clock.now
        if len(told) == 3:
            is_third.set_result(None)

    wheel = clock.Wheel(loop, take_time)
    wheel.start()
    try:
        assert len(told) == 1
        loop.run_until_complete(asyncio.wait_for(is_third, 30))
        assert told == sorted(set(told))
    finally:
        wheel.stop()
        loop.close()
