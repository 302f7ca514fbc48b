"""Numbered SQL files, applied once each and in order: `python -m framework.database.migrate DIR`.

A folder holds `0001_entries.sql`, `0002_likes.sql`, …. Each applied file is noted with its checksum in the table
`schema_migrations`; a file that was changed afterwards is an error. A lock in the server keeps two runs apart: the
second waits and finds nothing to do. MySQL commits every change of a table at once, so a file that fails half way
says which statement it was: keep files small. Expand, backfill, contract: a migration must suit the old code and the
new one.
"""

import hashlib
import re
import sys
import time
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import pymysql

from framework.database.connection import Connection
from framework.database.errors import DatabaseError, DatabaseUnavailable
from framework.errors import FrameworkError
from framework.options import OptionError, OptionParser

LOCK_NAME = "squall.migrate"
_NAME = re.compile(r"([0-9]{1,9})_[a-z0-9_]+\.sql", re.ASCII)
_TABLE = """CREATE TABLE IF NOT EXISTS schema_migrations (
    number INT UNSIGNED PRIMARY KEY, name VARCHAR(255) NOT NULL, checksum CHAR(64) NOT NULL,
    applied_at TIMESTAMP NOT NULL DEFAULT CURRENT_TIMESTAMP) CHARACTER SET utf8mb4"""
# Text, quoted names and comments, in which a semicolon does not end a statement.
_PIECES = re.compile(
    r"'(?:[^'\\]|\\.|'')*+'|"
    r"\"(?:[^\"\\]|\\.|\"\")*+\"|`[^`]*+`|--[ \t][^\n]*+|--$|#[^\n]*+|/\*.*?\*/|;|[^'\"`;#/-]++|.",
    re.DOTALL | re.MULTILINE,
)


class MigrationError(FrameworkError):
    """A migration can't be read or applied; the text says which, and where."""


@dataclass(frozen=True, slots=True)
class Migration:
    """One file: its number, name, and the SQL in it."""

    number: int
    name: str
    sql: str

    @property
    def checksum(self) -> str:
        """What tells whether the file was changed after it ran."""
        return hashlib.sha256(self.sql.encode()).hexdigest()


def read_migrations(directory: Path) -> list[Migration]:
    """The migrations of a folder, by number.

    Raises:
        MigrationError: if the folder can't be read, a name has no number, or a number comes twice.
    """
    try:
        paths = sorted(directory.glob("*.sql"))
        found = [Migration(_number_of(path), path.name, path.read_text()) for path in paths]
        is_folder = directory.is_dir()
    except (OSError, UnicodeDecodeError) as error:
        raise MigrationError(f"{directory}: {error}") from error
    if not is_folder:
        raise MigrationError(f"{directory}: no such folder of migrations")
    found.sort(key=lambda migration: migration.number)
    for one, next_one in pairwise(found):
        if one.number == next_one.number:
            raise MigrationError(f"{one.name} and {next_one.name} have the same number")
    return found


def _number_of(path: Path) -> int:
    match = _NAME.fullmatch(path.name)
    if match is None:
        raise MigrationError(f"{path}: expected a name such as 0001_create_entries.sql")
    return int(match[1])


def choose_pending(available: list[Migration], applied: dict[int, tuple[str, str]]) -> list[Migration]:
    """What is still to be applied; `applied` maps number to name and checksum.

    Raises:
        MigrationError: if an applied file was changed, or a new one is numbered below an applied one.
    """
    highest = max(applied, default=0)
    pending = []
    for migration in available:
        if migration.number in applied:
            if applied[migration.number][1] != migration.checksum:
                raise MigrationError(
                    f"{migration.name} was changed after it had been applied: restore it, and write a new migration"
                )
        elif migration.number < highest:
            raise MigrationError(
                f"{migration.name} comes before {applied[highest][0]}, which is applied: give it a higher number"
            )
        else:
            pending.append(migration)
    return pending


