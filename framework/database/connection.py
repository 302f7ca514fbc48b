"""One blocking connection: the seed's wrapper over PyMySQL.

It reconnects before use if it was idle for long, and after it was lost; but never within a transaction, and it never
repeats a write whose outcome is unknown.
"""

import socket
import ssl
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import pymysql
import pymysql.cursors
from pymysql.constants import CLIENT

from framework.database.driver import load_cryptography
from framework.database.errors import DatabaseUnavailable, OperationalError, explain, is_away, is_unsent
from framework.log import gen_log

DEFAULT_PORT = 3306
CONNECT_TIMEOUT_S = 1.5  # a page must be able to say "away" within two seconds
PING_AFTER_IDLE_S = 5.0

Parameters = Sequence[Any] | Mapping[str, Any] | None


class Row(dict[str, Any]):
    """A row: a dictionary whose keys are attributes too."""

    __slots__ = ()

    def __getattr__(self, name: str) -> Any:
        try:
            return self[name]
        except KeyError:
            raise AttributeError(f"the row has no column {name!r}") from None


class _RowCursor(pymysql.cursors.DictCursorMixin, pymysql.cursors.Cursor):  # type: ignore[misc]
    dict_type = Row


class _StreamCursor(pymysql.cursors.DictCursorMixin, pymysql.cursors.SSCursor):  # type: ignore[misc]
    dict_type = Row


@dataclass(frozen=True, slots=True)
class Address:
    """Where a database is and who asks. `host` is a name, `name:port`, `[IPv6]:port` or the path of a unix socket."""

    host: str
    database: str
    user: str | None = None
    password: str | None = field(default=None, repr=False)
    tls: ssl.SSLContext | None = None
    connect_timeout_s: float = CONNECT_TIMEOUT_S

    def split(self) -> dict[str, Any]:
        """`host` as the driver wants it: unix_socket, or host and port."""
        if self.host.startswith("/"):
            return {"unix_socket": self.host}
        name, colon, port = self.host.rpartition(":")
        if colon and port.isascii() and port.isdigit() and ("[" in name or ":" not in name):
            return {"host": name.strip("[]"), "port": int(port)}
        return {"host": self.host.strip("[]"), "port": DEFAULT_PORT}

    def __str__(self) -> str:
        return f"database {self.database} at {self.host}"

    def connect(self, read_timeout_s: float | None = None, capabilities: int = 0) -> "pymysql.Connection[Any]":
        """A connection of the driver: utf8mb4, UTC, and errors instead of silent truncation (TRADITIONAL).

        `capabilities` are asked of the server beside those that the driver knows.

        Raises:
            DatabaseUnavailable: if nobody answers within connect_timeout_s.
            OperationalError: if the server refuses user, password or database.
        """
        db = self._open(capabilities)
        db._read_timeout = read_timeout_s
        return db

    def _open(self, capabilities: int) -> "pymysql.Connection[Any]":
        try:
            return self._try_to_open(capabilities)
        except RuntimeError:
            # The driver's word for: the server's public key is needed, and cryptography is not loaded.
            if not load_cryptography():
                raise
        return self._try_to_open(capabilities)

    def _try_to_open(self, capabilities: int) -> "pymysql.Connection[Any]":
        db: pymysql.Connection[Any] = pymysql.Connection(
            **self.split(),
            user=self.user,
            password=self.password or "",
            database=self.database,
            charset="utf8mb4",
            use_unicode=True,
            autocommit=True,
            cursorclass=_RowCursor,
            connect_timeout=self.connect_timeout_s,
            read_timeout=self.connect_timeout_s,  # for the handshake: a server that hangs must not hold it up
            ssl=self.tls,
            # The driver would use TLS wherever the server offers it: what never leaves the kernel needs no cipher.
            ssl_disabled=self.tls is None and self.host.startswith("/"),
            # The number of rows that a statement found, not of those that it changed: as every other driver.
            client_flag=CLIENT.FOUND_ROWS | capabilities,
            init_command="SET time_zone = '+00:00', sql_mode = 'TRADITIONAL'",
            defer_connect=True,
        )
        try:
            db.connect(self._open_socket(db) if self.host.startswith("/") else None)
        except (pymysql.err.Error, OSError, EOFError) as error:
            if is_away(error):
                raise DatabaseUnavailable(explain(error, str(self))) from error
            raise
        return db

    def _open_socket(self, db: "pymysql.Connection[Any]") -> socket.socket:
        """The unix socket, connected by us: the driver leaves its own to the garbage collector if nobody listens."""
        opened = socket.socket(socket.AF_UNIX)
        try:
            opened.settimeout(self.connect_timeout_s)
            opened.connect(self.host)
        except OSError:
            opened.close()
            raise
        db.host_info = "unix socket"
        db._secure = True  # passwords may cross it as they are, which newer servers ask for
        return opened


