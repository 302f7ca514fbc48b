"""MySQL and MariaDB: the seed's thin blocking wrapper, and a pool for handlers that never blocks the loop.

    db = database.Connection("localhost", "blog")              # scripts, tools: blocking
    for entry in db.query("SELECT * FROM entries WHERE author = %s", name):
        print(entry.title)

    pool = database.Pool(database.Address("/run/db/mysqld.sock", "blog"))   # handlers
    row = await pool.get("SELECT * FROM entries WHERE id = %s", entry_id)
    async with pool.transaction() as tx:
        await tx.execute("UPDATE counters SET n = n + 1 WHERE id = %s", 1)

    driver      PyMySQL, without what it seldom needs
    errors      what can go wrong, in one place
    connection  one connection, blocking
    columns     the columns of a result, and how their values are read
    resultset   the server's answers, from bytes
    statements  statements to bytes, and what can be asked
    channel     one connection on the loop
    turns       who may use which connection when
    pool        many connections, from coroutines
    replicas    a primary and the servers that follow it
    migrate     numbered SQL files, applied once: `python -m framework.database.migrate DIR`

Values go beside the statement, `%s` or `%(name)s`, and never into its text. The isolation of a transaction is the
server's default, REPEATABLE READ, under which MySQL loses an update that was computed from a plain SELECT; MariaDB
(since 11.6) refuses it, and `run_transaction` begins anew. Write `SET n = n + 1`, lock with SELECT … FOR UPDATE, or ask
for SERIALIZABLE: right on both.
"""

# First: it decides what comes with PyMySQL.
import framework.database.driver  # noqa: F401
from framework.database.connection import Address, Connection, Row
from framework.database.errors import DatabaseError, DatabaseUnavailable, IntegrityError, OperationalError, PoolTimeout
from framework.database.pool import Pool, Transaction
from framework.database.replicas import Replicated
from framework.database.resultset import AnswerTooLarge

__all__ = [
    "Address",
    "AnswerTooLarge",
    "Connection",
    "DatabaseError",
    "DatabaseUnavailable",
    "IntegrityError",
    "OperationalError",
    "Pool",
    "PoolTimeout",
    "Replicated",
    "Row",
    "Transaction",
]
