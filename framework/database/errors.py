"""What can go wrong with a database, and which of it a visitor is told to try again."""

from pymysql.err import Error as DatabaseError
from pymysql.err import IntegrityError, InterfaceError, OperationalError

from framework.errors import FrameworkError

__all__ = ["DatabaseError", "DatabaseUnavailable", "IntegrityError", "OperationalError", "PoolTimeout"]

# MySQL's client errors, and the server's that mean the same: nobody is there, or nobody is there any more.
_AWAY = frozenset(
    (1040, 1053, 1077, 1152, 1158, 1159, 1160, 1161, 1184, 1205, 1927, 2002, 2003, 2006, 2013, 2014, 2055, 4031)
)
_AWAY_BEFORE_SENDING = frozenset((1040, 2002, 2003, 2006))
# A deadlock's victim; and MariaDB's word (innodb_snapshot_isolation, on since 11.6) for what would lose an update.
_BEGIN_ANEW = frozenset((1020, 1213))
_DENIED = frozenset((1044, 1045, 1049, 1698))
_MAX_STATEMENT_TIME = frozenset((1969, 3024))


class DatabaseUnavailable(FrameworkError):
    """The database can't be reached, or went away; try again in `retry_after_s` seconds.

    `is_outcome_unknown` is True if a write was under way: it may have happened or not. It is never repeated here;
    whoever repeats it must be able to tell (an id of the client's own, unique in the table).
    """

    retry_after_s = 2

    def __init__(self, message: str, is_outcome_unknown: bool = False) -> None:
        super().__init__(message)
        self.is_outcome_unknown = is_outcome_unknown


class PoolTimeout(DatabaseUnavailable):
    """No connection of the pool became free in time, or a statement took too long."""


def code_of(error: BaseException) -> int:
    """The server's or the driver's error number; 0 if there is none."""
    first = error.args[0] if error.args else 0
    return first if isinstance(first, int) else 0


def is_away(error: BaseException) -> bool:
    """Whether the error says that the server is not there, rather than that it refuses."""
    if isinstance(error, InterfaceError):
        return True  # the driver: the connection is closed
    if isinstance(error, OperationalError):
        return code_of(error) in _AWAY and code_of(error) != 1205
    return isinstance(error, OSError | EOFError)


def is_unsent(error: BaseException) -> bool:
    """Whether the statement surely did not reach the server."""
    return isinstance(error, InterfaceError) or code_of(error) in _AWAY_BEFORE_SENDING


def is_deadlock(error: BaseException) -> bool:
    """Whether the transaction is to be begun anew: it lost a deadlock, or what it had read has been changed since."""
    return code_of(error) in _BEGIN_ANEW


def is_too_slow(error: BaseException) -> bool:
    """Whether the server ended the statement because it took too long."""
    return code_of(error) in _MAX_STATEMENT_TIME


def explain(error: BaseException, place: str) -> str:
    """One sentence for the operator: what failed where, and what to do."""
    code = code_of(error)
    detail = error.args[1] if len(error.args) > 1 else str(error) or type(error).__name__
    if code in _DENIED:
        return f"{place}: refused ({detail}): check DB_USER, DB_PASSWORD and DB_NAME"
    return f"{place}: {detail}"
