"""Connections for coroutines of one loop: at most `size` at once, turns in the order of asking.

    pool = Pool(Address("/run/db/mysqld.sock", "blog", "user", "secret"), size=8)
    rows = await pool.query("SELECT id FROM entries WHERE author = %s", name)

A read that finds its connection lost is repeated once on a new one; a write is only if it surely was not sent. When a
connection turns out to be lost, all idle ones are tested before they are used again: after a restart of the server
nobody meets a dead one. A coroutine that is cancelled, or a statement that takes too long, costs the connection it ran
on: nobody can know its state. The server is told to end a statement by itself a little before that.
"""

import asyncio
import logging
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any, TypeVar

import pymysql

from framework.database.channel import Channel, Job
from framework.database.connection import Address, Parameters, Row
from framework.database.errors import DatabaseUnavailable, is_deadlock
from framework.database.resultset import Result
from framework.database.statements import Many, Statements
from framework.database.turns import Turns
from framework.log import request_id

T = TypeVar("T")
logger = logging.getLogger("framework.general")

ISOLATIONS = ("READ UNCOMMITTED", "READ COMMITTED", "REPEATABLE READ", "SERIALIZABLE")
MAX_ANSWER_BYTES = 64 * 1024 * 1024


class Pool(Statements):
    """Statements and transactions from coroutines of one loop.

    `size` connections at most; `acquire_timeout_s` is how long a coroutine waits for one, `statement_timeout_s` how
    long a statement may take; statements slower than `slow_s` are logged, without their values; an answer has at most
    `max_answer_bytes`, since it is in memory as a whole (`iter` has no limit).
    """

    def __init__(
        self,
        address: Address,
        size: int = 8,
        acquire_timeout_s: float = 1.5,
        statement_timeout_s: float = 10.0,
        slow_s: float = 0.5,
        max_answer_bytes: int = MAX_ANSWER_BYTES,
    ) -> None:
        self.address = address
        self.size = size
        self.acquire_timeout_s = acquire_timeout_s
        self.statement_timeout_s = statement_timeout_s
        self.slow_s = slow_s
        self._turns = Turns(address, size, acquire_timeout_s, statement_timeout_s, max_answer_bytes)

    def __repr__(self) -> str:
        return repr(self._turns).replace("Turns", "Pool", 1)

    @property
    def is_mariadb(self) -> bool | None:
        """Whether the server is a MariaDB, and no MySQL; None before the first connection."""
        return self._turns.is_mariadb

    def follow_log(self) -> None:
        """Have the server tell where in its log a write is: `Result.position`, `Transaction.position`.

        Raises:
            RuntimeError: the pool has been used before.
        """
        if self.is_mariadb is not None:
            raise RuntimeError("follow_log: the pool's connections are open already")
        self._turns.follows_log = True

    async def ping(self) -> None:
        """Return if the server answers.

        Raises:
            DatabaseUnavailable: if it does not.
        """
        await self.query("SELECT 1")

    async def iter(self, query: str, *parameters: Any, **named: Any) -> AsyncIterator[Row]:
        """The rows one by one as the server sends them, in constant memory; the server waits for a slow reader.

        It takes a connection for as long as it lasts. The time-out holds for each piece, not for the whole. Leave it
        early by `contextlib.aclosing`: that ends the connection at once.
        """
        if self.is_mariadb is None:
            await self.ping()  # to know whom we talk to
        channel = await self._lease(self._turns.limit_to(0))
        try:
            async for row in self._stream(channel, query, parameters or named or None):
                yield row
            await self._ask_on(channel, self._turns.limit_to(self._turns.statement_timeout_s))
        except BaseException:
            self._turns.abandon(channel)
            raise
        finally:
            self._turns.release(channel)

    @asynccontextmanager
    async def transaction(self, isolation: str = "") -> AsyncIterator["Transaction"]:
        """A transaction: committed at the end of the block, rolled back if it is left by an exception.

        `isolation` is one of ISOLATIONS; without it, the server's default holds.

        Raises:
            ValueError: if there is no such isolation; and see `query`. A commit that is cut off raises
            DatabaseUnavailable
                with is_outcome_unknown.
        """
        if isolation and isolation not in ISOLATIONS:
            raise ValueError(f"isolation: expected one of {', '.join(ISOLATIONS)}, got {isolation!r}")
        first = f"SET TRANSACTION ISOLATION LEVEL {isolation}" if isolation else "START TRANSACTION"
        channel = await self._lease(first)
        try:
            if isolation:
                await self._ask_on(channel, "START TRANSACTION")
            transaction = Transaction(self, channel)
            try:
                yield transaction
            except BaseException:
                await self._roll_back(channel)
                raise
            transaction.position = (await self._ask_on(channel, "COMMIT")).position
        finally:
            self._turns.release(channel)

    async def run_transaction(
        self, work: Callable[["Transaction"], Awaitable[T]], isolation: str = "", attempts: int = 3
    ) -> T:
        """What `work(transaction)` returns, begun anew when the server chose it as the victim of a deadlock.

        `work` may run several times, so all that it does must be in the transaction.
        """
        for attempt in range(1, attempts + 1):
            try:
                async with self.transaction(isolation) as transaction:
                    return await work(transaction)
            except pymysql.err.OperationalError as error:
                if not is_deadlock(error) or attempt == attempts:
                    raise
        raise AssertionError("the last attempt returns or raises")

    async def close(self) -> None:
        """Close all connections, once their statements are done, and end the threads. Nothing can be asked any more."""
        await self._turns.close()

    # Statements

    async def _ask(self, query: str, parameters: "Parameters | Many") -> Result:
        job = self._turns.make_job(query, parameters)
        self._turns.submit(job)
        result: Result = await self._answer(job)
        return result

    async def _answer(self, job: Job) -> Any:
        """What the job's future brings; a job that nobody waits for any more is given up."""
        try:
            return await job.future
        except asyncio.CancelledError:
            self._turns.give_up(job)
            raise
        finally:
            if job.begun_at and (seconds := time.monotonic() - job.begun_at) > self.slow_s:
                self._log_slow(job.query, seconds)

    def _log_slow(self, query: str, seconds: float) -> None:
        identity = request_id.get()
        text = " ".join(query.split())[:500]
        by = f" (request {identity})" if identity else ""
        facts = {"request_id": identity} if identity else None
        logger.warning("%s: slow statement, %.2f s%s: %s", self.address, seconds, by, text, extra=facts)

    async def _ask_on(self, channel: Channel, query: str, parameters: "Parameters | Many" = None) -> Result:
        """As `_ask`, on a connection that is leased."""
        job = self._turns.make_job(query, parameters)
        self._turns.start_on(channel, job)
        result: Result = await self._answer(job)
        return result

    async def _lease(self, query: str) -> Channel:
        """A connection that has run `query` and stays the caller's until it is released."""
        job = self._turns.make_job(query, None)
        job.is_kept = job.may_repeat = True
        self._turns.submit(job)
        await self._answer(job)
        assert job.channel is not None  # it has answered
        return job.channel

    async def _stream(self, channel: Channel, query: str, parameters: Parameters) -> AsyncIterator[Row]:
        loop = asyncio.get_running_loop()
        job = self._turns.make_job(query, parameters)
        job.is_stream = True
        channel.reader.max_bytes = 0
        self._turns.start_on(channel, job)
        try:
            while not isinstance(piece := await self._answer(job), Result):
                for row in piece:
                    yield row
                job.future = loop.create_future()
                self._turns.set_deadline(job, time.monotonic() + self._turns.statement_timeout_s)
                channel.resume()
            for row in piece.rows:
                yield row
        finally:
            if channel.job is job:
                self._turns.abandon(channel)  # the rest would have to be read to its end
            channel.reader.max_bytes = self._turns.max_answer_bytes

    async def _roll_back(self, channel: Channel) -> None:
        if not channel.is_open:
            return  # the server rolls back what loses its connection
        if channel.job is not None:
            self._turns.drop(channel)  # left while a statement runs
            return
        try:
            await self._ask_on(channel, "ROLLBACK")
        except (pymysql.err.Error, DatabaseUnavailable):
            self._turns.drop(channel)


class Transaction(Statements):
    """Statements within one transaction; see Pool.transaction. A lost connection ends it: nothing is repeated."""

    def __init__(self, pool: Pool, channel: Channel) -> None:
        self.position = ""  # in the server's log, once it is committed and if the pool follows that
        self._pool = pool
        self._channel = channel

    async def iter(self, query: str, *parameters: Any, **named: Any) -> AsyncIterator[Row]:
        """The rows one by one as the server sends them; see Pool.iter. No other statement before the last of them."""
        async for row in self._pool._stream(self._channel, query, parameters or named or None):
            yield row

    async def _ask(self, query: str, parameters: "Parameters | Many") -> Result:
        return await self._pool._ask_on(self._channel, query, parameters)
