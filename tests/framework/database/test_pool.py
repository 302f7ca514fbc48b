"""The pool against a real server that is killed, started again, and asked by many at once."""

import asyncio
import re
import time
import tracemalloc
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import aclosing, asynccontextmanager
from typing import Any

import pytest

from framework.database import (
    Address,
    AnswerTooLarge,
    Connection,
    DatabaseError,
    DatabaseUnavailable,
    IntegrityError,
    Pool,
    PoolTimeout,
    Row,
    Transaction,
)
from framework.testing import exchange, serving
from framework.web import Application, RequestHandler
from tests.support.mysql import Server

# Nothing fits, of 10 billion combinations.
ENDLESS = "SELECT COUNT(*) FROM {0} a, {0} b, {0} c, {0} d WHERE a.ID + b.ID + c.ID + d.ID = -1".format(
    "information_schema.COLLATIONS"
)
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
        slow = asyncio.create_task(pool.query(ENDLESS))
        await asyncio.sleep(0)
        with pytest.raises(PoolTimeout, match="all 1 connections were busy"):
            await pool.query("SELECT 1")
        with pytest.raises(PoolTimeout, match=r"no answer within|time exceeded"):
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


AT_ONCE, LOCKED, PLAIN = "at once", "locked", "plain"


@pytest.mark.parametrize(
    ("way", "isolation"),
    [(AT_ONCE, ""), (AT_ONCE, "READ COMMITTED"), (LOCKED, ""), (LOCKED, "READ COMMITTED"), (PLAIN, "SERIALIZABLE")],
)
def test_no_update_is_lost(mysql_server: Server, way: str, isolation: str) -> None:
    async def add(tx: Transaction) -> None:
        if way == AT_ONCE:
            await tx.execute("UPDATE items SET n = n + 1 WHERE id = 1")
            return
        row = await tx.get("SELECT n FROM items WHERE id = 1" + (" FOR UPDATE" if way == LOCKED else ""))
        assert row is not None
        await asyncio.sleep(0)
        await tx.execute("UPDATE items SET n = %s WHERE id = 1", row.n + 1)

    async def scenario(pool: Pool) -> None:
        await pool.execute("INSERT INTO items (id, n) VALUES (1, 0)")
        await asyncio.gather(*(pool.run_transaction(add, isolation, attempts=200) for _ in range(30)))
        assert await pool.get("SELECT n FROM items") == {"n": 30}

    _run(mysql_server, scenario, acquire_timeout_s=30)


async def _list_statements(pool: Pool, like: str) -> list[Row]:
    """The statements that run on the server now, but this one."""
    query = "SELECT INFO FROM information_schema.PROCESSLIST WHERE INFO LIKE %s AND ID <> CONNECTION_ID()"
    return await pool.query(query, like)


def test_abandoned_statement_does_not_go_on_running(mysql_server: Server) -> None:
    async def scenario(pool: Pool) -> None:
        await pool.execute("INSERT INTO items (name, n) VALUES ('kept', 1)")
        tasks = [asyncio.create_task(pool.query(ENDLESS)) for _ in range(3)]
        # MySQL gives a statement that writes no limit of time.
        tasks.append(asyncio.create_task(pool.execute("UPDATE items SET n = 2 WHERE SLEEP(100) = 0")))
        while len(await _list_statements(pool, "%_a, %")) + len(await _list_statements(pool, "UPDATE items%")) < 4:
            pass
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        while await _list_statements(pool, "%_a, %") or await _list_statements(pool, "UPDATE items%"):
            pass
        assert await pool.get("SELECT n FROM items") == {"n": 1}

    _run(mysql_server, scenario, statement_timeout_s=60)


def test_server_ends_what_takes_too_long_and_nothing_is_written(mysql_server: Server) -> None:
    async def scenario(pool: Pool) -> None:
        await pool.execute("INSERT INTO items (name, n) VALUES ('kept', 1)")
        before = await pool.get("SELECT CONNECTION_ID() AS id")
        with pytest.raises(PoolTimeout, match="exceeded") as caught:
            await pool.query(ENDLESS)
        assert not caught.value.is_outcome_unknown
        assert await pool.get("SELECT CONNECTION_ID() AS id") == before
        if mysql_server.kind == "mariadb":
            with pytest.raises(PoolTimeout, match="exceeded") as caught:
                await pool.execute("UPDATE items SET n = 2 WHERE SLEEP(100) = 0")
            assert not caught.value.is_outcome_unknown
        assert await pool.get("SELECT n FROM items") == {"n": 1}

    _run(mysql_server, scenario, size=1, statement_timeout_s=1)


