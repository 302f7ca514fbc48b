"""Which errors mean that the server is away."""

import pymysql
import pytest

from framework.database import errors


@pytest.mark.parametrize(
    ("error", "is_away", "is_unsent"),
    [
        (pymysql.err.OperationalError(2003, "can't connect"), True, True),
        (pymysql.err.OperationalError(2006, "gone"), True, True),
        (pymysql.err.OperationalError(2013, "lost"), True, False),
        (pymysql.err.OperationalError(1053, "shutdown"), True, False),
        (pymysql.err.InterfaceError(0, ""), True, True),
        (ConnectionResetError(), True, False),
        (pymysql.err.OperationalError(1205, "lock wait"), False, False),
        (pymysql.err.OperationalError(1213, "deadlock"), False, False),
        (pymysql.err.OperationalError(1045, "denied"), False, False),
        (pymysql.err.ProgrammingError(1064, "syntax"), False, False),
        (pymysql.err.IntegrityError(1062, "duplicate"), False, False),
    ],
)
def test_away_and_unsent(error: BaseException, is_away: bool, is_unsent: bool) -> None:
    assert errors.is_away(error) is is_away
    if is_away:
        assert errors.is_unsent(error) is is_unsent


def test_explain_says_what_to_check() -> None:
    text = errors.explain(pymysql.err.OperationalError(1045, "Access denied"), "database x at y")
    assert text == "database x at y: refused (Access denied): check DB_USER, DB_PASSWORD and DB_NAME"
    assert errors.is_deadlock(pymysql.err.OperationalError(1213, ""))
    assert errors.is_deadlock(pymysql.err.OperationalError(1020, "")) and errors.is_too_slow(
        pymysql.err.OperationalError(1969, "")
    )
    assert errors.code_of(ValueError()) == 0
