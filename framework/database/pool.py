"""Connections for coroutines: PyMySQL on threads, at most `size` at once, waiting turns in order.

    pool = Pool(Address("/run/db/mysqld.sock", "blog", "user", "secret"), size=8)
    rows = await pool.query("SELECT id FROM entries WHERE author = %s", name)

A read that finds its connection lost is repeated once on a new one; a write never is. When a connection turns out to
be lost, all idle ones are tested before they are used again: after a restart of the server nobody meets a dead one. A
coroutine that is cancelled, or a statement that takes too long, costs the connection it ran on: nobody can know its
state.
"""

import asyncio
import logging
import socket
import time
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from typing import Any, TypeVar

import pymysql

from framework.database.connection import PING_AFTER_IDLE_S, Address, Parameters, Row, is_select
from framework.database.errors import (
    DatabaseUnavailable,
    PoolTimeout,
    explain,
    is_away,
    is_deadlock,
    is_too_slow,
    is_unsent,
)

T = TypeVar("T")
logger = logging.getLogger("framework.general")

ISOLATIONS = ("READ UNCOMMITTED", "READ COMMITTED", "REPEATABLE READ", "SERIALIZABLE")


class _Slot:
    """One connection of the pool, or the place for one."""

    __slots__ = ("db", "is_abandoned", "used_at")

    def __init__(self) -> None:
        self.db: pymysql.Connection[Any] | None = None
        self.used_at = 0.0
        self.is_abandoned = False  # a thread may still be busy with it: it must never be given to anyone again

    def abandon(self) -> None:
        self.is_abandoned = True
        self.drop()

    def drop(self) -> None:
        """Cut the connection without a word to the server: it may be in the middle of something."""
        db, self.db = self.db, None
        sock = getattr(db, "_sock", None)
        if db is not None and sock is not None:
            try:
                sock.shutdown(socket.SHUT_RDWR)  # wakes the thread that waits for an answer
            except OSError:
                pass
            db._force_close()