class Connection:
    """One connection, made when it is first needed. Not for use by two threads at once.

    `host` is a name, `name:port` or the path of a unix socket. After `max_idle_time` seconds without use it connects
    anew (the server closes idle connections after eight hours).
    """

    def __init__(
        self,
        host: str,
        database: str,
        user: str | None = None,
        password: str | None = None,
        max_idle_time: float = 7 * 3600,
        connect_timeout: float = CONNECT_TIMEOUT_S,
        tls: ssl.SSLContext | None = None,
    ) -> None:
        self.address = Address(host, database, user, password, tls, connect_timeout)
        self.host = host
        self.database = database
        self.max_idle_time = max_idle_time
        self._db: pymysql.Connection[Any] | None = None
        self._used_at = 0.0

    def __repr__(self) -> str:
        return f"<Connection to {self.address}, {'open' if self._db else 'closed'}>"

    def close(self) -> None:
        """Close the connection; the next use opens it again."""
        db, self._db = self._db, None
        if db is not None and db.open:
            db.close()

    def reconnect(self) -> None:
        """Close and open again.

        Raises:
            DatabaseUnavailable, OperationalError: see Address.connect.
        """
        self.close()
        self._db = self.address.connect()
        self._used_at = time.monotonic()

    def query(self, query: str, *parameters: Any, **named: Any) -> list[Row]:
        """All rows of the result."""
        return list(self._read(query, parameters or named or None))

    def get(self, query: str, *parameters: Any, **named: Any) -> Row | None:
        """The one row of the result, or None.

        Raises:
            ValueError: if there are several.
        """
        rows = self._read(query, parameters or named or None)
        if len(rows) > 1:
            raise ValueError(f"get: expected at most one row, got {len(rows)}")
        return rows[0] if rows else None

    def iter(self, query: str, *parameters: Any, **named: Any) -> Iterator[Row]:
        """The rows one by one as the server sends them, for results larger than memory; read them to the end first."""
        db = self._connected()
        with db.cursor(_StreamCursor) as cursor:
            self._execute(cursor, query, parameters or named or None, is_read=True)
            yield from cursor

    def execute(self, query: str, *parameters: Any, **named: Any) -> int:
        """The id that the statement gave its new row; 0 without one."""
        return self.execute_lastrowid(query, *parameters, **named)

    def execute_lastrowid(self, query: str, *parameters: Any, **named: Any) -> int:
        """As `execute`."""
        with self._connected().cursor() as cursor:
            self._execute(cursor, query, parameters or named or None)
            return int(cursor.lastrowid or 0)

    def execute_rowcount(self, query: str, *parameters: Any, **named: Any) -> int:
        """The number of rows that the statement found."""
        with self._connected().cursor() as cursor:
            self._execute(cursor, query, parameters or named or None)
            return int(cursor.rowcount)

    def executemany(self, query: str, parameters: Iterable[Parameters]) -> int:
        """Execute once for each of the parameters; the id of the last new row."""
        with self._connected().cursor() as cursor:
            try:
                cursor.executemany(query, list(parameters))
            except (pymysql.err.Error, OSError) as error:
                raise self._translate(error, is_read=False) from error
            return int(cursor.lastrowid or 0)

    def _connected(self) -> "pymysql.Connection[Any]":
        idle_s = time.monotonic() - self._used_at
        if self._db is None or idle_s > self.max_idle_time:
            self.reconnect()
        elif idle_s > PING_AFTER_IDLE_S and not self._in_transaction():
            try:
                self._db.ping(reconnect=False)
            except (pymysql.err.Error, OSError):
                self.reconnect()
        self._used_at = time.monotonic()
        assert self._db is not None  # reconnect sets it or raises
        return self._db

    def _in_transaction(self) -> bool:
        return self._db is not None and bool(self._db.server_status & 1)  # SERVER_STATUS_IN_TRANS

    def _read(self, query: str, parameters: Parameters) -> list[Row]:
        for is_last in (False, True):
            db = self._connected()
            may_repeat = not is_last and not self._in_transaction() and is_select(query)
            try:
                with db.cursor() as cursor:
                    cursor.execute(query, parameters)
                    return list(cursor.fetchall())
            except (pymysql.err.Error, OSError) as error:
                translated = self._translate(error, is_read=True)
                if not (may_repeat and isinstance(translated, DatabaseUnavailable)):
                    raise translated from error
        raise AssertionError("the second round returns or raises")

    def _execute(self, cursor: Any, query: str, parameters: Parameters, is_read: bool = False) -> None:
        try:
            cursor.execute(query, parameters)
        except (pymysql.err.Error, OSError) as error:
            raise self._translate(error, is_read) from error

    def _translate(self, error: BaseException, is_read: bool) -> BaseException:
        """DatabaseUnavailable if the server is away, and then this connection is closed; else the error itself."""
        if not is_away(error):
            return error
        gen_log.warning("%s", explain(error, str(self.address)))
        self.close()
        return DatabaseUnavailable(explain(error, str(self.address)), not is_read and not is_unsent(error))


def is_select(query: str) -> bool:
    """Whether the statement only reads, so that it may be repeated."""
    return query.lstrip("( \t\r\n")[:6].upper() == "SELECT" and "FOR UPDATE" not in query.upper()


__all__ = ["Address", "Connection", "OperationalError", "Row"]
