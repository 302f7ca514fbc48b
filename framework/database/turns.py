"""Who may use which connection when: at most `size` at once, in the order of asking, and none of them for ever.

A job is given to an idle connection, or waits in one queue; connections are opened while somebody waits and there is
room. One timer, set to the earliest deadline, watches the queue and all that runs: a timer for each statement would
cost a tenth of it.
"""

import asyncio
import contextvars
import math
import time
from collections import deque
from collections.abc import Coroutine
from concurrent.futures import Future as ThreadFuture
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pymysql

from framework.database.channel import Channel, Job
from framework.database.connection import PING_AFTER_IDLE_S, Address, is_select
from framework.database.errors import DatabaseUnavailable, PoolTimeout, explain, is_away, is_too_slow
from framework.database.resultset import CAPABILITIES, AnswerTooLarge
from framework.log import gen_log

# What the server has of the time-out: an end that it tells leaves us the connection, and the certainty that nothing
# was written.
_SERVERS_SHARE = 0.9
_NEVER = float("inf")
_PAUSE_S = 0.2  # a server that has no connection to spare is not asked for one without a break


class Turns:
    """The connections to one address, and the jobs that wait for them or run on them."""

    def __init__(
        self, address: Address, size: int, acquire_timeout_s: float, statement_timeout_s: float, max_answer_bytes: int
    ) -> None:
        self.address = address
        self.size = size
        self.acquire_timeout_s = acquire_timeout_s
        self.statement_timeout_s = statement_timeout_s
        self.max_answer_bytes = max_answer_bytes
        self.is_mariadb: bool | None = None  # the first connection tells
        self.follows_log = False  # whether the server is to tell a write's place in its log
        self._loop: asyncio.AbstractEventLoop | None = None
        self._channels: set[Channel] = set()
        self._idle: list[Channel] = []
        self._queue: deque[Job] = deque()
        self._opening = self._testing = 0
        self._tasks: set[asyncio.Task[None]] = set()
        # Twice as many, since an attempt that is given up holds its thread for a while.
        self._threads = ThreadPoolExecutor(2 * size, thread_name_prefix="database")
        self._suspect_before = 0.0  # connections last used before this instant are tested first
        self._watch: asyncio.TimerHandle | None = None
        self._watch_at = _NEVER
        self._open_again_at = 0.0  # while there are others, after one could not be opened
        self._abandoned: list[int] = []
        self._is_ending = False
        self._is_closed = False

    def __repr__(self) -> str:
        counts = f"{len(self._channels)} open, {len(self._idle)} idle, {len(self._queue)} waiting"
        return f"<Turns of {self.size} to {self.address}: {counts}>"

    def make_job(self, query: str, parameters: Any) -> Job:
        """A job of the running loop.

        Raises:
            DatabaseUnavailable: the turns are closed.
            RuntimeError: they belong to another loop that runs.
        """
        loop = asyncio.get_running_loop()
        if loop is not self._loop:
            self._adopt(loop)
        return Job(query, parameters, loop.create_future())

    def submit(self, job: Job) -> None:
        """Have the job done when its turn comes.

        Raises:
            DatabaseUnavailable: the turns are closed.
        """
        if self._idle and not self._queue and self._idle[-1].used_at >= self._trusted_since():
            channel = self._idle.pop()  # the one used last
            self._start(channel, job)
            if channel.job is None:
                self._pass_on(channel)  # the values did not fit
            return
        if self._is_closed:
            raise DatabaseUnavailable(f"{self.address}: the pool is closed")
        self.set_deadline(job, time.monotonic() + self.acquire_timeout_s)
        self._queue.append(job)
        self._supply()

    def start_on(self, channel: Channel, job: Job) -> None:
        """Have the job done on a connection that is leased.

        Raises:
            DatabaseUnavailable: the connection has been lost.
            RuntimeError: it is busy.
        """
        if not channel.is_open:
            raise DatabaseUnavailable(f"{self.address}: the connection was lost within a transaction")
        if channel.job is not None:
            raise RuntimeError("a transaction runs one statement at a time: await each before the next")
        self._start(channel, job)

    def give_up(self, job: Job) -> None:
        """Nobody waits for the job any more: its connection is closed, and the server told to end it."""
        channel = job.channel
        if channel is not None and (channel.job is job or job.is_kept):
            self.abandon(channel)
            self._supply()

    def release(self, channel: Channel) -> None:
        """Take back what was leased."""
        channel.is_leased = False
        if channel.is_in_transaction:
            self.drop(channel)
        self._pass_on(channel)
        self._supply()

    def drop(self, channel: Channel) -> None:
        """Close a connection and forget it."""
        channel.close()
        self._channels.discard(channel)
        if channel in self._idle:
            self._idle.remove(channel)

    async def close(self) -> None:
        """Close all connections, once their statements are done, and end the threads."""
        self._is_closed = True
        while self._queue:
            _fail(self._queue.popleft(), DatabaseUnavailable(f"{self.address}: the pool is closed"))
        running = [channel.job.future for channel in self._channels if channel.job is not None]
        if running:
            await asyncio.wait(running, timeout=self.statement_timeout_s)
        for task in list(self._tasks):
            task.cancel()
        for channel in list(self._channels):
            self.drop(channel)
        if self._watch is not None:
            self._watch.cancel()
            self._watch, self._watch_at = None, _NEVER
        await asyncio.get_running_loop().run_in_executor(None, self._threads.shutdown)

    def _adopt(self, loop: asyncio.AbstractEventLoop) -> None:
        """Belong to this loop: what belonged to another can't be waited for here."""
        if self._is_closed:
            raise DatabaseUnavailable(f"{self.address}: the pool is closed")
        if self._loop is not None and self._loop.is_running():
            raise RuntimeError("a pool belongs to one loop, and its own is running: make one for each")
        for channel in self._channels:
            channel.forget()
        self._channels, self._idle, self._queue = set(), [], deque()
        self._tasks, self._opening, self._testing = set(), 0, 0
        self._watch, self._watch_at = None, _NEVER
        self._abandoned, self._is_ending = [], False
        self._loop = loop

    def _supply(self) -> None:
        """Get connections for those who wait: idle ones, tested where there is doubt; else new ones."""
        trusted_since = self._trusted_since()
        while len(self._queue) > self._opening + self._testing and not self._is_closed:
            if self._idle:
                channel = self._idle.pop()
                if channel.used_at >= trusted_since:
                    self._pass_on(channel)
                else:
                    self._testing += 1
                    self._spawn(self._test(channel))
            elif len(self._channels) + self._opening < self.size and self._may_open():
                self._opening += 1
                self._spawn(self._open())
            else:
                return

    def _may_open(self) -> bool:
        return not self._channels or time.monotonic() >= self._open_again_at

    def _trusted_since(self) -> float:
        return max(self._suspect_before, time.monotonic() - PING_AFTER_IDLE_S)

    def _pass_on(self, channel: Channel) -> None:
        """Give a free connection to the first who waits."""
        while channel.is_open and not channel.is_leased and channel.job is None:
            if self._is_closed:
                self.drop(channel)
                return
            while self._queue and self._queue[0].future.done():
                self._queue.popleft()
            if not self._queue:
                self._idle.append(channel)
                return
            self._start(channel, self._queue.popleft())

    def _start(self, channel: Channel, job: Job) -> None:
        deadline = time.monotonic() + self.statement_timeout_s
        try:
            channel.start(job, deadline)
        except Exception as error:  # the values don't fit the statement: the caller's error
            _fail(job, error)
            return
        if deadline < self._watch_at:
            self.set_deadline(job, deadline)

    def channel_answered(self, channel: Channel, job: Job) -> None:
        """See channel.Owner."""
        error = channel.reader.error
        if error is not None and is_away(error):
            channel.close()
            self.channel_lost(channel, job, error, is_unsent=False)
            return
        if not channel.is_open:
            self.drop(channel)
        if error is not None:
            late = PoolTimeout(explain(error, str(self.address))) if is_too_slow(error) else error
            _fail(job, late)
        elif not job.future.done():
            channel.is_leased |= job.is_kept
            job.future.set_result(channel.reader.result)
        if not channel.is_leased:
            self._pass_on(channel)
            if self._queue:
                self._supply()

    def channel_lost(self, channel: Channel, job: Job | None, error: Exception, is_unsent: bool) -> None:
        """See channel.Owner."""
        is_leased = channel.is_leased
        self.drop(channel)
        if not isinstance(error, AnswerTooLarge):
            self._suspect_before = time.monotonic()
        if job is not None and not job.future.done():
            may_repeat = is_unsent or job.may_repeat or is_select(job.query)
            if may_repeat and not is_leased and not job.is_stream and not job.is_repeated:
                job.is_repeated = True
                self.set_deadline(job, time.monotonic() + self.acquire_timeout_s)
                self._queue.appendleft(job)
            elif isinstance(error, AnswerTooLarge):
                _fail(job, error)
            else:
                is_unknown = not is_unsent and _may_have_happened(channel, job)
                _fail(job, DatabaseUnavailable(explain(error, str(self.address)), is_unknown), error)
        self._supply()

    # Connections

    def _spawn(self, work: Coroutine[Any, Any, None]) -> None:
        assert self._loop is not None
        # In a context of its own: a connection outlives the request that it was opened for.
        task = self._loop.create_task(work, context=contextvars.Context())
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _open(self) -> None:
        loop = asyncio.get_running_loop()
        connecting = self._threads.submit(self._connect)
        try:
            async with asyncio.timeout(self.address.connect_timeout_s):
                db = await asyncio.wrap_future(connecting)
        except TimeoutError:
            connecting.add_done_callback(_discard)
            late = f"{self.address}: no connection within {self.address.connect_timeout_s} s"
            self._opening -= 1
            self._give_up(DatabaseUnavailable(late))
        except asyncio.CancelledError:
            connecting.add_done_callback(_discard)
            raise
        except Exception as error:
            self._opening -= 1
            self._give_up(error)
        else:
            self._opening -= 1
            channel = Channel(db, loop, self, self.max_answer_bytes)
            self._channels.add(channel)
            self._pass_on(channel)

    def _connect(self) -> "pymysql.Connection[Any]":
        """Runs on a thread."""
        db = self.address.connect(self.address.connect_timeout_s, CAPABILITIES)
        try:
            self.is_mariadb = "MariaDB" in db.server_version
            db.query(self.limit_to(self.statement_timeout_s))
            if self.follows_log:
                tracked = "session_track_system_variables = 'last_gtid'"
                db.query(f"SET SESSION {tracked if self.is_mariadb else 'session_track_gtids = OWN_GTID'}")
        except (pymysql.err.Error, OSError, EOFError) as error:
            db._force_close()
            raise DatabaseUnavailable(explain(error, str(self.address))) from error
        return db

    def limit_to(self, seconds: float) -> str:
        """The statement that has the server end a statement which takes longer; 0 lifts it, for a reader that is slow.

        MySQL ends nothing but SELECT.
        """
        limit = seconds * _SERVERS_SHARE
        patience = 60 if seconds else 3600  # the server's own limit for one piece that nobody takes: net_write_timeout
        name = (
            f"max_statement_time = {limit:.6f}"
            if self.is_mariadb
            else f"max_execution_time = {math.ceil(limit * 1000)}"
        )
        return f"SET SESSION {name}, SESSION net_write_timeout = {patience}"

    def _give_up(self, error: Exception) -> None:
        """No connection could be opened: who waits longest is told, if no other connection can serve him."""
        if not self._channels:
            while self._queue:
                job = self._queue.popleft()
                if not job.future.done():
                    _fail(job, error)
                    break
        self._open_again_at = time.monotonic() + _PAUSE_S
        self._supply()

    def abandon(self, channel: Channel) -> None:
        """Close a connection in the middle of its statement, and have the server end that.

        A server notices at the end of a statement that nobody waits for it; MySQL gives writes no limit of time.
        """
        was_busy = channel.job is not None
        self.drop(channel)
        if was_busy and not self._is_closed:
            self._abandoned.append(channel.db.thread_id())
            if not self._is_ending:
                self._is_ending = True
                self._spawn(self._end_abandoned())

    async def _end_abandoned(self) -> None:
        """One thread for all that have come together meanwhile: a server that is away is not asked for each."""
        while self._abandoned:
            numbers, self._abandoned = self._abandoned, []
            try:
                await asyncio.get_running_loop().run_in_executor(self._threads, self._kill, numbers)
            except (pymysql.err.Error, DatabaseUnavailable, OSError, EOFError, RuntimeError) as error:
                gen_log.info("%s: abandoned statements were not ended: %s", self.address, error)
        self._is_ending = False

    def _kill(self, numbers: list[int]) -> None:
        """Runs on a thread."""
        db = self.address.connect(self.address.connect_timeout_s)
        try:
            for number in numbers:
                # Numbers only grow, but begin anew with the server: then this one may be somebody else's.
                if number < db.thread_id():
                    try:
                        db.kill(number)
                    except pymysql.err.OperationalError as error:
                        if is_away(error):
                            raise
                        gen_log.debug("%s: %s", self.address, error)  # it has ended by itself
        finally:
            db._force_close()

    async def _test(self, channel: Channel) -> None:
        job = Job("", None, asyncio.get_running_loop().create_future())
        job.may_repeat = job.is_repeated = True
        deadline = time.monotonic() + min(self.address.connect_timeout_s, self.statement_timeout_s)
        channel.is_leased = True
        channel.ping(job, deadline)
        self.set_deadline(job, deadline)
        try:
            await job.future
        except (pymysql.err.Error, DatabaseUnavailable):
            self.drop(channel)
        finally:
            self._testing -= 1
            channel.is_leased = False
            self._pass_on(channel)
            self._supply()

    # Time-outs: one timer for all, set to the earliest.

    def set_deadline(self, job: Job, deadline: float) -> None:
        """Have the job end by itself at that instant of time.monotonic(), if it has neither turn nor answer by then."""
        job.deadline = deadline
        if deadline < self._watch_at and self._loop is not None:
            if self._watch is not None:
                self._watch.cancel()
            self._watch_at = deadline
            delay = max(0.0, deadline - time.monotonic())
            self._watch = self._loop.call_later(delay, self._look_for_late_ones, context=contextvars.Context())

    def _look_for_late_ones(self) -> None:
        self._watch, self._watch_at = None, _NEVER
        now = time.monotonic()
        for channel in list(self._channels):
            job = channel.job
            if job is not None and job.deadline <= now:
                late = f"{self.address}: no answer within {self.statement_timeout_s} s"
                _fail(job, PoolTimeout(late, is_outcome_unknown=_may_have_happened(channel, job)))
                self.abandon(channel)
        # A connection that is being opened has a time-out of its own: those at the head wait for it.
        for position, job in enumerate(list(self._queue)):
            if job.deadline <= now and position < self._opening + self._testing and not job.is_patient:
                job.is_patient = True
                job.deadline = now + self.address.connect_timeout_s
            elif job.deadline <= now:
                busy = f"all {self.size} connections were busy for {self.acquire_timeout_s} s"
                _fail(job, PoolTimeout(f"{self.address}: {busy}"))
        self._queue = deque(job for job in self._queue if not job.future.done())
        waiting = [*self._queue, *(channel.job for channel in self._channels if channel.job is not None)]
        if waiting:
            earliest = min(waiting, key=lambda job: job.deadline)
            if earliest.deadline != _NEVER:
                self.set_deadline(earliest, earliest.deadline)
        self._supply()


def _may_have_happened(channel: Channel, job: Job) -> bool:
    """Whether a statement that got no answer may have changed something for good."""
    verb = job.query.lstrip("( \t\r\n")[:7].upper()
    if verb.startswith(("SELECT", "SHOW")) or job.may_repeat:
        return False
    # What is not committed is undone. (Statements that define tables commit by themselves.)
    return not (channel.is_in_transaction and verb.startswith(("INSERT", "UPDATE", "DELETE", "REPLACE", "ROLLBAC")))


def _fail(job: Job, error: Exception, cause: Exception | None = None) -> None:
    if not job.future.done():
        error.__cause__ = cause
        job.future.set_exception(error)


def _discard(connecting: "ThreadFuture[pymysql.Connection[Any]]") -> None:
    """Close a connection that came too late."""
    if not connecting.cancelled() and connecting.exception() is None:
        connecting.result()._force_close()