class Pool:
    """Statements and transactions from coroutines of one loop.

    `size` connections at most; `acquire_timeout_s` is how long a coroutine waits for one, `statement_timeout_s` how
    long a statement may take; statements slower than `slow_s` are logged, without their values.
    """

    def __init__(
        self,
        address: Address,
        size: int = 8,
        acquire_timeout_s: float = 1.5,
        statement_timeout_s: float = 10.0,
        slow_s: float = 0.5,
    ) -> None:
        self.address = address
        self.size = size
        self.acquire_timeout_s = acquire_timeout_s
        self.statement_timeout_s = statement_timeout_s
        self.slow_s = slow_s
        self._idle: deque[_Slot] = deque(_Slot() for _ in range(size))
        self._waiting: deque[asyncio.Future[_Slot]] = deque()
        # Twice as many, since abandoned statements hold theirs for a while.
        self._threads = ThreadPoolExecutor(2 * size, thread_name_prefix="database")
        self._suspect_before = 0.0  # connections last used before this instant are tested first

    def __repr__(self) -> str:
        return f"<Pool of {self.size} to {self.address}: {len(self._idle)} idle, {len(self._waiting)} waiting>"

    async def query(self, query: str, *parameters: Any, **named: Any) -> list[Row]:
        """All rows of the result.

        Raises:
            DatabaseUnavailable: the server is away.
            PoolTimeout: no connection became free in time, or the statement took too long.
            DatabaseError: the server refuses the statement.
        """
        return await self._once(_fetch_all, query, parameters or named or None, is_select(query))

    async def get(self, query: str, *parameters: Any, **named: Any) -> Row | None:
        """The one row of the result, or None.

        Raises:
            ValueError: if there are several; and see `query`.
        """
        return _only(await self.query(query, *parameters, **named))

    async def execute(self, query: str, *parameters: Any, **named: Any) -> int:
        """The id that the statement gave its new row; 0 without one. See `query` for the errors."""
        return await self._once(_last_id, query, parameters or named or None, False)

    async def execute_rowcount(self, query: str, *parameters: Any, **named: Any) -> int:
        """The number of rows that the statement found. See `query` for the errors."""
        return await self._once(_row_count, query, parameters or named or None, False)

    async def executemany(self, query: str, parameters: Iterable[Parameters]) -> int:
        """Execute once for each of the parameters; the number of rows. See `query` for the errors."""
        return await self._once(_execute_many, query, list(parameters), False)

    async def ping(self) -> None:
        """Return if the server answers.

        Raises:
            DatabaseUnavailable: if it does not.
        """
        await self.query("SELECT 1")

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
        slot = await self._acquire()
        try:
            if isolation:
                await self._run_repeatable(slot, _begin, f"SET TRANSACTION ISOLATION LEVEL {isolation}", None, True)
            await self._run_repeatable(slot, _begin, "START TRANSACTION", None, not isolation)
            try:
                yield Transaction(self, slot)
            except BaseException:
                await self._roll_back(slot)
                raise
            await self._run(slot, _commit, "COMMIT", None)
        finally:
            self._release(slot)

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
        """Close all connections and end the threads."""
        for slot in self._idle:
            slot.drop()
        await asyncio.get_running_loop().run_in_executor(None, self._threads.shutdown)

    # Turns

    async def _acquire(self) -> _Slot:
        if self._idle:
            return self._idle.pop()  # the one used last: its connection is the least likely to be stale
        future: asyncio.Future[_Slot] = asyncio.get_running_loop().create_future()
        self._waiting.append(future)
        try:
            async with asyncio.timeout(self.acquire_timeout_s):
                return await future
        except BaseException as error:
            if future.done() and not future.cancelled():
                self._release(future.result())  # the turn came in the same instant
            elif future in self._waiting:
                self._waiting.remove(future)
            if isinstance(error, TimeoutError):
                busy = f"all {self.size} connections were busy for {self.acquire_timeout_s} s"
                raise PoolTimeout(f"{self.address}: {busy}") from None
            raise

    def _release(self, slot: _Slot) -> None:
        if slot.is_abandoned:
            slot = _Slot()
        while self._waiting:
            future = self._waiting.popleft()
            if not future.done():
                future.set_result(slot)
                return
        self._idle.append(slot)

    # Statements

    async def _once(self, perform: Callable[..., T], query: str, parameters: Any, is_select: bool) -> T:
        slot = await self._acquire()
        try:
            return await self._run_repeatable(slot, perform, query, parameters, is_select)
        finally:
            self._release(slot)

    async def _run_repeatable(
        self, slot: _Slot, perform: Callable[..., T], query: str, parameters: Any, is_select: bool
    ) -> T:
        """As `_run`; if an old connection turns out to be lost and nothing can have happened, again on a new one."""
        had_connection = slot.db is not None
        try:
            return await self._run(slot, perform, query, parameters)
        except PoolTimeout:
            raise
        except DatabaseUnavailable as error:
            if not had_connection or (error.is_outcome_unknown and not is_select):
                raise
        return await self._run(slot, perform, query, parameters)

    async def _run(self, slot: _Slot, perform: Callable[..., T], query: str, parameters: Any) -> T:
        """What `perform` returns, from a thread; the connection is dropped if its state is unknown afterwards."""
        loop = asyncio.get_running_loop()
        begun = loop.time()
        try:
            async with asyncio.timeout(self.statement_timeout_s):
                return await loop.run_in_executor(self._threads, self._perform, slot, perform, query, parameters)
        except TimeoutError as error:
            slot.abandon()
            late = f"{self.address}: no answer within {self.statement_timeout_s} s"
            raise PoolTimeout(late, is_outcome_unknown=perform is not _fetch_all) from error
        except asyncio.CancelledError:
            slot.abandon()
            raise
        finally:
            seconds = loop.time() - begun
            if seconds > self.slow_s:
                logger.warning("%s: slow statement, %.2f s: %s", self.address, seconds, " ".join(query.split())[:500])

    def _perform(self, slot: _Slot, perform: Callable[..., T], query: str, parameters: Any) -> T:
        """Runs on a thread."""
        db = self._ready(slot, perform)
        try:
            with db.cursor() as cursor:
                result = perform(cursor, query, parameters)
            slot.used_at = time.monotonic()
            return result
        except (pymysql.err.Error, OSError, EOFError) as error:
            if is_too_slow(error):
                raise PoolTimeout(explain(error, str(self.address))) from error
            if not is_away(error):
                raise
            slot.drop()
            self._suspect_before = time.monotonic()
            is_unknown = perform is not _fetch_all and not is_unsent(error)
            raise DatabaseUnavailable(explain(error, str(self.address)), is_unknown) from error

    def _ready(self, slot: _Slot, perform: Callable[..., Any]) -> "pymysql.Connection[Any]":
        is_free = slot.db is not None and not slot.db.server_status & 1  # SERVER_STATUS_IN_TRANS
        trusted_since = max(self._suspect_before, time.monotonic() - PING_AFTER_IDLE_S)
        if slot.db is not None and is_free and perform is not _commit and slot.used_at < trusted_since:
            try:
                slot.db.ping(reconnect=False)
            except (pymysql.err.Error, OSError, EOFError):
                slot.drop()
        if slot.db is None:
            if perform is _commit or perform is _roll_back:
                raise DatabaseUnavailable(f"{self.address}: the connection was lost within a transaction")
            slot.db = self.address.connect(read_timeout_s=self.statement_timeout_s + 5)
            if slot.is_abandoned:
                slot.drop()
                raise DatabaseUnavailable(f"{self.address}: nobody waits for the answer any more")
        return slot.db

    async def _roll_back(self, slot: _Slot) -> None:
        if slot.db is None:
            return  # the server rolls back what loses its connection
        try:
            await self._run(slot, _roll_back, "ROLLBACK", None)
        except (pymysql.err.Error, DatabaseUnavailable):
            slot.drop()


