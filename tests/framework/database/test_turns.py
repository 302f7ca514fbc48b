"""Turns in order, connections that come and go, and ten thousand failures that leave nothing behind."""

import asyncio
import gc
import os
import resource
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from framework.database import Address, DatabaseUnavailable, OperationalError, Pool, PoolTimeout
from tests.support.mysql import Server

FAILURES = 2500  # of each of four kinds


@asynccontextmanager
async def _pool(host: str, password: str = "secret", **settings: float) -> AsyncIterator[Pool]:
    address = Address(host, "test", "test", password, connect_timeout_s=settings.pop("connect_timeout_s", 1.5))
    pool = Pool(address, **settings)  # type: ignore[arg-type]
    try:
        yield pool
    finally:
        await pool.close()


def _count() -> tuple[int, int, int, int]:
    """Descriptors, threads, blocks of memory that Python has given out, and bytes that the process holds."""
    gc.collect()
    held = int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    return len(os.listdir("/proc/self/fd")), threading.active_count(), sys.getallocatedblocks(), held


def test_turns_come_in_the_order_of_asking_whatever_connections_do(mysql_server: Server) -> None:
    async def scenario() -> None:
        async with _pool(mysql_server.socket, size=2) as pool:
            order: list[int] = []

            async def ask(number: int) -> None:
                await pool.query("SELECT SLEEP(0.005)")
                order.append(number)

            await asyncio.gather(*map(ask, range(40)))
            # Two at a time: each is at most one place from where it asked.
            assert all(abs(place - number) <= 1 for place, number in enumerate(order)), order

    asyncio.run(scenario())


def test_at_most_size_connections_are_open(mysql_server: Server) -> None:
    async def scenario() -> None:
        async with _pool(mysql_server.socket, size=3) as pool:
            query = "SELECT COUNT(*) AS n FROM information_schema.PROCESSLIST WHERE USER = 'test'"
            found = await asyncio.gather(*(pool.get(query) for _ in range(50)))
            assert max(row.n for row in found if row is not None) <= 3
            assert repr(pool).startswith("<Pool of 3 to ") and repr(pool).endswith(": 3 open, 3 idle, 0 waiting>")

    asyncio.run(scenario())


def test_those_who_no_longer_wait_take_no_turn(mysql_server: Server) -> None:
    async def scenario() -> None:
        async with _pool(mysql_server.socket, size=1) as pool:
            first = asyncio.create_task(pool.query("SELECT SLEEP(0.05)"))
            await asyncio.sleep(0)
            waiting = [asyncio.create_task(pool.execute("SELECT no_such_column")) for _ in range(20)]
            await asyncio.sleep(0)
            for task in waiting:
                task.cancel()
            assert await pool.get("SELECT 1 AS one") == {"one": 1}
            await first
            assert all(task.cancelled() for task in waiting)

    asyncio.run(scenario())


def test_leased_connection_comes_back_whatever_happens(mysql_server: Server) -> None:
    async def scenario() -> None:
        async with _pool(mysql_server.socket, size=1) as pool:

            async def use(inner: str) -> None:
                async with pool.transaction() as tx:
                    await tx.query(inner)
                    await asyncio.sleep(0)

            for turns in range(12):
                task = asyncio.create_task(use("SELECT 1"))
                for _ in range(turns):
                    await asyncio.sleep(0)
                task.cancel()
                await asyncio.gather(task, return_exceptions=True)
                assert await pool.get("SELECT 1 AS one") == {"one": 1}
            with pytest.raises(OperationalError):
                await use("SELECT no_such_column")
            assert await pool.get("SELECT 1 AS one") == {"one": 1}

    asyncio.run(scenario())


