"""A primary and a replica, both real, of each kind: what one has written oneself is there to read."""

import asyncio
import tempfile
from collections.abc import Callable, Coroutine, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from framework.database import Address, DatabaseError, DatabaseUnavailable, Pool, Replicated, Transaction
from tests.support.mysql import Server, find_free_port, listen

PRIMARY, REPLICA = 1, 2


@dataclass
class Pair:
    """Two servers, the second of which follows the first."""

    primary: Server
    replica: Server
    stop_applying: str
    apply: str

    def order(self, server: Server, *statements: str) -> None:
        with server.connect_as_root() as db, db.cursor() as cursor:
            for statement in statements:
                cursor.execute(statement)


@pytest.fixture(scope="module", params=["mariadb", "mysql"])
def pair(request: pytest.FixtureRequest) -> Iterator[Pair]:
    """Each test finds the replica following."""
    kind = request.param
    is_mariadb = kind == "mariadb"
    port = find_free_port()
    more = () if is_mariadb else ("--gtid-mode=ON", "--enforce-gtid-consistency=ON")
    with tempfile.TemporaryDirectory(prefix="one") as one, tempfile.TemporaryDirectory(prefix="two") as two:
        first = Server(Path(one), kind, "--log-bin", f"--server-id={PRIMARY}", *listen(port), *more)
        second = Server(Path(two), kind, "--log-bin", f"--server-id={REPLICA}", "--skip-networking", *more)
        pair = Pair(first, second, "STOP SLAVE SQL_THREAD", "START SLAVE SQL_THREAD")
        follow = (
            f"CHANGE MASTER TO MASTER_HOST='127.0.0.1', MASTER_PORT={port}, MASTER_USER='copy',"
            " MASTER_PASSWORD='secret', MASTER_USE_GTID=slave_pos",
            "START SLAVE",
        )
        forget = "RESET MASTER"
        if not is_mariadb:
            pair.stop_applying, pair.apply = "STOP REPLICA SQL_THREAD", "START REPLICA SQL_THREAD"
            follow = (
                f"CHANGE REPLICATION SOURCE TO SOURCE_HOST='127.0.0.1', SOURCE_PORT={port}, SOURCE_USER='copy',"
                " SOURCE_PASSWORD='secret', SOURCE_AUTO_POSITION=1, GET_SOURCE_PUBLIC_KEY=1",
                "START REPLICA",
            )
            forget = "RESET BINARY LOGS AND GTIDS"
        try:
            first.install()
            second.install()
            pair.order(
                first, "CREATE USER copy@'%' IDENTIFIED BY 'secret'", "GRANT REPLICATION SLAVE ON *.* TO copy@'%'"
            )
            pair.order(first, forget, "CREATE TABLE test.notes (id INT PRIMARY KEY AUTO_INCREMENT, text VARCHAR(50))")
            pair.order(second, forget, *follow)
            yield pair
        finally:
            first.stop()
            second.stop()


@pytest.fixture
def run(pair: Pair) -> Callable[[Callable[[Replicated], Coroutine[Any, Any, None]]], None]:
    def run_one(scenario: Callable[[Replicated], Coroutine[Any, Any, None]]) -> None:
        async def whole() -> None:
            pools = [Pool(Address(server.socket, "test", "test", "secret")) for server in (pair.primary, pair.replica)]
            cluster = Replicated(pools[0], pools[1:], wait_s=20)
            try:
                await cluster.execute("INSERT INTO notes (text) VALUES ('ready')")
                while await _whose(cluster) != REPLICA:
                    cluster._replicas[0].avoided_until = 0
                await scenario(cluster)
            finally:
                await cluster.close()

        asyncio.run(whole())

    return run_one


async def _whose(cluster: Replicated, query: str = "SELECT @@server_id AS id") -> int:
    row = await cluster.get(query)
    assert row is not None
    return int(row.id)


