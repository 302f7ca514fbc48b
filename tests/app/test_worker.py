"""The worker against a real database, and without one."""

import asyncio

import pytest

from app import worker
from framework.database import Address, Pool
from tests.app.conftest import serving


def test_old_events_are_forgotten(database: Address, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(worker, "KEEP_EVENTS", 3)

    async def scenario() -> None:
        async with serving(database) as application:
            user, _ = await application.feed.sign_in("Ada")
            for n in range(5):
                await application.feed.post_entry(user, f"client-{n}", str(n))
            assert await worker.forget_old_events(application.pool) == 2
            assert await worker.forget_old_events(application.pool) == 0

    asyncio.run(scenario())


def test_worker_outlives_an_absent_database_and_stops_when_told() -> None:
    async def scenario() -> None:
        pool, stopping = Pool(Address("/nowhere", "test")), asyncio.Event()
        running = asyncio.create_task(worker.run(pool, stopping))
        await asyncio.sleep(0.05)
        assert not running.done()
        stopping.set()
        await running
        await pool.close()

    asyncio.run(scenario())
