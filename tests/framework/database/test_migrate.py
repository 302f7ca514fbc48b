"""Migrations against a real server: once each, in order, two runs at a time."""

import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from framework.database import Connection
from framework.database.migrate import (
    Migration,
    MigrationError,
    choose_pending,
    main,
    migrate,
    read_migrations,
    split_statements,
)
from tests.support.mysql import Server


@pytest.fixture
def db(mysql_server: Server) -> Iterator[Connection]:
    connection = Connection(mysql_server.socket, "test", "test", "secret")
    connection.execute("DROP TABLE IF EXISTS schema_migrations, one, two")
    yield connection
    connection.close()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "0001_one.sql").write_text(
        "-- the first; of two\nCREATE TABLE one (id INT); INSERT INTO one VALUES (1);\n"
    )
    (tmp_path / "0002_two.sql").write_text("CREATE TABLE two (t VARCHAR(20) DEFAULT 'a;b');")
    return tmp_path


def test_migrate_applies_each_file_once(db: Connection, folder: Path) -> None:
    assert migrate(db, folder, is_dry_run=True) == migrate(db, folder) == ["0001_one.sql", "0002_two.sql"]
    assert migrate(db, folder) == []
    (folder / "0003_three.sql").write_text("INSERT INTO one VALUES (3)")
    assert migrate(db, folder) == ["0003_three.sql"]
    assert [row.id for row in db.query("SELECT id FROM one")] == [1, 3]


def test_two_runs_at_once_apply_once(db: Connection, folder: Path, mysql_server: Server) -> None:
    applied: list[str] = []

    def run() -> None:
        connection = Connection(mysql_server.socket, "test", "test", "secret")
        applied.extend(migrate(connection, folder))
        connection.close()

    threads = [threading.Thread(target=run) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(applied) == ["0001_one.sql", "0002_two.sql"]
    assert db.get("SELECT COUNT(*) AS n FROM one") == {"n": 1}


def test_changed_file_is_refused(db: Connection, folder: Path) -> None:
    migrate(db, folder)
    (folder / "0001_one.sql").write_text("CREATE TABLE one (id BIGINT)")
    with pytest.raises(MigrationError, match="was changed after it had been applied"):
        migrate(db, folder)


def test_failing_statement_is_named(db: Connection, folder: Path) -> None:
    (folder / "0003_bad.sql").write_text("CREATE TABLE one (id INT)")
    with pytest.raises(MigrationError, match=r"0003_bad\.sql: Table 'one' already exists, in: CREATE TABLE one"):
        migrate(db, folder)


def test_choose_pending_refuses_gaps_filled_later() -> None:
    available = [Migration(1, "0001_a.sql", "x"), Migration(2, "0002_b.sql", "y")]
    with pytest.raises(MigrationError, match=r"0001_a\.sql comes before 0002_b\.sql"):
        choose_pending(available, {2: ("0002_b.sql", available[1].checksum)})
    assert choose_pending(available, {1: ("0001_a.sql", available[0].checksum)}) == available[1:]


@pytest.mark.parametrize(
    ("name", "message"), [("one.sql", "expected a name such as"), ("0002_again.sql", "have the same number")]
)
def test_wrong_names_are_refused(folder: Path, name: str, message: str) -> None:
    (folder / name).write_text("")
    with pytest.raises(MigrationError, match=message):
        read_migrations(folder)
    with pytest.raises(MigrationError, match="no such folder"):
        read_migrations(folder / "none")


@pytest.mark.parametrize(
    ("sql", "statements"),
    [
        ("a; b;\n\n;c", ["a", "b", "c"]),
        ("a ';' \"x;y\" `;` -- no;\n# no;\n/* no; */ b", ["a ';' \"x;y\" `;` \n\n b"]),
        ("'it''s; \\'; ok'; b", ["'it''s; \\'; ok'", "b"]),
        ("a - b -1; /*!40000 x */", ["a - b -1", "/*!40000 x */"]),
        ("", []),
    ],
)
def test_split_statements(sql: str, statements: list[str]) -> None:
    assert split_statements(sql) == statements


def test_command_line(
    db: Connection,
    folder: Path,
    mysql_server: Server,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    for name, value in {"SOCKET": mysql_server.socket, "NAME": "test", "USER": "test", "PASSWORD": "secret"}.items():
        monkeypatch.setenv(f"DB_{name}", value)
    assert main(["migrate", "--dry-run", str(folder)]) == 0
    assert main(["migrate", str(folder)]) == 0
    assert main(["migrate", str(folder)]) == 0
    out = capsys.readouterr().out
    assert "would apply 0001_one.sql" in out and "applied 0002_two.sql" in out and "nothing to do" in out
    monkeypatch.setenv("DB_PASSWORD", "wrong")
    assert main(["migrate", str(folder)]) == 1
    assert main(["migrate"]) == 1
    monkeypatch.setenv("DB_SOCKET", "/nowhere")
    assert main(["migrate", "--wait-s=0", str(folder)]) == 1
    assert capsys.readouterr().err.count("migrate: ") == 3
