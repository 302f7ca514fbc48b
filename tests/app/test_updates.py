"""One event reaches everyone who waits, on every frontend, and after the bus or the database was away."""

import asyncio
import time

from app.updates import Updates
from framework.database import Address, Connection
from tests.app.conftest import serving
from tests.support.valkey import Server as Bus


def test_event_reaches_ten_thousand_waiting_pages(database: Address) -> None:
    async def scenario() -> None:
        async with serving(database) as application:
            updates: Updates = application.updates
            user, _ = await application.feed.sign_in("Ada")
            await application.feed.post_entry(user, "client-0", "first")
            updates.announce()
            start = (await updates.after(0, 5) or [])[-1]["seq"]
            tasks = [asyncio.create_task(updates.after(start, 30)) for _ in range(10_000)]
            while updates.waiting < len(tasks):
                await asyncio.sleep(0)
            await application.feed.post_entry(user, "client-1", "second")
            begun = time.monotonic()
            updates.announce()
            for events in await asyncio.gather(*tasks):
                assert [event["entry"]["text"] for event in events] == ["second"]
            assert time.monotonic() - begun < 5

    asyncio.run(scenario())


def test_event_crosses_frontends_through_the_bus(database: Address, valkey_server: Bus) -> None:
    async def scenario() -> None:
        async with serving(database, valkey_server.socket) as one, serving(database, valkey_server.socket) as two:
            waiting = asyncio.create_task(two.updates.after(0, 5))
            while not two.updates.waiting:
                await asyncio.sleep(0)
            await one.feed.post_entry((await one.feed.sign_in("Ada"))[0], "client-0", "hello")
            one.updates.announce()
            assert [event["entry"]["text"] for event in await waiting] == ["hello"]

    asyncio.run(scenario())


def test_sequence_numbers_have_the_order_of_the_commits(database: Address) -> None:
    """A reader that follows while many write never sees a number whose predecessors it can't see."""

    async def scenario() -> None:
        async with serving(database) as application:
            feed = application.feed
            user, _ = await feed.sign_in("Ada")
            writers = [asyncio.create_task(feed.post_entry(user, f"client-{n}", str(n))) for n in range(100)]
            seen: list[int] = []
            while len(seen) < 100:
                seen += [event["seq"] for event in await feed.events_after(seen[-1] if seen else 0)]
            await asyncio.gather(*writers)
            assert seen == list(range(1, 101))

    asyncio.run(scenario())


def test_closing_answers_those_who_wait(database: Address) -> None:
    async def scenario() -> None:
        async with serving(database) as application:
            waiting = asyncio.create_task(application.updates.after(0, 30))
            while not application.updates.waiting:
                await asyncio.sleep(0)
        assert await waiting == []

    asyncio.run(scenario())


def test_nobody_waits_when_there_is_nothing_new_and_no_time(database: Address) -> None:
    async def scenario() -> None:
        async with serving(database) as application:
            assert await application.updates.after(0, 0) == []
            assert await application.updates.after(0, 0.01) == []

    asyncio.run(scenario())


def test_tail_serves_what_the_database_no_longer_has(database: Address) -> None:
    async def scenario() -> None:
        async with serving(database) as application:
            user, _ = await application.feed.sign_in("Ada")
            await application.feed.post_entry(user, "client-0", "kept")
            application.updates.announce()
            assert await application.updates.after(0, 5)
            db = Connection(database.host, database.database, database.user, database.password)
            await asyncio.to_thread(db.execute, "DELETE FROM events")
            assert [event["entry"]["text"] for event in await application.updates.after(0, 0)] == ["kept"]
            db.close()

    asyncio.run(scenario())


def test_restored_backup_is_noticed_by_frontends_and_pages(database: Address) -> None:
    """Numbers are given a second time then: nobody may wait for those that were given before."""

    async def scenario() -> None:
        async with serving(database) as application:
            updates: Updates = application.updates
            user, _ = await application.feed.sign_in("Ada")
            for n in range(3):
                await application.feed.post_entry(user, f"client-{n}", str(n))
            updates.announce()
            seen: list[int] = []
            while len(seen) < 3:  # the reader may look between two entries
                seen += [event["seq"] for event in await updates.after(seen[-1] if seen else 0, 5) or []]
            assert seen == [1, 2, 3]
            waiting = asyncio.create_task(updates.after(3, 30))
            await application.pool.execute("DELETE FROM events WHERE seq > 1")
            await application.pool.execute("UPDATE sequences SET value = 1")
            updates.announce()
            assert await waiting is None
            assert await updates.after(3, 30) is None
            assert updates.latest == 1
            waiting = asyncio.create_task(updates.after(1, 30))
            await application.feed.post_entry(user, "client-9", "after the restore")
            updates.announce()
            assert [event["entry"]["text"] for event in await waiting or []] == ["after the restore"]

    asyncio.run(scenario())
