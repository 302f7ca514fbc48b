"""Buckets and objects on local files: bytes in files of their own, names in an SQLite index beside them.

A key is never a path: objects live in files named at random, so that no key can traverse, clash or be too long. An
upload is written aside, synced, moved into place, and only then named in the index, in one transaction: a crash at
any instant shows the old object or the new one, never half of one (at worst an unnamed file is left, which `sweep`
removes). Several processes may share one root: SQLite locks the index.

Blocking; the service calls it on threads. What lost: keys as paths (the seed's way) can't hold both `a` and `a/b`.
"""

import json
import os
import secrets
import sqlite3
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO

from framework.errors import FrameworkError

_SCHEMA = """
CREATE TABLE IF NOT EXISTS buckets (name TEXT PRIMARY KEY, created REAL NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS objects (
    bucket TEXT NOT NULL REFERENCES buckets(name), key TEXT NOT NULL, file TEXT NOT NULL, size INTEGER NOT NULL,
    etag TEXT NOT NULL, modified REAL NOT NULL, headers TEXT NOT NULL, PRIMARY KEY (bucket, key)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS uploads (
    id TEXT PRIMARY KEY, bucket TEXT NOT NULL, key TEXT NOT NULL, started REAL NOT NULL, headers TEXT NOT NULL)
    WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS parts (
    upload TEXT NOT NULL REFERENCES uploads(id) ON DELETE CASCADE, number INTEGER NOT NULL, file TEXT NOT NULL,
    size INTEGER NOT NULL, etag TEXT NOT NULL, modified REAL NOT NULL, PRIMARY KEY (upload, number)) WITHOUT ROWID;
"""

MAX_KEY_CHARACTERS = 1024  # no key has more: it has at most as many bytes
_LAST = chr(0x10FFFF)
_RESERVE_BYTES = 256 * 1024  # let go when an object is to be deleted on a full disk


class StoreError(FrameworkError):
    """An operation that the store refuses; `code` is S3's error code, `status` the HTTP status."""

    def __init__(self, code: str, message: str, status: int) -> None:
        super().__init__(message)
        self.code = code
        self.status = status


@dataclass(frozen=True, slots=True)
class Stored:
    """One object: `modified` in seconds since the epoch, `headers` as the client gave them (content type, metadata)."""

    key: str
    path: Path
    size: int
    etag: str
    modified: float
    headers: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Part:
    """One part of a multipart upload."""

    number: int
    path: Path
    size: int
    etag: str
    modified: float


@dataclass(frozen=True, slots=True)
class Upload:
    """A multipart upload under way."""

    id: str
    key: str
    started: float
    headers: dict[str, str]


@dataclass(frozen=True, slots=True)
class Listing:
    """One page of a listing: objects, common prefixes, and the last name on the page if there is more."""

    objects: list[Stored]
    prefixes: list[str]
    next_after: str | None


class Draft:
    """A file being written aside; `commit` syncs it to disk, `discard` removes it."""

    def __init__(self, directory: Path) -> None:
        self.path = directory / secrets.token_hex(16)
        self._file: BinaryIO = open(self.path, "xb")  # noqa: SIM115 - it lives as long as the upload

    def write(self, data: bytes) -> None:
        """Append to what will become the object."""
        self._file.write(data)

    def commit(self) -> None:
        """Make the object visible, whole."""
        self._file.flush()
        os.fsync(self._file.fileno())
        self._file.close()

    def discard(self) -> None:
        """Forget what was written."""
        try:
            self._file.close()
        except OSError:  # on a full disk, what is still buffered can't be written either
            pass
        finally:
            self.path.unlink(missing_ok=True)