class Transaction:
    """Statements within one transaction; see Pool.transaction. A lost connection ends it: nothing is repeated."""

    def __init__(self, pool: Pool, slot: _Slot) -> None:
        self._pool = pool
        self._slot = slot

    async def query(self, query: str, *parameters: Any, **named: Any) -> list[Row]:
        """All rows of the result."""
        return await self._run(_fetch_all, query, parameters or named or None)

    async def get(self, query: str, *parameters: Any, **named: Any) -> Row | None:
        """The one row of the result, or None. Raises: ValueError: if there are several."""
        return _only(await self.query(query, *parameters, **named))

    async def execute(self, query: str, *parameters: Any, **named: Any) -> int:
        """The id that the statement gave its new row; 0 without one."""
        return await self._run(_last_id, query, parameters or named or None)

    async def execute_rowcount(self, query: str, *parameters: Any, **named: Any) -> int:
        """The number of rows that the statement found."""
        return await self._run(_row_count, query, parameters or named or None)

    async def executemany(self, query: str, parameters: Iterable[Parameters]) -> int:
        """Execute once for each of the parameters; the number of rows."""
        return await self._run(_execute_many, query, list(parameters))

    async def _run(self, perform: Callable[..., T], query: str, parameters: Any) -> T:
        if self._slot.db is None:
            raise DatabaseUnavailable(f"{self._pool.address}: the connection was lost within a transaction")
        return await self._pool._run(self._slot, perform, query, parameters)


def _only(rows: list[Row]) -> Row | None:
    if len(rows) > 1:
        raise ValueError(f"get: expected at most one row, got {len(rows)}")
    return rows[0] if rows else None


# What a thread does with a cursor.


def _fetch_all(cursor: Any, query: str, parameters: Parameters) -> list[Row]:
    cursor.execute(query, parameters)
    return list(cursor.fetchall())


def _last_id(cursor: Any, query: str, parameters: Parameters) -> int:
    cursor.execute(query, parameters)
    return int(cursor.lastrowid or 0)


def _row_count(cursor: Any, query: str, parameters: Parameters) -> int:
    cursor.execute(query, parameters)
    return int(cursor.rowcount)


def _execute_many(cursor: Any, query: str, parameters: list[Parameters]) -> int:
    return int(cursor.executemany(query, parameters) or 0)


def _begin(cursor: Any, query: str, parameters: Parameters) -> None:
    cursor.execute(query)


def _commit(cursor: Any, query: str, parameters: Parameters) -> None:
    cursor.execute(query)


def _roll_back(cursor: Any, query: str, parameters: Parameters) -> None:
    cursor.execute(query)