def test_slow_statement_is_logged_with_the_request_but_without_values(
    mysql_server: Server, caplog: pytest.LogCaptureFixture
) -> None:
    async def scenario(pool: Pool) -> None:
        class Slow(RequestHandler):
            async def get(self) -> None:
                await pool.query("SELECT\n  SLEEP(0.03), %s", "a secret")
                self.write("ok")

        class Prepared(RequestHandler):
            async def prepare(self) -> None:
                await pool.query("SELECT SLEEP(0.04)")

            def get(self) -> None:
                self.write("ok")

        async with serving(Application([("/", Slow), ("/prepared", Prepared)])) as port:
            for path, headers in (("/", {"X-Request-ID": "r-17"}), ("/prepared", {"X-Request-ID": "r-18"}), ("/", {})):
                assert (await exchange(port, path, headers=headers)).text == "ok"

    with caplog.at_level("WARNING", "framework.general"):
        _run(mysql_server, scenario, slow_s=0.02)
    told = [(record.getMessage(), record.__dict__.get("request_id")) for record in caplog.records]
    place = re.escape(f"database test at {mysql_server.socket}: slow statement, ")
    assert re.fullmatch(place + r"[\d.]+ s \(request r-17\): SELECT SLEEP\(0.03\), %s", told[0][0])
    assert re.fullmatch(place + r"[\d.]+ s \(request r-18\): SELECT SLEEP\(0.04\)", told[1][0])
    assert re.fullmatch(place + r"[\d.]+ s: SELECT SLEEP\(0.03\), %s", told[2][0])
    assert [identity for _, identity in told] == ["r-17", "r-18", None]


def test_iter_takes_constant_memory_and_the_server_waits_for_a_slow_reader(mysql_server: Server) -> None:
    async def scenario(pool: Pool) -> None:
        await pool.executemany(
            "INSERT INTO items (id, name) VALUES (%s, %s)", [(n, f"{n:064}") for n in range(1, 1001)]
        )
        count = 0
        tracemalloc.start()
        # 3 MB of a million rows; 20 MB as dictionaries.
        async for row in pool.iter("SELECT a.id, b.name FROM items a, items b LIMIT %(most)s", most=40_000):
            count += 1
            assert len(row.name) == 64
            if count == 1000:
                before = await _list_statements(pool, "SELECT a.id, b.name%")
                assert before, "the server should wait until the rest is taken"
                tracemalloc.reset_peak()
                base, _ = tracemalloc.get_traced_memory()
        _, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        assert count == 40_000
        assert peak - base < 3_000_000
        assert await pool.get("SELECT 1 AS one") == {"one": 1}

    _run(mysql_server, scenario, size=2)


def test_iter_that_is_left_early_or_fails_leaves_a_clean_pool(mysql_server: Server) -> None:
    endless = "SELECT a.COLLATION_NAME FROM {0} a, {0} b, {0} c".format("information_schema.COLLATIONS")

    async def scenario(pool: Pool) -> None:
        async with aclosing(pool.iter(endless)) as rows:
            async for row in rows:
                assert row.COLLATION_NAME
                break
        assert await pool.get("SELECT 1 AS one") == {"one": 1}
        while await _list_statements(pool, "SELECT a.COLLATION_NAME%"):
            pass
        for query, error in (("SELEC %s", DatabaseError), ("SELECT %s, %s", TypeError)):
            with pytest.raises(error):
                assert [row async for row in pool.iter(query, 1)]
            assert await pool.get("SELECT 2 AS two") == {"two": 2}
        assert [row async for row in pool.iter("SELECT 1 AS one WHERE 1 = 0")] == []
        assert [row async for row in pool.iter("SET @a = 1")] == []
        async with pool.transaction() as tx:
            await tx.execute("INSERT INTO items (name) VALUES ('seen')")
            assert [row.name async for row in tx.iter("SELECT name FROM items")] == ["seen"]
        limit = "max_statement_time" if mysql_server.kind == "mariadb" else "max_execution_time"
        limited = await pool.get(f"SELECT @@{limit} AS most, @@net_write_timeout AS patience")
        assert limited == {"most": 9.0 if mysql_server.kind == "mariadb" else 9000, "patience": 60}

    _run(mysql_server, scenario, size=1)


def test_iter_over_a_server_that_dies_is_unavailable(mysql_server: Server) -> None:
    async def scenario(pool: Pool) -> None:
        count = 0
        with pytest.raises(DatabaseUnavailable):
            async for _ in pool.iter("SELECT a.id FROM items a, items b"):
                count += 1
                if count == 10:
                    await asyncio.to_thread(mysql_server.kill)
        assert count < 1_000_000
        await asyncio.to_thread(mysql_server.start)
        assert await pool.get("SELECT 1 AS one") == {"one": 1}

    async def prepare() -> None:
        async with _pool(mysql_server) as pool:
            await pool.executemany("INSERT INTO items (id) VALUES (%s)", [(n,) for n in range(1, 1001)])
            await scenario(pool)

    asyncio.run(prepare())


