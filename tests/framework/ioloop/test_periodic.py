import asyncio
from datetime import timedelta

import pytest

from framework.ioloop import IOLoop, PeriodicCallback
from framework.ioloop.periodic import next_due


@pytest.mark.parametrize(
    "last, now, period, due",
    [(0, 0, 1, 1), (0, 0.5, 1, 1), (0, 1, 1, 2), (0, 2.5, 1, 3), (10, 10.25, 0.5, 10.5), (0, 100.25, 0.5, 100.5)],
)
def test_next_due_neither_drifts_nor_catches_up(last, now, period, due):
    assert next_due(last, now, period) == due


def test_calls_again_until_stopped():
    async def main():
        calls = []
        third = asyncio.Event()

        def tick():
            calls.append(1)
            if len(calls) == 3:
                periodic.stop()
                third.set()

        periodic = PeriodicCallback(tick, 1)
        periodic.start()
        assert periodic.is_running()
        await asyncio.wait_for(third.wait(), 5)
        assert not periodic.is_running()

    asyncio.run(main())


def test_goes_on_after_an_exception(caplog):
    async def main():
        third = asyncio.Event()
        calls = []

        def tick():
            calls.append(1)
            if len(calls) == 3:
                third.set()
            raise OSError("tick")

        periodic = PeriodicCallback(tick, timedelta(milliseconds=1), jitter=0.5)
        periodic.start()
        await asyncio.wait_for(third.wait(), 5)
        periodic.stop()

    asyncio.run(main())
    assert "OSError: tick" in caplog.text


def test_waits_for_an_asynchronous_callback():
    async def main():
        inside, most = 0, 0
        calls = []
        done = asyncio.Event()

        async def tick():
            nonlocal inside, most
            inside += 1
            most = max(most, inside)
            await asyncio.sleep(0.003)
            inside -= 1
            calls.append(1)
            if len(calls) == 3:
                done.set()

        periodic = PeriodicCallback(tick, 1)
        periodic.start()
        await asyncio.wait_for(done.wait(), 5)
        periodic.stop()
        assert most == 1

    asyncio.run(main())


def test_takes_the_loop_in_third_place_as_in_1_2_1():
    async def main():
        loop = IOLoop.current()
        assert PeriodicCallback(print, 1000, loop).io_loop is loop

    asyncio.run(main())


def test_period_must_be_positive():
    with pytest.raises(ValueError, match="expected more than 0 ms"):
        PeriodicCallback(print, 0)
