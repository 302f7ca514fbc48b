"""One connection on the loop: sends a statement, reads its answer, one at a time; and notices when the server goes.

The driver connects (handshake, password, TLS: on a thread); from then on its socket is read and written here. TLS is
the same socket in Python's clothes: it may want to read once more before the kernel says that there is something.
"""

import asyncio
import contextvars
import ssl
import time
from typing import Any, Protocol

import pymysql
from pymysql.constants import COMMAND

from framework.database.connection import Parameters
from framework.database.resultset import (
    CAPABILITIES,
    IN_TRANSACTION,
    AnswerReader,
    AnswerTooLarge,
    ProtocolError,
    split_packets,
)
from framework.database.statements import Many, compose

_READ_BYTES = 65_536
_LAST_WORD = split_packets(COMMAND.COM_QUIT, b"")


class Job:
    """A statement that waits for its turn or its answer; `future` brings it, or for a stream the next rows."""

    __slots__ = (
        "begun_at",
        "channel",
        "deadline",
        "future",
        "is_kept",
        "is_patient",
        "is_repeated",
        "is_stream",
        "may_repeat",
        "parameters",
        "query",
    )

    def __init__(self, query: str, parameters: "Parameters | Many", future: "asyncio.Future[Any]") -> None:
        self.query = query
        self.parameters = parameters
        self.future = future
        self.channel: Channel | None = None
        self.begun_at = self.deadline = 0.0
        self.is_kept = False  # the connection stays with whoever asked, until it is released
        self.is_stream = False
        self.may_repeat = False  # whatever the statement looks like
        self.is_repeated = False
        self.is_patient = False  # its turn has been put off once, for a connection that was being opened


class Owner(Protocol):
    """Whom a channel tells what came of a job."""

    def channel_answered(self, channel: "Channel", job: Job) -> None:
        """The answer is complete: channel.reader has it."""

    def channel_lost(self, channel: "Channel", job: Job | None, error: Exception, is_unsent: bool) -> None:
        """The connection is of no use any more; if it had a job, it reached the server or not (`is_unsent`)."""


