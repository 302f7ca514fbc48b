"""The pool against a real server that is killed, started again, and asked by many at once."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from typing import Any

import pytest

from framework.database import Address, Connection, DatabaseUnavailable, IntegrityError, Pool, PoolTimeout
from tests.support.mysql import Server

Scenario = Callable[[Pool], Coroutine[Any, Any, None]]


@asynccontextmanager
async def _pool(server: Server, **settings: Any) -> AsyncIterator[Pool]:
    db = Connection(server.socket, "test", "test", "secret")
    db.execute("CREATE TABLE IF NOT EXISTS items (id INT PRIMARY KEY AUTO_INCREMENT, name VARCHAR(64) UNIQUE, n INT)")
    db.execute("TRUNCATE items")
    db.close()
    pool = Pool(Address(server.socket, "test", "test", "secret"), **settings)
    try:
        yield pool
    finally:
        await pool.close()


def _run(server: Server, scenario: Scenario, **settings: Any) -> None:
    async def run() -> None:
        async with _pool(server, **settings) as pool:
            await scenario(pool)

    asyncio.run(run())


def test_statements(mysql_server: Server) -> None:
    async def scenario(pool: Pool) -> None:
        first = await pool.execute("INSERT INTO items (name, n) VALUES (%s, %s)", "a", 1)
        await pool.executemany("INSERT INTO items (name, n) VALUES (%s, %s)", [("b", 2), ("c", 3)])
        assert [row.name for row in await pool.query("SELECT * FROM items ORDER BY id")] == ["a", "b", "c"]
        assert (await pool.get("SELECT n FROM items WHERE id = %(id)s", id=first)) == {"n": 1}
        assert await pool.execute_rowcount("UPDATE items SET n = n + 1") == 3
        with pytest.raises(IntegrityError):
            await pool.execute("INSERT INTO items (name) VALUES ('a')")
        await pool.ping()

    _run(mysql_server, scenario)


def test_transaction_commits_and_rolls_back(mysql_server: Server) -> None:
    async def scenario(pool: Pool) -> None:
        async with pool.transaction(isolation="READ COMMITTED") as tx:
            await tx.execute("INSERT INTO items (name) VALUES ('kept')")
        with pytest.raises(RuntimeError):
            async with pool.transaction() as tx:
                await tx.execute("INSERT INTO items (name) VALUES ('undone')")
                raise RuntimeError
        assert [row.name for row in await pool.query("SELECT name FROM items")] == ["kept"]
        with pytest.raises(ValueError, match="isolation"):
            async with pool.transaction(isolation="NONE; DROP TABLE items"):
                pass

    _run(mysql_server, scenario, size=1)


def test_loop_is_not_blocked_and_turns_are_taken_in_order(mysql_server: Server) -> None:
    async def scenario(pool: Pool) -> None:
        order: list[int] = []

        async def ask(n: int) -> None:
            await pool.query("SELECT SLEEP(0.02)")
            order.append(n)

        tasks = [asyncio.create_task(ask(n)) for n in range(6)]
        turns = 0
        while not all(task.done() for task in tasks):
            await asyncio.sleep(0)
            turns += 1
        assert order == sorted(order)
        assert turns > 100  # the loop went on turning while the statements slept

    _run(mysql_server, scenario, size=1)


def test_busy_pool_and_slow_statement_time_out(mysql_server: Server) -> None:
    async def scenario(pool: Pool) -> None:
        slow = asyncio.create_task(pool.query("SELECT SLEEP(5)"))
        await asyncio.sleep(0)
        with pytest.raises(PoolTimeout, match="all 1 connections were busy"):
            await pool.query("SELECT 1")
        with pytest.raises(PoolTimeout, match=r"no answer within|max_statement_time exceeded"):
            await slow
        assert await pool.get("SELECT 1 AS one") == {"one": 1}

    _run(mysql_server, scenario, size=1, acquire_timeout_s=0.05, statement_timeout_s=0.3)


def test_cancelled_statement_leaves_a_clean_pool(mysql_server: Server) -> None:
    async def scenario(pool: Pool) -> None:
        for _ in range(5):
            task = asyncio.create_task(pool.query("SELECT SLEEP(5)"))
            await asyncio.sleep(0.01)
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
            assert await pool.get("SELECT 2 AS two") == {"two": 2}

    _run(mysql_server, scenario, size=1)


def test_deadlock_is_retried_on_request(mysql_server: Server) -> None:
    async def scenario(pool: Pool) -> None:
        await pool.executemany("INSERT INTO items (id, name, n) VALUES (%s, %s, 0)", [(1, "a"), (2, "b")])

        async def add(first: int, second: int) -> None:
            async def work(tx: Any) -> None:
                await tx.execute("UPDATE items SET n = n + 1 WHERE id = %s", first)
                await asyncio.sleep(0.01)
                await tx.execute("UPDATE items SET n = n + 1 WHERE id = %s", second)

            await pool.run_transaction(work, attempts=10)

        await asyncio.gather(add(1, 2), add(2, 1), add(1, 2), add(2, 1))
        assert [row.n for row in await pool.query("SELECT n FROM items ORDER BY id")] == [4, 4]

    _run(mysql_server, scenario)


def test_killed_server_fails_only_while_away_and_loses_no_acknowledged_write(mysql_server: Server) -> None:
    """200 coroutines write and read through a SIGKILL and a restart of the server."""

    async def scenario(pool: Pool) -> None:
        acknowledged: list[str] = []
        failed_at: list[float] = []
        stop = asyncio.Event()

        async def use(worker: int) -> None:
            turn = 0
            while not stop.is_set():
                name = f"{worker}-{turn}"
                turn += 1
                begun = time.monotonic()
                try:
                    await pool.execute("INSERT INTO items (name) VALUES (%s)", name)
                    acknowledged.append(name)
                    row = await pool.get("SELECT name FROM items WHERE name = %s", name)
                    assert row is not None and row.name == name
                except DatabaseUnavailable:
                    failed_at.append(time.monotonic())
                    assert time.monotonic() - begun < 4
                    await asyncio.sleep(0.05)

        tasks = [asyncio.create_task(use(worker)) for worker in range(200)]
        await asyncio.sleep(0.2)
        await asyncio.to_thread(mysql_server.kill)
        await asyncio.sleep(0.2)
        await asyncio.to_thread(mysql_server.start)
        back_at = time.monotonic()
        count = len(acknowledged)
        while len(acknowledged) < count + 200:
            assert time.monotonic() < back_at + 10, "the pool does not heal"
            await asyncio.sleep(0.01)
        stop.set()
        await asyncio.gather(*tasks)
        assert failed_at and max(failed_at) < back_at + 2
        names = {row.name for row in await pool.query("SELECT name FROM items")}
        assert set(acknowledged) <= names

    _run(mysql_server, scenario, acquire_timeout_s=3)


def test_frozen_server_is_unavailable_within_the_time_limit(mysql_server: Server) -> None:
    async def scenario(pool: Pool) -> None:
        await pool.ping()
        mysql_server.freeze()
        try:
            begun = time.monotonic()
            with pytest.raises(DatabaseUnavailable):
                await pool.ping()
            assert time.monotonic() - begun < 1.5
        finally:
            mysql_server.thaw()
        await pool.ping()

    _run(mysql_server, scenario, statement_timeout_s=0.5)


def test_absent_server_is_unavailable_at_once() -> None:
    async def scenario() -> None:
        pool = Pool(Address("/nowhere", "test"))
        with pytest.raises(DatabaseUnavailable):
            await pool.query("SELECT 1")
        with pytest.raises(DatabaseUnavailable):
            async with pool.transaction():
                pass
        await pool.close()

    asyncio.run(scenario())
