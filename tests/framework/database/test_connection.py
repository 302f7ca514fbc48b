"""The blocking wrapper against a real server."""

import datetime
from collections.abc import Iterator

import pytest

from framework.database import Address, Connection, DatabaseUnavailable, IntegrityError, OperationalError, Row
from framework.database.errors import DatabaseError
from tests.support.mysql import Server


@pytest.fixture
def db(mysql_server: Server) -> Iterator[Connection]:
    connection = Connection(mysql_server.socket, "test", "test", "secret")
    connection.execute("DROP TABLE IF EXISTS articles")
    connection.execute(
        "CREATE TABLE articles (id INT PRIMARY KEY AUTO_INCREMENT, title VARCHAR(50) UNIQUE, made DATETIME)"
    )
    yield connection
    connection.close()


def test_item_128_query_get_execute(db: Connection) -> None:
    first = db.execute("INSERT INTO articles (title) VALUES (%s)", "ünïcode 🌍")
    assert db.execute_lastrowid("INSERT INTO articles (title) VALUES (%(title)s)", title="named") == first + 1
    assert [row.title for row in db.query("SELECT * FROM articles ORDER BY id")] == ["ünïcode 🌍", "named"]
    row = db.get("SELECT * FROM articles WHERE id = %s", first)
    assert row is not None and (row.title, row["id"], row.made) == ("ünïcode 🌍", first, None)
    assert db.get("SELECT * FROM articles WHERE id = 0") is None
    with pytest.raises(ValueError, match="got 2"):
        db.get("SELECT * FROM articles")
    assert db.execute_rowcount("UPDATE articles SET title = title") == 2


def test_item_128_executemany_and_iter(db: Connection) -> None:
    db.executemany("INSERT INTO articles (title) VALUES (%s)", [(f"t{n}",) for n in range(500)])
    assert sum(1 for _ in db.iter("SELECT * FROM articles")) == 500
    assert db.get("SELECT COUNT(*) AS n FROM articles") == {"n": 500}


def test_row_names_the_missing_column() -> None:
    with pytest.raises(AttributeError, match="no column 'x'"):
        Row(a=1).x  # noqa: B018


def test_times_are_utc_and_truncation_is_an_error(db: Connection) -> None:
    row = db.get("SELECT UTC_TIMESTAMP() = NOW() AS same, %s AS at", datetime.datetime(2011, 2, 28))
    assert row is not None and row.same == 1
    with pytest.raises(DatabaseError, match="Data too long"):
        db.execute("INSERT INTO articles (title) VALUES (%s)", "x" * 51)


def test_errors_are_truthful(db: Connection) -> None:
    db.execute("INSERT INTO articles (title) VALUES ('once')")
    with pytest.raises(IntegrityError):
        db.execute("INSERT INTO articles (title) VALUES ('once')")
    with pytest.raises(DatabaseError, match="syntax"):
        db.query("SELEC 1")


@pytest.mark.parametrize(
    "payload",
    [
        "' OR '1'='1",
        "'; DROP TABLE articles; -- ",
        "\\' OR 1=1 #",
        "\x00'\x1a",
        "%s %(x)s",
        '" OR ""="',
        "1) UNION SELECT 1",
    ],
)
def test_values_never_become_sql(db: Connection, payload: str) -> None:
    db.execute("INSERT INTO articles (title) VALUES (%s)", payload)
    assert [row.title for row in db.query("SELECT title FROM articles WHERE title = %s", payload)] == [payload]
    assert db.query("SELECT title FROM articles WHERE title = %s", payload + "x") == []


def test_lost_connection_heals_outside_of_a_transaction(db: Connection, mysql_server: Server) -> None:
    row = db.get("SELECT CONNECTION_ID() AS id")
    assert row is not None
    with mysql_server.connect_as_root() as root, root.cursor() as cursor:
        cursor.execute(f"KILL {row.id}")
    assert db.get("SELECT 1 AS one") == {"one": 1}


def test_lost_connection_within_a_transaction_is_an_error(db: Connection, mysql_server: Server) -> None:
    db.execute("START TRANSACTION")
    row = db.get("SELECT CONNECTION_ID() AS id")
    assert row is not None
    with mysql_server.connect_as_root() as root, root.cursor() as cursor:
        cursor.execute(f"KILL {row.id}")
    with pytest.raises(DatabaseUnavailable):
        db.query("SELECT 1")
    assert db.get("SELECT 1 AS one") == {"one": 1}


def test_idle_connection_is_made_anew(mysql_server: Server) -> None:
    db = Connection(mysql_server.socket, "test", "test", "secret", max_idle_time=0)
    first, second = (db.get("SELECT CONNECTION_ID() AS id") for _ in range(2))
    assert first is not None and second is not None and first.id != second.id
    db.close()


def test_wrong_password_and_absent_server_are_told_apart(mysql_server: Server) -> None:
    with pytest.raises(OperationalError, match="Access denied"):
        Connection(mysql_server.socket, "test", "test", "wrong").query("SELECT 1")
    with pytest.raises(DatabaseUnavailable, match="nowhere"):
        Connection("/nowhere", "test", "test", "secret").query("SELECT 1")


@pytest.mark.parametrize(
    ("host", "split"),
    [
        ("/run/s.sock", {"unix_socket": "/run/s.sock"}),
        ("db", {"host": "db", "port": 3306}),
        ("db:3307", {"host": "db", "port": 3307}),
        ("[::1]:3307", {"host": "::1", "port": 3307}),
        ("::1", {"host": "::1", "port": 3306}),
    ],
)
def test_address_forms(host: str, split: dict[str, object]) -> None:
    assert Address(host, "test").split() == split
    assert "secret" not in repr(Address(host, "test", "user", "secret"))