def test_answer_that_is_too_large_is_refused_and_the_pool_goes_on(mysql_server: Server) -> None:
    async def scenario(pool: Pool) -> None:
        with pytest.raises(AnswerTooLarge, match="more than 100000 bytes: ask for less, or use iter"):
            await pool.query("SELECT REPEAT('x', 200000)")
        assert await pool.get("SELECT 1 AS one") == {"one": 1}
        assert [len(row.x) async for row in pool.iter("SELECT REPEAT('x', 200000) AS x")] == [200_000]

    _run(mysql_server, scenario, size=1, max_answer_bytes=100_000)


def test_values_and_results_beyond_16_mb_and_beyond_the_servers_limit(mysql_server: Server) -> None:
    async def scenario(pool: Pool) -> None:
        long = "é" * (9 << 20)
        row = await pool.get("SELECT %s AS v", long)
        assert row is not None and row.v == long
        with pytest.raises((DatabaseError, DatabaseUnavailable)):
            await pool.execute("SELECT LENGTH(%s)", "x" * (65 << 20))
        assert await pool.get("SELECT 1 AS one") == {"one": 1}

    _run(mysql_server, scenario, size=1)


def test_procedure_gives_its_first_result(mysql_server: Server) -> None:
    async def scenario(pool: Pool) -> None:
        await pool.execute("DROP PROCEDURE IF EXISTS two_results")
        await pool.execute("CREATE PROCEDURE two_results() BEGIN SELECT 1 AS a; SELECT 2 AS b; END")
        assert await pool.query("CALL two_results()") == [{"a": 1}]
        assert await pool.query("SELECT 3 AS c") == [{"c": 3}]
        with pytest.raises(DatabaseError, match="syntax"):
            await pool.query("SELECT 1; SELECT 2")  # never two statements in one: so no second one can be slipped in
        with pytest.raises(DatabaseError):
            await pool.execute("LOAD DATA LOCAL INFILE '/etc/passwd' INTO TABLE items")

    _run(mysql_server, scenario, size=1)


def test_session_whose_backslashes_escape_nothing(mysql_server: Server) -> None:
    async def scenario(pool: Pool) -> None:
        await pool.execute("SET SESSION sql_mode = 'NO_BACKSLASH_ESCAPES'")
        assert await pool.get("SELECT %s AS v", "\\' OR 1=1 -- ") == {"v": "\\' OR 1=1 -- "}

    _run(mysql_server, scenario, size=1)


def test_transaction_runs_one_statement_at_a_time(mysql_server: Server) -> None:
    async def scenario(pool: Pool) -> None:
        async with pool.transaction() as tx:
            both = await asyncio.gather(tx.query("SELECT 1"), tx.query("SELECT 2"), return_exceptions=True)
            assert both[0] == [{"1": 1}] and "one statement at a time" in str(both[1])

    _run(mysql_server, scenario, size=1)


def test_transaction_cut_off_says_what_is_known(mysql_server: Server) -> None:
    async def scenario(pool: Pool) -> None:
        with pytest.raises(DatabaseUnavailable) as caught:
            async with pool.transaction() as tx:
                await tx.execute("INSERT INTO items (name) VALUES ('never')")
                identity = await tx.get("SELECT CONNECTION_ID() AS id")
                assert identity is not None
                with mysql_server.connect_as_root() as root, root.cursor() as cursor:
                    cursor.execute(f"KILL {identity.id}")
                await tx.execute("INSERT INTO items (name) VALUES ('neither')")
        assert not caught.value.is_outcome_unknown  # nothing was committed, so nothing happened
        assert await pool.query("SELECT * FROM items") == []

    _run(mysql_server, scenario, size=1)


def test_pool_follows_its_caller_to_another_loop(mysql_server: Server) -> None:
    pool = Pool(Address(mysql_server.socket, "test", "test", "secret"))
    for _ in range(3):
        assert asyncio.run(pool.get("SELECT 1 AS one")) == {"one": 1}
    asyncio.run(pool.close())
    with pytest.raises(DatabaseUnavailable, match="the pool is closed"):
        asyncio.run(pool.query("SELECT 1"))


def test_pool_of_a_loop_that_runs_is_not_taken_by_another(mysql_server: Server) -> None:
    async def scenario(pool: Pool) -> None:
        await pool.ping()
        with pytest.raises(RuntimeError, match="belongs to one loop"):
            await asyncio.to_thread(lambda: asyncio.run(pool.ping()))
        await pool.ping()

    _run(mysql_server, scenario, size=1)


def test_pool_leaves_a_loop_that_stands_still(mysql_server: Server) -> None:
    pool = Pool(Address(mysql_server.socket, "test", "test", "secret"))
    first, second = asyncio.new_event_loop(), asyncio.new_event_loop()
    for loop in (first, second, first):
        assert loop.run_until_complete(pool.get("SELECT 1 AS one")) == {"one": 1}
    first.run_until_complete(pool.close())
    first.close()
    second.close()


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
                    assert time.monotonic() - begun < 12  # two turns and a connection at most: nobody hangs
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