def test_server_with_no_connection_to_spare_costs_patience_not_errors(mysql_server: Server) -> None:
    """Another user holds all connections but two: those that the pool has serve all who wait."""

    async def scenario() -> None:
        with mysql_server.connect_as_root() as root, root.cursor() as cursor:
            cursor.execute("SET GLOBAL max_connections = 12")
            try:
                async with _pool(mysql_server.socket, size=40, acquire_timeout_s=10) as pool:
                    await pool.ping()
                    answers = await asyncio.gather(*(pool.get("SELECT SLEEP(0.01), 1 AS one") for _ in range(200)))
                    assert all(row is not None and row.one == 1 for row in answers)
            finally:
                cursor.execute("SET GLOBAL max_connections = 300")

    asyncio.run(scenario())


def test_one_who_waits_for_a_connection_that_never_opens_is_told(doomed: Server) -> None:
    """Another connection lives, but is leased: nobody can serve him, and he must not wait for ever."""

    async def scenario() -> None:
        async with _pool(doomed.socket, size=2, acquire_timeout_s=0.05, connect_timeout_s=0.1) as pool:
            while not await _answers(pool):
                pass
            async with pool.transaction():
                doomed.freeze()
                try:
                    with pytest.raises(PoolTimeout, match="all 2 connections were busy"):
                        await pool.query("SELECT 1")
                finally:
                    doomed.thaw()

    asyncio.run(scenario())


def test_many_whose_values_do_not_fit_are_told_one_by_one(mysql_server: Server) -> None:
    async def scenario() -> None:
        async with _pool(mysql_server.socket, size=1, acquire_timeout_s=30) as pool:
            first = asyncio.create_task(pool.query("SELECT SLEEP(0.05)"))
            wrong = [asyncio.create_task(pool.query("SELECT %s, %s", 1)) for _ in range(3000)]
            right = asyncio.create_task(pool.get("SELECT 1 AS one"))
            answers = await asyncio.gather(first, *wrong, return_exceptions=True)
            assert {type(answer) for answer in answers[1:]} == {TypeError}
            assert await right == {"one": 1}

    asyncio.run(scenario())


def test_closing_waits_for_what_runs_and_refuses_what_waits(mysql_server: Server) -> None:
    async def scenario() -> None:
        async with _pool(mysql_server.socket, size=1) as pool:
            await pool.ping()
            running = asyncio.create_task(pool.get("SELECT SLEEP(0.05), 1 AS one"))
            await asyncio.sleep(0)
            waiting = asyncio.create_task(pool.get("SELECT 2 AS two"))
            await asyncio.sleep(0)
            await pool.close()
            row = await running
            assert row is not None and row.one == 1
            with pytest.raises(DatabaseUnavailable, match="the pool is closed"):
                await waiting
            with pytest.raises(DatabaseUnavailable, match="the pool is closed"):
                await pool.query("SELECT 1")

    asyncio.run(scenario())


@pytest.fixture(scope="module")
def doomed() -> Iterator[Server]:
    """A server of this module's own, which is frozen and killed."""
    with tempfile.TemporaryDirectory(prefix="doomed") as folder:
        server = Server(Path(folder))
        server.install()
        yield server
        server.stop()