class Store:
    """All buckets under one directory."""

    def __init__(self, root: str | Path) -> None:
        self.root = Path(root)
        self.files = self.root / "files"
        self.drafts = self.root / "drafts"
        for directory in (self.files, self.drafts):
            directory.mkdir(parents=True, exist_ok=True)
        self._reserve = self.root / "reserve"
        self._keep_reserve()
        self._local = threading.local()  # a connection to the index for each thread
        self._connections: list[sqlite3.Connection] = []
        with self._transaction() as index:
            for statement in _SCHEMA.split(";"):
                index.execute(statement)

    def _connect(self) -> sqlite3.Connection:
        index: sqlite3.Connection | None = getattr(self._local, "index", None)
        if index is None:
            index = sqlite3.connect(
                self.root / "index.sqlite", timeout=10, isolation_level=None, check_same_thread=False
            )
            index.execute("PRAGMA journal_mode=WAL")
            index.execute("PRAGMA synchronous=FULL")  # an acknowledged object survives a power cut
            index.execute("PRAGMA foreign_keys=ON")
            self._local.index = index
            self._connections.append(index)
        return index

    def _keep_reserve(self) -> None:
        """Hold some room back, if there is any."""
        with suppress(OSError):
            if not self._reserve.exists():
                self._reserve.write_bytes(bytes(_RESERVE_BYTES))

    def close(self) -> None:
        """Close every thread's connection to the index; the store is not to be used after this."""
        while self._connections:
            self._connections.pop().close()

    @contextmanager
    def _transaction(self) -> Iterator[sqlite3.Connection]:
        index = self._connect()
        index.execute("BEGIN IMMEDIATE")
        try:
            yield index
            index.execute("COMMIT")
        except BaseException:
            if index.in_transaction:  # a full disk ends some by itself, and leaves others open when they commit
                index.execute("ROLLBACK")
            raise

    # Buckets

    def list_buckets(self) -> list[tuple[str, float]]:
        """Name and time of creation (seconds since the epoch) of every bucket, by name."""
        return list(self._connect().execute("SELECT name, created FROM buckets ORDER BY name"))

    def create_bucket(self, name: str) -> bool:
        """True if the bucket is new; False if it was there."""
        with self._transaction() as index:
            added = index.execute("INSERT OR IGNORE INTO buckets VALUES (?, ?)", (name, time.time()))
            return added.rowcount == 1

    def check_bucket(self, name: str) -> None:
        """Raises: StoreError: 404, if there is no such bucket."""
        if self._connect().execute("SELECT 1 FROM buckets WHERE name = ?", (name,)).fetchone() is None:
            raise StoreError("NoSuchBucket", f"no bucket is named {name}", 404)

    def delete_bucket(self, name: str) -> None:
        """Raises: StoreError: 404 if there is no such bucket, 409 if it is not empty."""
        self.check_bucket(name)
        with self._transaction() as index:
            if index.execute("SELECT 1 FROM objects WHERE bucket = ? LIMIT 1", (name,)).fetchone():
                raise StoreError("BucketNotEmpty", f"the bucket {name} is not empty", 409)
            index.execute("DELETE FROM uploads WHERE bucket = ?", (name,))
            index.execute("DELETE FROM buckets WHERE name = ?", (name,))

    # Objects

    def begin(self) -> Draft:
        """A new file to write an object or a part into."""
        return Draft(self.drafts)

    def find(self, bucket: str, key: str) -> Stored | None:
        """The object of that key, or None.

        Raises:
            StoreError: 404, if there is no such bucket.
        """
        self.check_bucket(bucket)
        return self._find(self._connect(), bucket, key)

    def _find(self, index: sqlite3.Connection, bucket: str, key: str) -> Stored | None:
        statement = "SELECT key, file, size, etag, modified, headers FROM objects WHERE bucket = ? AND key = ?"
        row = index.execute(statement, (bucket, key)).fetchone()
        return None if row is None else self._stored(row)

    def get(self, bucket: str, key: str) -> Stored:
        """Raises: StoreError: 404, if there is no such bucket or object."""
        found = self.find(bucket, key)
        if found is None:
            raise StoreError("NoSuchKey", "no object has that key", 404)
        return found

    def put(
        self,
        bucket: str,
        key: str,
        draft: Draft,
        size: int,
        etag: str,
        headers: dict[str, str],
        check: Callable[[Stored | None], None] | None = None,
    ) -> Stored:
        """The object that the draft has become; one of the same key is replaced, unless `check` refuses that.

        `check` gets what is there and may raise: nobody comes between its look and the replacement. Whatever fails,
        nothing is left of the draft.

        Raises:
            StoreError: 404, if there is no such bucket.
        """
        path = self._keep(draft)
        modified = time.time()
        try:
            with self._transaction() as index:
                if check is not None:
                    check(self._find(index, bucket, key))
                replaced = self._replace(index, bucket, key, (path.name, size, etag, modified, json.dumps(headers)))
        except BaseException as error:
            path.unlink(missing_ok=True)
            if isinstance(error, sqlite3.IntegrityError):
                raise StoreError("NoSuchBucket", f"no bucket is named {bucket}", 404) from None
            raise
        self._remove_files(replaced)
        return Stored(key, path, size, etag, modified, headers)

    def _replace(self, index: sqlite3.Connection, bucket: str, key: str, values: tuple[Any, ...]) -> list[str]:
        old = [row[0] for row in index.execute("SELECT file FROM objects WHERE bucket = ? AND key = ?", (bucket, key))]
        index.execute("INSERT OR REPLACE INTO objects VALUES (?, ?, ?, ?, ?, ?, ?)", (bucket, key, *values))
        return old

    def delete(self, bucket: str, key: str) -> None:
        """Remove the object if there is one: S3 answers the same in either case.

        Raises:
            StoreError: 404, if there is no such bucket.
        """
        self.check_bucket(bucket)
        try:
            old = self._delete(bucket, key)
        except sqlite3.OperationalError:
            # To forget an object takes room as well: on a full disk nobody could make any.
            self._reserve.unlink(missing_ok=True)
            old = self._delete(bucket, key)
        self._remove_files(old)
        self._keep_reserve()

    def _delete(self, bucket: str, key: str) -> list[str]:
        with self._transaction() as index:
            statement = "DELETE FROM objects WHERE bucket = ? AND key = ? RETURNING file"
            return [row[0] for row in index.execute(statement, (bucket, key))]

    def list_objects(self, bucket: str, prefix: str, delimiter: str, after: str, limit: int) -> Listing:
        """Up to `limit` names that begin with `prefix` and sort behind `after`, rolled up at the delimiter.

        Raises:
            StoreError: 404, if there is no such bucket.
        """
        self.check_bucket(bucket)
        objects: list[Stored] = []
        prefixes: list[str] = []
        position, last = after, after
        # The page before ended with a common prefix, unless its last name is that of an object: "a/" below "a/".
        end = after.find(delimiter, len(prefix)) if delimiter and after.startswith(prefix) else -1
        if end >= 0 and end + len(delimiter) == len(after):
            position = _successor(after)
        while True:
            row = self._next_row(bucket, prefix, position)
            if row is None:
                return Listing(objects, prefixes, None)
            if len(objects) + len(prefixes) >= limit:
                return Listing(objects, prefixes, last if limit else None)
            key = row[0]
            end = key.find(delimiter, len(prefix)) if delimiter else -1
            if end >= 0:
                last = key[: end + len(delimiter)]
                prefixes.append(last)
                position = _successor(last)  # one step over everything below, however much that is
            else:
                objects.append(self._stored(row))
                last = position = key

    def _next_row(self, bucket: str, prefix: str, after: str) -> Any:
        return (
            self._connect()
            .execute(
                "SELECT key, file, size, etag, modified, headers FROM objects"
                " WHERE bucket = ? AND key > ? AND key >= ? AND key < ? ORDER BY key LIMIT 1",
                (bucket, after, prefix, _successor(prefix)),
            )
            .fetchone()
        )

    def _stored(self, row: Any) -> Stored:
        key, file, size, etag, modified, headers = row
        return Stored(key, self._path(file), size, etag, modified, json.loads(headers))

    # Multipart uploads

    def start_upload(self, bucket: str, key: str, headers: dict[str, str]) -> str:
        """The id of a new multipart upload. Raises: StoreError: 404, if there is no such bucket."""
        self.check_bucket(bucket)
        upload_id = secrets.token_hex(16)
        with self._transaction() as index:
            index.execute(
                "INSERT INTO uploads VALUES (?, ?, ?, ?, ?)", (upload_id, bucket, key, time.time(), json.dumps(headers))
            )
        return upload_id

    def get_upload(self, bucket: str, key: str, upload_id: str) -> Upload:
        """Raises: StoreError: 404, if no such upload is under way."""
        row = (
            self._connect()
            .execute(
                "SELECT id, key, started, headers FROM uploads WHERE id = ? AND bucket = ? AND key = ?",
                (upload_id, bucket, key),
            )
            .fetchone()
        )
        if row is None:
            raise StoreError("NoSuchUpload", "no multipart upload has that id: it was completed or aborted", 404)
        return Upload(row[0], row[1], row[2], json.loads(row[3]))

    def list_uploads(self, bucket: str, prefix: str) -> list[Upload]:
        """All multipart uploads under way whose key begins with `prefix`, by key."""
        self.check_bucket(bucket)
        rows = self._connect().execute(
            "SELECT id, key, started, headers FROM uploads WHERE bucket = ? AND key >= ? AND key < ?"
            " ORDER BY key, started",
            (bucket, prefix, _successor(prefix)),
        )
        return [Upload(row[0], row[1], row[2], json.loads(row[3])) for row in rows]

    def put_part(self, upload_id: str, number: int, draft: Draft, size: int, etag: str) -> None:
        """Keep the draft as a part; one of the same number is replaced. Whatever fails, nothing is left of the draft.

        Raises:
            StoreError: 404, if the upload is gone.
        """
        path = self._keep(draft)
        try:
            with self._transaction() as index:
                rows = index.execute("SELECT file FROM parts WHERE upload = ? AND number = ?", (upload_id, number))
                replaced = [row[0] for row in rows]
                values = (upload_id, number, path.name, size, etag, time.time())
                index.execute("INSERT OR REPLACE INTO parts VALUES (?, ?, ?, ?, ?, ?)", values)
        except BaseException as error:
            path.unlink(missing_ok=True)
            if isinstance(error, sqlite3.IntegrityError):
                text = "the multipart upload was completed or aborted meanwhile"
                raise StoreError("NoSuchUpload", text, 404) from None
            raise
        self._remove_files(replaced)

    def list_parts(self, upload_id: str) -> list[Part]:
        """The parts so far, by number."""
        rows = self._connect().execute(
            "SELECT number, file, size, etag, modified FROM parts WHERE upload = ? ORDER BY number", (upload_id,)
        )
        return [Part(row[0], self._path(row[1]), *row[2:]) for row in rows]

    def complete_upload(
        self,
        bucket: str,
        upload: Upload,
        parts: list[Part],
        etag: str,
        check: Callable[[Stored | None], None] | None = None,
    ) -> Stored:
        """The object that the parts have become; copied in the kernel where the file system can. `check` as for put."""
        draft = self.begin()
        try:
            size = sum(_append(part.path, draft.path) for part in parts)
            stored = self.put(bucket, upload.key, draft, size, etag, upload.headers, check)
        except BaseException:
            draft.discard()
            raise
        self.abort_upload(upload.id)
        return stored

    def abort_upload(self, upload_id: str) -> None:
        """Forget the upload and remove its parts."""
        with self._transaction() as index:
            files = [row[0] for row in index.execute("SELECT file FROM parts WHERE upload = ?", (upload_id,))]
            index.execute("DELETE FROM uploads WHERE id = ?", (upload_id,))
        self._remove_files(files)

    def sweep(self, older_than_s: float = 86400.0) -> int:
        """Number of files removed that crashes left: drafts, and files that no object and no part names."""
        named = {row[0] for row in self._connect().execute("SELECT file FROM objects UNION SELECT file FROM parts")}
        limit = time.time() - older_than_s
        orphans = [p for p in self.files.glob("*/*") if p.name not in named and _is_older(p, limit)]
        orphans += [p for p in self.drafts.iterdir() if _is_older(p, limit)]
        for path in orphans:
            path.unlink(missing_ok=True)
        return len(orphans)

    # Files

    def _path(self, name: str) -> Path:
        return self.files / name[:2] / name

    def _keep(self, draft: Draft) -> Path:
        """Where the draft lies from now on, on disk for good."""
        path = self._path(draft.path.name)
        try:
            draft.commit()
            if not path.parent.exists():
                path.parent.mkdir(exist_ok=True)
                _sync_directory(self.files)
            draft.path.rename(path)
            _sync_directory(path.parent)
        except BaseException:
            draft.discard()
            path.unlink(missing_ok=True)
            raise
        return path

    def _remove_files(self, names: list[str]) -> None:
        for name in names:
            self._path(name).unlink(missing_ok=True)


def _sync_directory(path: Path) -> None:
    """Have the names in a directory survive a power cut."""
    directory = os.open(path, os.O_RDONLY)
    try:
        os.fsync(directory)
    finally:
        os.close(directory)


def _is_older(path: Path, limit: float) -> bool:
    try:
        return path.stat().st_mtime < limit
    except FileNotFoundError:  # somebody else was quicker
        return False


def _successor(prefix: str) -> str:
    """The least text that sorts behind everything that begins with `prefix`, by code points as UTF-8 does."""
    kept = prefix.rstrip(_LAST)
    if not kept:
        return _LAST * (MAX_KEY_CHARACTERS + 1)
    code = ord(kept[-1]) + 1
    return kept[:-1] + chr(0xE000 if code == 0xD800 else code)  # surrogates are no characters


def _append(source: Path, target: Path) -> int:
    """Bytes copied from one file to the end of another."""
    copied = 0
    with open(source, "rb") as from_file, open(target, "r+b") as to_file:
        to_file.seek(0, os.SEEK_END)
        while count := os.copy_file_range(from_file.fileno(), to_file.fileno(), 1 << 26):
            copied += count
    return copied
