"""The work that no visitor waits for: `python -m app.worker`. Forgets old events, which no open page asks for any more.

It outlives an absent database, and ends at SIGTERM once what it has begun is done.
"""

import asyncio
import signal
import sys

from app.settings import read_settings
from framework.database import DatabaseError, DatabaseUnavailable, Pool
from framework.errors import FrameworkError
from framework.log import app_log, define_logging_options, enable_pretty_logging
from framework.options import OptionParser

ROUND_EVERY_S = 60.0
AFTER_FAILURE_S = 5.0
KEEP_EVENTS = 100_000
FORGET_AT_ONCE = 1000  # rows of one statement: a long lock would hold up those who write


async def forget_old_events(pool: Pool) -> int:
    """The number of events forgotten: those more than KEEP_EVENTS behind the latest."""
    row = await pool.get("SELECT MAX(seq) AS latest FROM events")
    limit = (row.latest if row and row.latest else 0) - KEEP_EVENTS
    forgotten = 0
    while limit > 0:
        count = await pool.execute_rowcount("DELETE FROM events WHERE seq <= %s LIMIT %s", limit, FORGET_AT_ONCE)
        forgotten += count
        if count < FORGET_AT_ONCE:
            break
    return forgotten


async def run(pool: Pool, stopping: asyncio.Event) -> None:
    """Work in rounds until told to stop."""
    while not stopping.is_set():
        pause_s = ROUND_EVERY_S
        try:
            if count := await forget_old_events(pool):
                app_log.info("worker: forgot %d events", count)
        except (DatabaseUnavailable, DatabaseError) as error:
            app_log.warning("worker: %s", error)
            pause_s = AFTER_FAILURE_S
        try:
            async with asyncio.timeout(pause_s):
                await stopping.wait()
        except TimeoutError:
            pass


async def main() -> None:
    settings = read_settings()
    stopping = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stopping.set)
    pool = Pool(settings.database, size=1)
    app_log.info("worker: started")
    await run(pool, stopping)
    await pool.close()


if __name__ == "__main__":
    try:
        options = OptionParser()
        define_logging_options(options)
        options.parse_environment()
        enable_pretty_logging(options)
        asyncio.run(main())
    except FrameworkError as error:
        sys.exit(f"worker: {error}")
