"""One primary that is written to, and replicas that are read from: each reader sees what he himself has written.

    cluster = Replicated(Pool(primary), [Pool(replica), Pool(another)])
    await cluster.execute("INSERT INTO notes (text) VALUES (%s)", text)     # the primary
    await cluster.query("SELECT text FROM notes")                           # a replica that has that write

A write's place in the primary's log (its GTID) comes with the server's answer and is kept for the rest of the request
(`position`). A replica is asked to wait until it has got there, `wait_s` at most; if it has not, or is away, the next
is asked, and the primary last. What others have written may be missing for as long as replicas lag: whoever must not
see an old value locks it (SELECT … FOR UPDATE goes to the primary, as transactions do).

To carry it over to a browser's next request, put `position` into a signed cookie, and set it from there.

What lost: sending each user to the primary for some seconds after a write, which is either too long or too short.
"""

import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from contextvars import ContextVar
from typing import Any, TypeVar

from framework.database.connection import Parameters, Row, is_select
from framework.database.errors import DatabaseUnavailable
from framework.database.pool import Pool, Transaction
from framework.database.resultset import Result
from framework.database.statements import Many, Statements
from framework.log import gen_log

T = TypeVar("T")
_KEPT_POSITIONS = 1024
_AVOID_S = 2.0


class _Replica:
    """A pool of connections to a replica, and what is known of it."""

    def __init__(self, pool: Pool) -> None:
        self.pool = pool
        self.avoided_until = 0.0
        self._reached: dict[str, None] = {}

    async def has_reached(self, position: str, wait_s: float) -> bool:
        """Whether the replica has the write at this position, after waiting for it if need be."""
        if not position or position in self._reached:
            return True
        if self.pool.is_mariadb is None:
            await self.pool.ping()
        if self.pool.is_mariadb:
            row = await self.pool.get("SELECT MASTER_GTID_WAIT(%s, %s) AS late", position, wait_s)
        else:
            row = await self.pool.get("SELECT WAIT_FOR_EXECUTED_GTID_SET(%s, %s) AS late", position, wait_s)
        if row is None or row.late != 0:
            return False
        if len(self._reached) >= _KEPT_POSITIONS:
            del self._reached[next(iter(self._reached))]
        self._reached[position] = None
        return True


class Replicated(Statements):
    """A primary and its replicas. The pools must not have been used before."""

    def __init__(self, primary: Pool, replicas: Sequence[Pool], wait_s: float = 0.2) -> None:
        self.primary = primary
        self.wait_s = wait_s
        primary.follow_log()
        self._replicas = [_Replica(pool) for pool in replicas]
        self._next = 0
        self._position: ContextVar[str] = ContextVar("position", default="")

    def __repr__(self) -> str:
        return f"<Replicated {self.primary!r}, {len(self._replicas)} replicas>"

    @property
    def position(self) -> str:
        """The place of this request's last write in the primary's log; empty if there was none."""
        return self._position.get()

    @position.setter
    def position(self, position: str) -> None:
        self._position.set(position)

    async def iter(self, query: str, *parameters: Any, **named: Any) -> AsyncIterator[Row]:
        """The rows one by one, from a replica; see Pool.iter. One that is lost on the way is an error."""
        pool = self.primary
        if is_select(query):
            async for replica in self._choose():
                pool = replica.pool
                break
        async for row in pool.iter(query, *parameters, **named):
            yield row

    @asynccontextmanager
    async def transaction(self, isolation: str = "") -> AsyncIterator[Transaction]:
        """A transaction on the primary; see Pool.transaction."""
        async with self.primary.transaction(isolation) as transaction:
            yield transaction
        self._note(transaction.position)

    async def run_transaction(
        self, work: Callable[[Transaction], Awaitable[T]], isolation: str = "", attempts: int = 3
    ) -> T:
        """What `work(transaction)` returns, on the primary; see Pool.run_transaction."""
        last: list[Transaction] = []

        async def remember(transaction: Transaction) -> T:
            last[:] = [transaction]
            return await work(transaction)

        result = await self.primary.run_transaction(remember, isolation, attempts)
        self._note(last[0].position)
        return result

    async def close(self) -> None:
        """Close all pools."""
        for pool in (self.primary, *(replica.pool for replica in self._replicas)):
            await pool.close()

    async def _ask(self, query: str, parameters: "Parameters | Many") -> Result:
        if is_select(query):
            async for replica in self._choose():
                try:
                    return await replica.pool._ask(query, parameters)
                except DatabaseUnavailable as error:
                    self._avoid(replica, error)
        result = await self.primary._ask(query, parameters)
        self._note(result.position)
        return result

    def _note(self, position: str) -> None:
        if position:
            self._position.set(position)

    async def _choose(self) -> AsyncIterator[_Replica]:
        """The replicas that have what this request has written, each in its turn."""
        self._next += 1
        count = len(self._replicas)
        for number in range(count):
            replica = self._replicas[(self._next + number) % count]
            if replica.avoided_until > time.monotonic():
                continue
            try:
                has_it = await replica.has_reached(self._position.get(), self.wait_s)
            except DatabaseUnavailable as error:
                self._avoid(replica, error)
                continue
            if has_it:
                yield replica

    def _avoid(self, replica: _Replica, error: Exception) -> None:
        gen_log.warning("replica not asked for %g s: %s", _AVOID_S, error)
        replica.avoided_until = time.monotonic() + _AVOID_S