def test_ten_thousand_failures_leave_nothing_behind(doomed: Server) -> None:
    async def fail(pool: Pool, expected: type[Exception], count: int) -> None:
        async def once() -> None:
            with pytest.raises(expected):
                await pool.query("SELECT 1")

        for _ in range(count // 50):
            await asyncio.gather(*(once() for _ in range(50)))

    async def scenario(count: int) -> None:
        async with _pool(doomed.socket, "wrong", acquire_timeout_s=60) as pool:
            await fail(pool, OperationalError, count)
        async with _pool("/nowhere", acquire_timeout_s=60) as pool:
            await fail(pool, DatabaseUnavailable, count)
        async with _pool(doomed.socket, statement_timeout_s=0.004, acquire_timeout_s=60, size=25) as pool:
            await asyncio.gather(*(_ignore(pool.query("SELECT SLEEP(1)")) for _ in range(count)))
        doomed.freeze()
        try:
            async with _pool(doomed.socket, connect_timeout_s=0.004, acquire_timeout_s=0.004, size=25) as pool:
                await fail(pool, DatabaseUnavailable, count)
        finally:
            doomed.thaw()
        async with _pool(doomed.socket) as pool:
            while not await _answers(pool):  # it has thousands of connections to look at that nobody wants any more
                pass

    asyncio.run(scenario(FAILURES))  # what is loaded once, and the allocator's arenas: one for each thread
    before = _count()
    begun = time.monotonic()
    asyncio.run(scenario(FAILURES))
    after = _count()
    print(f"{4 * FAILURES} failures in {time.monotonic() - begun:.1f} s: {before} before, {after} after")
    assert after[0] == before[0] and after[1] == before[1]
    assert after[2] - before[2] < 2000  # ten thousand leaks of one block would be five times as many
    assert after[3] - before[3] < 16_000_000


async def _answers(pool: Pool) -> bool:
    try:
        return await pool.get("SELECT 1 AS one") == {"one": 1}
    except DatabaseUnavailable:
        return False


async def _ignore(asking: object) -> None:
    try:
        await asking  # type: ignore[misc]
    except (PoolTimeout, DatabaseUnavailable):
        pass


@pytest.mark.parametrize("kind", ["mariadb", "mysql"])
def test_full_disk_is_told_and_loses_nothing(kind: str) -> None:
    """The kernel lets the server's files grow to 24 MB. MySQL says that the table is full; MariaDB ends at once."""
    with tempfile.TemporaryDirectory(prefix="full") as folder:
        server = Server(Path(folder), kind)
        server.install()
        resource.prlimit(server.pid, resource.RLIMIT_FSIZE, (24 << 20, 24 << 20))

        async def fill() -> int:
            kept = 0
            async with _pool(server.socket) as pool:
                await pool.execute("CREATE TABLE t (id INT PRIMARY KEY AUTO_INCREMENT, v LONGTEXT) ENGINE=InnoDB")
                with pytest.raises((OperationalError, DatabaseUnavailable)) as caught:
                    for _ in range(1000):
                        await pool.execute("INSERT INTO t (v) VALUES (%s)", "x" * 500_000)
                        kept += 1
                if kind == "mysql":
                    assert "The table 't' is full" in str(caught.value)
                    row = await pool.get("SELECT COUNT(*) AS n, MIN(LENGTH(v)) AS shortest FROM t")
                    assert row == {"n": kept, "shortest": 500_000}
                else:
                    assert isinstance(caught.value, DatabaseUnavailable) and caught.value.is_outcome_unknown
            return kept

        async def look() -> int:
            async with _pool(server.socket) as pool:
                row = await pool.get("SELECT COUNT(*) AS n, MIN(LENGTH(v)) AS shortest FROM t")
                assert row is not None and row.shortest == 500_000
                return int(row.n)

        try:
            kept = asyncio.run(fill())
            server.kill()
            server.start()
            # What was acknowledged is there; of the last one nobody was told.
            assert kept > 10 and asyncio.run(look()) - kept in ((0,) if kind == "mysql" else (0, 1))
        finally:
            server.stop()


def test_worker_that_is_killed_leaves_no_statement_running(mysql_server: Server) -> None:
    """The kernel closes what the worker had open; the server ends the statement at its limit of time."""
    program = (
        "import asyncio, sys\nfrom framework.database import Address, Pool\n"
        "pool = Pool(Address(sys.argv[1], 'test', 'test', 'secret'), statement_timeout_s=2)\n"
        "from tests.framework.database.test_pool import ENDLESS\n"
        "asyncio.run(pool.query(ENDLESS))"
    )
    root_folder = str(Path(__file__).parents[3])
    with (
        subprocess.Popen([sys.executable, "-c", program, mysql_server.socket], cwd=root_folder) as worker,
        mysql_server.connect_as_root() as root,
        root.cursor() as cursor,
    ):
        query = "SELECT COUNT(*) FROM information_schema.PROCESSLIST WHERE USER = 'test' AND INFO LIKE '%_a, %'"
        while cursor.execute(query) and cursor.fetchone() == (0,):
            assert worker.poll() is None
        worker.send_signal(signal.SIGKILL)
        while cursor.execute(query) and cursor.fetchone() != (0,):
            pass
