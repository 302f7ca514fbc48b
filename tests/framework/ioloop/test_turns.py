import asyncio
import logging
from time import perf_counter

from framework.ioloop.turns import SLICE_S, turns_of


def test_turns_come_in_order_and_not_at_once():
    async def main():
        turns, seen = turns_of(asyncio.get_running_loop()), []
        turns.wait(lambda: seen.append("first"))
        turns.wait(lambda: seen.append("second"))
        assert seen == []
        await asyncio.sleep(0)
        assert seen == ["first", "second"]

    asyncio.run(main())


def test_all_turns_together_get_a_slice_of_each_round():
    async def main():
        turns, seen = turns_of(asyncio.get_running_loop()), []

        def turn():
            seen.append(1)
            end = perf_counter() + SLICE_S
            while perf_counter() < end:
                pass

        for _ in range(3):
            turns.wait(turn)
        rounds = 0
        while len(seen) < 3:
            await asyncio.sleep(0)
            rounds += 1
            assert len(seen) <= rounds
        assert rounds == 3

    asyncio.run(main())


def test_turn_that_fails_takes_nobody_elses(caplog):
    async def main():
        turns, seen = turns_of(asyncio.get_running_loop()), []
        turns.wait(lambda: 1 / 0)
        turns.wait(lambda: seen.append(1))
        await asyncio.sleep(0)
        assert seen == [1]

    with caplog.at_level(logging.CRITICAL, "framework.application"):
        asyncio.run(main())


def test_work_is_done_in_its_turn_unless_nobody_wants_it_any_more():
    async def main():
        turns, seen = turns_of(asyncio.get_running_loop()), []
        wanted, unwanted = turns.do(lambda: seen.append(1) or 7), turns.do(lambda: seen.append(2))
        unwanted.cancel()
        assert await wanted == 7
        assert seen == [1]

    asyncio.run(main())


def test_one_for_each_loop():
    async def main():
        loop = asyncio.get_running_loop()
        assert turns_of(loop) is turns_of(loop)
        return turns_of(loop)

    assert asyncio.run(main()) is not asyncio.run(main())
