"""The feed in the database: entries, comments, likes, and the numbered events that pages follow.

Each write is one transaction that ends with the next number of the sequence; see migrations/0001_feed.sql for why. A
write that comes twice (a form sent again, a retry after a lost answer) finds its client's id taken and answers with
the first one.
"""

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from framework.database import IntegrityError, Pool, Row, Transaction

PAGE_SIZE = 30
MOST_NAMESAKES = 200
MAX_EVENTS = 200  # read at a time
MAX_TEXT_CHARS = 4000

_ENTRY = """SELECT e.id, e.text, e.created, u.name AS author,
    (SELECT COUNT(*) FROM likes l WHERE l.entry_id = e.id) AS likes,
    (SELECT COUNT(*) FROM comments c WHERE c.entry_id = e.id) AS comments
    FROM entries e JOIN users u ON u.id = e.user_id"""
_COMMENT = """SELECT c.id, c.entry_id, c.text, c.created, u.name AS author
    FROM comments c JOIN users u ON u.id = c.user_id"""


@dataclass(frozen=True, slots=True)
class Posted:
    """What became of a write: the id of the row; `is_new` is False if it was there already."""

    id: int
    is_new: bool


def _now() -> datetime:
    return datetime.now(UTC).replace(tzinfo=None)


class Feed:
    """Reads and writes of the feed. Every method may raise DatabaseUnavailable."""

    def __init__(self, pool: Pool) -> None:
        self.pool = pool

    async def sign_in(self, name: str) -> tuple[int, str]:
        """Id and name of the user of that name, who is new or known.

        To the database "ada" is "Ada": the name is given as it was written first, as all others see it.
        """
        query = "SELECT id, name FROM users WHERE name = %s"
        known = await self.pool.get(query, name)
        if known is None:
            try:
                return await self.pool.execute("INSERT INTO users (name, created) VALUES (%s, %s)", name, _now()), name
            except IntegrityError:  # somebody was faster
                known = await self.pool.get(query, name)
                assert known is not None  # users are never deleted
        return int(known.id), str(known.name)

    async def is_claimed(self, name: str) -> bool:
        """Whether the user of that name signs in at a provider, so that knowing the name is not enough."""
        query = "SELECT 1 AS found FROM users u JOIN identities i ON i.user_id = u.id WHERE u.name = %s LIMIT 1"
        return await self.pool.get(query, name) is not None

    async def sign_in_as(self, issuer: str, subject: str, name: str) -> tuple[int, str]:
        """Id and name of the user whom a provider vouches for; a new one gets the name, or one like it that is free."""
        query = "SELECT u.id, u.name FROM identities i JOIN users u ON u.id = i.user_id"
        known = f"{query} WHERE i.issuer = %s AND i.subject = %s"
        for number in range(1, MOST_NAMESAKES):
            user = await self.pool.get(known, issuer, subject)
            if user is not None:
                return int(user.id), str(user.name)
            free = name if number == 1 else f"{name[:36]} {number}"
            try:
                async with self.pool.transaction() as transaction:
                    user_id = await transaction.execute(
                        "INSERT INTO users (name, created) VALUES (%s, %s)", free, _now()
                    )
                    await transaction.execute(
                        "INSERT INTO identities (issuer, subject, user_id, created) VALUES (%s, %s, %s, %s)",
                        *(issuer, subject, user_id, _now()),
                    )
                return user_id, free
            except IntegrityError:  # the name is taken, or this very user was faster in another tab
                continue
        raise RuntimeError(f"there are {MOST_NAMESAKES} users named {name!r}")

    async def is_user(self, user_id: int, name: str) -> bool:
        """Whether that user has that name."""
        return await self.pool.get("SELECT id FROM users WHERE id = %s AND name = %s", user_id, name) is not None

    async def entries(self, before: int = 0) -> list[Row]:
        """A page of entries, the newest first; `before` is the id of the last one of the page before."""
        if before:
            return await self.pool.query(f"{_ENTRY} WHERE e.id < %s ORDER BY e.id DESC LIMIT %s", before, PAGE_SIZE)
        return await self.pool.query(f"{_ENTRY} ORDER BY e.id DESC LIMIT %s", PAGE_SIZE)

    async def entry(self, entry_id: int) -> Row | None:
        return await self.pool.get(f"{_ENTRY} WHERE e.id = %s", entry_id)

    async def comments(self, entry_ids: list[int]) -> dict[int, list[Row]]:
        """The comments of these entries, the oldest first."""
        found: dict[int, list[Row]] = {}
        if entry_ids:
            for row in await self.pool.query(f"{_COMMENT} WHERE c.entry_id IN %s ORDER BY c.id", tuple(entry_ids)):
                found.setdefault(row.entry_id, []).append(row)
        return found

    async def liked_by(self, user_id: int, entry_ids: list[int]) -> set[int]:
        """Which of these entries the user likes."""
        if not entry_ids:
            return set()
        query = "SELECT entry_id FROM likes WHERE user_id = %s AND entry_id IN %s"
        return {row.entry_id for row in await self.pool.query(query, user_id, tuple(entry_ids))}

    async def post_entry(self, user_id: int, client_id: str, text: str) -> Posted:
        """Store an entry, unless this user's client has done so under the same id."""
        try:
            async with self.pool.transaction() as tx:
                entry_id = await tx.execute(
                    "INSERT INTO entries (user_id, client_id, text, created) VALUES (%s, %s, %s, %s)",
                    *(user_id, client_id, text, _now()),
                )
                await _number_event(tx, "entry", entry_id, None)
            return Posted(entry_id, True)
        except IntegrityError:
            query = "SELECT id FROM entries WHERE user_id = %s AND client_id = %s"
            row = await self.pool.get(query, user_id, client_id)
            if row is None:
                raise
            return Posted(int(row.id), False)

    async def post_comment(self, user_id: int, client_id: str, entry_id: int, text: str) -> Posted | None:
        """Store a comment, unless it is there already; None if there is no such entry."""
        try:
            async with self.pool.transaction() as tx:
                comment_id = await tx.execute(
                    "INSERT INTO comments (entry_id, user_id, client_id, text, created) VALUES (%s, %s, %s, %s, %s)",
                    *(entry_id, user_id, client_id, text, _now()),
                )
                await _number_event(tx, "comment", entry_id, comment_id)
            return Posted(comment_id, True)
        except IntegrityError:
            query = "SELECT id FROM comments WHERE user_id = %s AND client_id = %s"
            row = await self.pool.get(query, user_id, client_id)
            return None if row is None else Posted(int(row.id), False)

    async def set_like(self, user_id: int, entry_id: int, is_liked: bool) -> bool:
        """Like an entry or take it back; False if there is no such entry."""
        if await self.pool.get("SELECT id FROM entries WHERE id = %s", entry_id) is None:
            return False
        async with self.pool.transaction() as tx:
            if is_liked:
                query = "INSERT IGNORE INTO likes (entry_id, user_id, created) VALUES (%s, %s, %s)"
                changed = await tx.execute_rowcount(query, entry_id, user_id, _now())
            else:
                query = "DELETE FROM likes WHERE entry_id = %s AND user_id = %s"
                changed = await tx.execute_rowcount(query, entry_id, user_id)
            if changed:
                await _number_event(tx, "like", entry_id, None)
        return True

    async def last_sequence(self) -> int:
        """The number of the latest event."""
        row = await self.pool.get("SELECT value FROM sequences WHERE name = 'events'")
        return int(row.value) if row is not None else 0

    async def events_after(self, sequence: int, limit: int = MAX_EVENTS) -> list[dict[str, Any]]:
        """The events behind that number in order, each with what pages show of it."""
        events = await self.pool.query("SELECT * FROM events WHERE seq > %s ORDER BY seq LIMIT %s", sequence, limit)
        if not events:
            return []
        entry_ids = tuple({event.entry_id for event in events})
        entries = {row.id: row for row in await self.pool.query(f"{_ENTRY} WHERE e.id IN %s", entry_ids)}
        comment_ids = tuple({event.comment_id for event in events if event.comment_id}) or (0,)
        comments = {row.id: row for row in await self.pool.query(f"{_COMMENT} WHERE c.id IN %s", comment_ids)}
        return [
            {
                "seq": event.seq,
                "kind": event.kind,
                "entry": describe(entries[event.entry_id]),
                **({"comment": describe(comments[event.comment_id])} if event.comment_id in comments else {}),
            }
            for event in events
            if event.entry_id in entries
        ]


async def _number_event(tx: Transaction, kind: str, entry_id: int, comment_id: int | None) -> None:
    """Take the next number for an event. Last before the commit, for its lock lets one writer through at a time."""
    sequence = await tx.execute("UPDATE sequences SET value = LAST_INSERT_ID(value + 1) WHERE name = 'events'")
    await tx.execute(
        "INSERT INTO events (seq, kind, entry_id, comment_id, created) VALUES (%s, %s, %s, %s, %s)",
        *(sequence, kind, entry_id, comment_id, _now()),
    )


def describe(row: Row) -> dict[str, Any]:
    """A row as JSON can hold it: times in ISO 8601, UTC."""
    return {key: value.isoformat() + "Z" if isinstance(value, datetime) else value for key, value in row.items()}