class Channel:
    """A connection of the driver whose socket the loop reads and writes."""

    __slots__ = (
        "_context",
        "_is_reading",
        "_loop",
        "_owner",
        "_sock",
        "_unsent",
        "db",
        "is_leased",
        "is_open",
        "job",
        "reader",
        "used_at",
    )

    def __init__(
        self, db: "pymysql.Connection[Any]", loop: asyncio.AbstractEventLoop, owner: Owner, max_answer_bytes: int = 0
    ) -> None:
        self.db = db
        self.reader = AnswerReader(db.server_capabilities & CAPABILITIES, max_answer_bytes)
        self.reader.status = db.server_status
        self.job: Job | None = None
        self.used_at = time.monotonic()
        self.is_leased = False
        self.is_open = True
        self._loop = loop
        self._owner = owner
        self._sock: Any = db._sock
        self._sock.setblocking(False)
        self._unsent = memoryview(b"")
        # Callbacks belong to nobody's request: what they see must not keep one alive.
        self._context = contextvars.Context()
        self._is_reading = False
        self.resume()

    def __repr__(self) -> str:
        state = "closed" if not self.is_open else "busy" if self.job else "leased" if self.is_leased else "idle"
        return f"<Channel {self.db.thread_id()}, {state}>"

    @property
    def is_in_transaction(self) -> bool:
        """Whether the server says so."""
        return bool(self.reader.status & IN_TRANSACTION)

    def start(self, job: Job, deadline: float) -> None:
        """Send the statement; the owner is told what comes of it, perhaps before this returns.

        Raises:
            TypeError, KeyError, ValueError, DatabaseError: see `compose`; the channel is as before.
        """
        payload = compose(self.db, job.query, job.parameters)
        self._begin(job, deadline, split_packets(COMMAND.COM_QUERY, payload))

    def ping(self, job: Job, deadline: float) -> None:
        """Ask the server whether it is there."""
        self._begin(job, deadline, split_packets(COMMAND.COM_PING, b""))

    def _begin(self, job: Job, deadline: float, data: bytes) -> None:
        self.job = job
        job.channel = self
        job.begun_at = time.monotonic()
        job.deadline = deadline
        self.reader.begin(len(data))
        try:
            sent = self._sock.send(data)
        except (BlockingIOError, ssl.SSLWantReadError, ssl.SSLWantWriteError):
            sent = 0
        except OSError as error:
            self._lose(error, is_unsent=True)
            return
        if sent != len(data):
            self._unsent = memoryview(data)[sent:]
            self._context.run(self._loop.add_writer, self._sock.fileno(), self._write_on)

    def pause(self) -> None:
        """Read no more for now: the server waits as soon as the kernel's buffers are full."""
        if self._is_reading:
            self._is_reading = False
            self._loop.remove_reader(self._sock.fileno())

    def resume(self) -> None:
        """Read again."""
        if not self._is_reading and self.is_open:
            self._is_reading = True
            self._context.run(self._loop.add_reader, self._sock.fileno(), self._read)
            if isinstance(self._sock, ssl.SSLSocket) and self._sock.pending():
                self._context.run(self._loop.call_soon, self._read_pending)

    def close(self) -> None:
        """Close the connection: with a word to the server if it waits for one, else at once."""
        if not self.is_open:
            return
        self.is_open = False
        self.pause()
        if self._unsent:
            self._unsent = memoryview(b"")
            self._loop.remove_writer(self._sock.fileno())
        if self.job is None:
            try:
                self._sock.send(_LAST_WORD)
            except OSError:
                pass
        self.db._force_close()

    def forget(self) -> None:
        """Close a connection whose loop may be closed already."""
        if self._loop.is_closed():
            self.is_open = self._is_reading = False
            self.db._force_close()
        else:
            self.close()

    def _write_on(self) -> None:
        try:
            sent = self._sock.send(self._unsent)
        except (BlockingIOError, ssl.SSLWantReadError, ssl.SSLWantWriteError):
            return
        except OSError as error:
            # A server that finds a statement too long says so, and closes: its word may be here already.
            self._read()
            if self.job is not None:
                self._lose(error)
            return
        self._unsent = self._unsent[sent:]
        if not self._unsent:
            self._loop.remove_writer(self._sock.fileno())

    def _read(self) -> None:
        try:
            data = self._sock.recv(_READ_BYTES)
        except (BlockingIOError, ssl.SSLWantReadError, ssl.SSLWantWriteError):
            return
        except OSError as error:
            self._lose(error)
            return
        job = self.job
        if job is None or not data:
            self._lose(EOFError("the server closed the connection"))
            return
        try:
            is_complete = self.reader.feed(data)
        except (ProtocolError, AnswerTooLarge) as error:
            self._lose(error)
            return
        if is_complete:
            self._finish(job)
        elif job.is_stream and self.reader.rows:
            self.pause()
            job.deadline = float("inf")
            if not job.future.done():
                job.future.set_result(self.reader.take_rows())
        elif isinstance(self._sock, ssl.SSLSocket) and self._sock.pending():
            self._read()  # deciphered already: the kernel has nothing more to tell

    def _read_pending(self) -> None:
        if self._is_reading and self._sock.pending():
            self._read()

    def _finish(self, job: Job) -> None:
        if self._unsent:
            self.close()  # it would not hear us out: too long a statement, as the answer says
        self.job = None
        self.used_at = time.monotonic()
        self.db.server_status = self.reader.status
        self._owner.channel_answered(self, job)

    def _lose(self, error: Exception, is_unsent: bool = False) -> None:
        job = self.job
        self.close()
        self.job = None
        self._owner.channel_lost(self, job, error, is_unsent)


__all__ = ["Channel", "Job", "Owner"]
