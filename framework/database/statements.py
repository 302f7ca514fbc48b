"""Statements as bytes, values in their place as the driver escapes them; and what can be asked, pool or transaction."""

import re
from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping
from typing import Any

import pymysql
from pymysql.cursors import RE_INSERT_VALUES

from framework.database.connection import Parameters, Row
from framework.database.resultset import Result

_BATCH_BYTES = 1_000_000  # below the least max_allowed_packet that servers come with, 16 MB, by far
_NO_BACKSLASH_ESCAPES = 0x0200
_ESCAPES = {"\0": "\\0", "\\": "\\\\", "\n": "\\n", "\r": "\\r", "\x1a": "\\Z", '"': '\\"', "'": "\\'"}
_ASCII_ESCAPES = [_ESCAPES.get(chr(code), chr(code)) for code in range(128)]
_SPECIAL = re.compile(f"[{re.escape(''.join(_ESCAPES))}]")


class Many:
    """Rows for one INSERT … VALUES: as many as fit into a statement, from `at` on; `next` is where it ended."""

    __slots__ = ("at", "next", "prefix", "rows", "suffix", "values")

    def __init__(self, prefix: str, values: str, suffix: str, rows: list[Parameters]) -> None:
        self.prefix, self.values, self.suffix = prefix, values, suffix
        self.rows = rows
        self.at = self.next = 0

    def compose(self, db: "pymysql.Connection[Any]") -> bytes:
        """The next statement."""
        parts: list[bytes] = []
        size = 0
        number = self.at
        for number in range(self.at, len(self.rows)):
            part = (self.values % _escape_all(db, self.rows[number])).encode()
            if parts and size + len(part) > _BATCH_BYTES:
                break
            parts.append(part)
            size += len(part) + 1
        else:
            number = len(self.rows)
        self.next = number
        return self.prefix.encode() + b",".join(parts) + self.suffix.encode()


def compose(db: "pymysql.Connection[Any]", query: str, parameters: "Parameters | Many") -> bytes:
    """The statement's bytes. How a text is escaped depends on the session's sql_mode, so on the connection.

    Raises:
        TypeError, KeyError, ValueError: the values don't fit the statement.
        DatabaseError: MySQL has no such value (infinity).
    """
    if parameters is None:
        return query.encode()
    if isinstance(parameters, Many):
        return parameters.compose(db)
    text: str = query % _escape_all(db, parameters)
    return text.encode()


def escape_text(text: str) -> str:
    """The text as a literal, as PyMySQL escapes it (MySQL 9 Reference Manual, 11.1.1 String Literals).

    Its own takes a microsecond for each character that is not ASCII: an exception, in translate().
    """
    if text.isascii():
        return f"'{text.translate(_ASCII_ESCAPES)}'"
    return f"'{_SPECIAL.sub(_escape_match, text)}'"


def _escape_match(match: re.Match[str]) -> str:
    return _ESCAPES[match[0]]


def _escape_all(db: "pymysql.Connection[Any]", parameters: Parameters) -> Any:
    if isinstance(parameters, Mapping):
        return {name: db.escape(value) for name, value in parameters.items()}
    if db.server_status & _NO_BACKSLASH_ESCAPES:
        return tuple([db.escape(value) for value in parameters or ()])
    # Texts and numbers are what most values are, and the driver asks itself six questions before it comes to that.
    escaped = []
    for value in parameters or ():
        kind = type(value)
        escaped.append(escape_text(value) if kind is str else str(value) if kind is int else db.escape(value))
    return tuple(escaped)


class Statements(ABC):
    """What can be asked. Values go beside the statement, never into it: `%s` or `%(name)s`.

    Raises, all of it:
        DatabaseUnavailable: the server is away.
        PoolTimeout: no connection became free in time, or the statement took too long.
        DatabaseError: the server refuses the statement.
        AnswerTooLarge: the answer has more bytes than the pool allows.
    """

    @abstractmethod
    async def _ask(self, query: str, parameters: "Parameters | Many") -> Result: ...

    async def query(self, query: str, *parameters: Any, **named: Any) -> list[Row]:
        """All rows of the result."""
        return (await self._ask(query, parameters or named or None)).rows

    async def get(self, query: str, *parameters: Any, **named: Any) -> Row | None:
        """The one row of the result, or None.

        Raises:
            ValueError: if there are several.
        """
        rows = (await self._ask(query, parameters or named or None)).rows
        if len(rows) > 1:
            raise ValueError(f"get: expected at most one row, got {len(rows)}")
        return rows[0] if rows else None

    async def execute(self, query: str, *parameters: Any, **named: Any) -> int:
        """The id that the statement gave its new row; 0 without one."""
        return (await self._ask(query, parameters or named or None)).last_id

    async def execute_rowcount(self, query: str, *parameters: Any, **named: Any) -> int:
        """The number of rows that the statement found."""
        return (await self._ask(query, parameters or named or None)).affected_rows

    async def executemany(self, query: str, parameters: Iterable[Parameters]) -> int:
        """Execute once for each of the parameters; the number of rows. INSERT … VALUES takes many at a time."""
        rows = list(parameters)
        insert = RE_INSERT_VALUES.match(query)
        found = 0
        if insert is None:
            for row in rows:
                found += (await self._ask(query, row)).affected_rows
            return found
        many = Many(insert[1] % (), insert[2].rstrip(), (insert[3] or "") % (), rows)
        while many.at < len(rows):
            found += (await self._ask(query, many)).affected_rows
            many.at = many.next
        return found
