"""Values in their place, as the driver escapes them, whatever the session's mode."""

import datetime
from collections.abc import Iterator
from decimal import Decimal
from typing import Any

import pymysql
import pytest
from hypothesis import given
from hypothesis import strategies as st

from framework.database import Address
from framework.database.statements import Many, Statements, compose
from tests.support.mysql import Server

NO_BACKSLASH_ESCAPES = 0x0200


class Marked(str):
    __slots__ = ()


@pytest.fixture(scope="module")
def db(mysql_server: Server) -> Iterator[Any]:
    db = Address(mysql_server.socket, "test", "test", "secret").connect(5)
    yield db
    db.close()


VALUES = st.one_of(
    st.none(), st.booleans(), st.integers(), st.floats(allow_nan=False, allow_infinity=False), st.text(), st.binary(),
    st.decimals(allow_nan=False, allow_infinity=False), st.datetimes(), st.dates(), st.timedeltas(),
    st.text().map(Marked), st.lists(st.integers(), min_size=1, max_size=3),
)  # fmt: skip


@given(values=st.lists(VALUES, max_size=4), mode=st.sampled_from([0, NO_BACKSLASH_ESCAPES]))
def test_values_are_escaped_as_by_pymysql(db: Any, values: list[Any], mode: int) -> None:
    query = "SELECT " + ", ".join(["%s"] * len(values)) + " -- 100%%"
    before, db.server_status = db.server_status, mode
    try:
        theirs = db.cursor().mogrify(query, tuple(values))
    except UnicodeEncodeError:
        theirs = None
    finally:
        ours = compose(db, query, tuple(values)) if theirs is not None else None
        db.server_status = before
    assert ours == (theirs.encode() if theirs is not None else None)


@given(text=st.text(st.characters(exclude_categories=["Cs"])))
@pytest.mark.parametrize("mode", ["TRADITIONAL", "TRADITIONAL,NO_BACKSLASH_ESCAPES"])
def test_texts_come_back_from_the_server(db: Any, mode: str, text: str) -> None:
    with db.cursor() as cursor:
        cursor.execute("SET sql_mode = %s", (mode,))
        db.query(compose(db, "SELECT %s AS v, %(x)s".replace("%(x)s", "%s"), (text, f"{text}'\\")).decode())
        ((ours, ending),) = db._result.rows
        cursor.execute("SET sql_mode = 'TRADITIONAL'")
    assert (ours, ending) == (text, f"{text}'\\")


def test_named_values_and_none(db: Any) -> None:
    assert compose(db, "%(b)s %(a)s %(b)s", {"a": "it's", "b": 1}) == b"1 'it\\'s' 1"
    assert compose(db, "100%", None) == b"100%"
    assert compose(db, "%s %s", ["ü", Decimal("1.50")]) == "'ü' 1.50".encode()
    assert compose(db, "%s", (datetime.date(2011, 2, 28),)) == b"'2011-02-28'"


@pytest.mark.parametrize(
    ("query", "values", "error"),
    [
        ("%s", (), TypeError),
        ("%s", (1, 2), TypeError),
        ("%(a)s", {"b": 1}, KeyError),
        ("%d %q", (1, 2), (TypeError, ValueError)),
        ("%s", (float("inf"),), pymysql.err.ProgrammingError),
        ("%s", ({"a": 1},), TypeError),
        ("%s", ("\ud800",), UnicodeEncodeError),
    ],
)
def test_values_that_do_not_fit_are_an_error(db: Any, query: str, values: Any, error: Any) -> None:
    with pytest.raises(error):
        compose(db, query, values)


def test_many_rows_go_in_statements_of_a_megabyte(db: Any) -> None:
    many = Many("INSERT INTO t VALUES ", "(%s)", "", [("x" * 300_000,)] * 10)
    sizes = []
    while many.at < len(many.rows):
        first = many.compose(db)
        assert many.compose(db) == first  # a statement may have to be made again
        sizes.append((many.next - many.at, len(first)))
        many.at = many.next
    assert [count for count, _ in sizes] == [3, 3, 3, 1] and max(size for _, size in sizes) < 1_000_000
    assert Many("", "(%s)", "", [("x" * 3_000_000,)]).compose(db).startswith(b"('xxx")


def test_statements_is_only_what_can_be_asked() -> None:
    with pytest.raises(TypeError):
        Statements()  # type: ignore[abstract]