def test_writes_go_to_the_primary_and_reads_to_the_replica(run: Any) -> None:
    async def scenario(cluster: Replicated) -> None:
        assert await _whose(cluster) == REPLICA
        assert await _whose(cluster, "SELECT @@server_id AS id FROM notes LIMIT 1 FOR UPDATE") == PRIMARY
        async with cluster.transaction() as tx:
            row = await tx.get("SELECT @@server_id AS id")
            assert row is not None and row.id == PRIMARY
        assert [row.id async for row in cluster.iter("SELECT @@server_id AS id")] == [REPLICA]

    run(scenario)


def test_each_write_is_there_to_read(run: Any) -> None:
    async def scenario(cluster: Replicated) -> None:
        for number in range(100):
            text = f"note {number}"
            if number % 3 == 0:
                await cluster.execute("INSERT INTO notes (text) VALUES (%s)", text)
            elif number % 3 == 1:
                async with cluster.transaction() as tx:
                    await tx.execute("INSERT INTO notes (text) VALUES (%s)", text)
            else:

                async def work(tx: Transaction, text: str = text) -> None:
                    await tx.execute("INSERT INTO notes (text) VALUES (%s)", text)

                await cluster.run_transaction(work)
            row = await cluster.get("SELECT text, @@server_id AS server FROM notes ORDER BY id DESC LIMIT 1")
            assert row == {"text": text, "server": REPLICA}
            await cluster.executemany("DELETE FROM notes WHERE text = %s", [(text,)])
            assert await cluster.get("SELECT 1 FROM notes WHERE text = %s", text) is None

    run(scenario)


def test_replica_that_lags_is_not_asked_by_who_has_written(run: Any, pair: Pair) -> None:
    async def scenario(cluster: Replicated) -> None:
        pair.order(pair.replica, pair.stop_applying)
        cluster.wait_s = 0.05
        try:

            async def write() -> str:
                await cluster.execute("INSERT INTO notes (text) VALUES ('unseen')")
                assert await _whose(cluster) == PRIMARY
                assert await cluster.get("SELECT COUNT(*) AS n FROM notes WHERE text = 'unseen'") == {"n": 1}
                return cluster.position

            async def look(position: str = "") -> int:
                cluster.position = position
                return await _whose(cluster)

            position = await asyncio.create_task(write())
            assert position
            # Another request knows nothing of it; one that brings the position along does.
            assert await asyncio.create_task(look()) == REPLICA
            assert await asyncio.create_task(look(position)) == PRIMARY
        finally:
            pair.order(pair.replica, pair.apply)
        cluster.wait_s = 20
        assert await asyncio.create_task(look(position)) == REPLICA
        await cluster.execute("DELETE FROM notes WHERE text = 'unseen'")

    run(scenario)


def test_replica_that_is_away_costs_nothing_but_load(run: Any, pair: Pair, caplog: pytest.LogCaptureFixture) -> None:
    async def scenario(cluster: Replicated) -> None:
        await asyncio.to_thread(pair.replica.kill)
        try:
            assert [await _whose(cluster) for _ in range(5)] == [PRIMARY] * 5
            assert [row.id async for row in cluster.iter("SELECT @@server_id AS id")] == [PRIMARY]
        finally:
            await asyncio.to_thread(pair.replica.start)
        cluster._replicas[0].avoided_until = 0
        assert await _whose(cluster) == REPLICA
        with pytest.raises(DatabaseError, match="no_such_column"):
            await cluster.query("SELECT no_such_column")

    run(scenario)
    assert any("replica not asked for 2 s" in record.getMessage() for record in caplog.records)


def test_pool_that_has_been_used_cannot_follow(pair: Pair) -> None:
    async def scenario() -> None:
        pool = Pool(Address(pair.primary.socket, "test", "test", "secret"))
        await pool.ping()
        with pytest.raises(RuntimeError, match="open already"):
            Replicated(pool, [])
        await pool.close()
        alone = Replicated(Pool(Address("/nowhere", "test")), [])
        assert repr(alone).endswith(", 0 replicas>") and alone.position == ""
        with pytest.raises(DatabaseUnavailable):
            await alone.query("SELECT 1")
        await alone.close()

    asyncio.run(scenario())