def split_statements(sql: str) -> list[str]:
    """The statements of a file, without comments and without the semicolons between them."""
    statements, current = [], ""
    for match in _PIECES.finditer(sql):
        piece = match[0]
        if piece == ";":
            statements.append(current.strip())
            current = ""
        elif not (piece.startswith(("#", "/*")) or re.match(r"--(?:[ \t]|$)", piece)) or piece.startswith("/*!"):
            current += piece
    statements.append(current.strip())
    return [statement for statement in statements if statement]


def migrate(db: Connection, directory: Path, lock_timeout_s: int = 60, is_dry_run: bool = False) -> list[str]:
    """The names of the migrations that were applied, or would be.

    Raises:
        MigrationError: see read_migrations and choose_pending, or a statement failed.
        DatabaseUnavailable: the database is away.
    """
    available = read_migrations(directory)
    lock = db.get("SELECT GET_LOCK(%s, %s) AS got", LOCK_NAME, lock_timeout_s)
    if lock is None or lock.got != 1:
        raise MigrationError(f"another migration has been running for {lock_timeout_s} s: look at SHOW PROCESSLIST")
    try:
        db.execute(_TABLE)
        rows = db.query("SELECT number, name, checksum FROM schema_migrations")
        pending = choose_pending(available, {row.number: (row.name, row.checksum) for row in rows})
        if not is_dry_run:
            for migration in pending:
                _apply(db, migration)
        return [migration.name for migration in pending]
    finally:
        db.query("SELECT RELEASE_LOCK(%s)", LOCK_NAME)


def _apply(db: Connection, migration: Migration) -> None:
    for statement in split_statements(migration.sql):
        try:
            db.execute(statement)
        except DatabaseError as error:
            detail = error.args[-1] if error.args else error
            shown = " ".join(statement.split())[:120]
            raise MigrationError(f"{migration.name}: {detail}, in: {shown}") from error
    db.execute(
        "INSERT INTO schema_migrations (number, name, checksum) VALUES (%s, %s, %s)",
        *(migration.number, migration.name, migration.checksum),
    )


def wait_for(db: Connection, timeout_s: float) -> None:
    """Return once the database answers.

    Raises:
        DatabaseUnavailable: if it does not within timeout_s.
    """
    deadline = time.monotonic() + timeout_s
    while True:
        try:
            db.reconnect()
            return
        except DatabaseUnavailable:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.2)


def define_database_options(options: OptionParser) -> None:
    """Declare where the database is: DB_SOCKET, or DB_HOST and DB_PORT, with DB_NAME, DB_USER and DB_PASSWORD."""
    options.define(
        "db_socket", default="", help="path of the server's unix socket; unused if DB_HOST is set", group="database"
    )
    options.define("db_host", default="", help="host of a server elsewhere", group="database")
    options.define("db_port", default=3306, help="its port", group="database")
    options.define("db_name", default="squall", help="name of the database", group="database")
    options.define("db_user", default="squall", help="user", group="database")
    options.define("db_password", default="", help="password; better as DB_PASSWORD_FILE", group="database")


def host_of(options: OptionParser) -> str:
    """The `host` of a Connection or Address that the settings name."""
    if options.db_host:
        return f"{options.db_host}:{options.db_port}"
    return str(options.db_socket or f"127.0.0.1:{options.db_port}")


def main(arguments: list[str]) -> int:
    """Apply the migrations of the folder that the command line names; the exit status."""
    options = OptionParser()
    define_database_options(options)
    options.define("wait_s", default=60.0, help="seconds to wait for the database", group="migrate")
    options.define("dry_run", default=False, help="only say what would be applied", group="migrate")
    try:
        options.parse_environment(final=False)
        folders = options.parse_command_line(arguments)
        if len(folders) != 1:
            raise OptionError("usage: python -m framework.database.migrate [OPTIONS] DIR")
        db = Connection(host_of(options), options.db_name, options.db_user, options.db_password)
        wait_for(db, options.wait_s)
        names = migrate(db, Path(folders[0]), is_dry_run=options.dry_run)
    except (FrameworkError, pymysql.err.Error) as error:
        print(f"migrate: {error.args[-1] if error.args else error}", file=sys.stderr)
        return 1
    for name in names:
        print(f"migrate: {'would apply' if options.dry_run else 'applied'} {name}")
    if not names:
        print("migrate: nothing to do")
    db.close()
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv))
