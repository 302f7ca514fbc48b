"""Replacing the code of all frontends under load: nothing is lost, nothing doubled, counted in the database."""

import asyncio

import pytest

from tests.appliance.conftest import check_writes, make_load
from tests.support.compose import Stack

ROLLS = 10


@pytest.mark.timeout(400)
@pytest.mark.parametrize(
    "targets", [("/hello", "/", "/about"), ("/hello", "/test/block?ms=30")], ids=["quick", "blocking"]
)
def test_ten_rolls_under_load_lose_and_double_nothing(stack: Stack, targets: tuple[str, ...]) -> None:
    async def scenario() -> None:
        load = make_load(stack, *targets)
        async with load:
            await load.answers(50)
            for _ in range(ROLLS):
                await asyncio.to_thread(stack.run, "app", "appctl", "roll")
                await load.answers(20)
        print(load.account)
        assert not load.account.lost and not load.account.refused, str(load.account)
        assert load.account.acknowledged_ids == load.account.sent_ids
        check_writes(stack, load)

    asyncio.run(scenario())


def test_hold_lets_requests_wait_and_resume_answers_them(stack: Stack) -> None:
    async def scenario() -> None:
        load = make_load(stack)
        async with load:
            await load.answers(50)
            await asyncio.to_thread(stack.run, "app", "appctl", "hold")
            await asyncio.sleep(0.5)
            before = load.account.answered
            await asyncio.sleep(1)
            assert load.account.answered == before
            await asyncio.to_thread(stack.run, "app", "appctl", "resume")
            await load.answers(50)
        assert not load.account.lost and not load.account.refused, str(load.account)
        check_writes(stack, load)

    asyncio.run(scenario())
