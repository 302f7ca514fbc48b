"""The application with a database of its own, and visitors with cookies."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from app.application import FeedApplication
from app.settings import Settings
from framework import locale
from framework.database import Address, Connection
from framework.database.migrate import migrate
from tests.support.mysql import Server

MIGRATIONS = Path(__file__).parents[2] / "app" / "migrations"
TABLES = "schema_migrations, identities, events, sequences, likes, comments, entries, users"
Scenario = Callable[[FeedApplication], Awaitable[None]]


@pytest.fixture
def database(mysql_server: Server) -> Address:
    """An empty, migrated database."""
    address = Address(mysql_server.socket, "test", "test", "secret")
    db = Connection(address.host, address.database, address.user, address.password)
    db.execute(f"DROP TABLE IF EXISTS {TABLES}")
    migrate(db, MIGRATIONS)
    db.close()
    return address


@pytest.fixture
def run(database: Address) -> Iterator[Callable[[Scenario], None]]:
    """Runs a scenario with an application that is warm."""
    before = (locale._catalogue.default, locale._catalogue.locales)

    def run_one(scenario: Scenario) -> None:
        async def whole() -> None:
            async with serving(database) as application:
                await scenario(application)

        asyncio.run(whole())

    yield run_one
    locale._catalogue.default, locale._catalogue.locales = before
    locale._catalogue.closest = {}


@asynccontextmanager
async def serving(address: Address, bus: str = "", **settings: Any) -> AsyncIterator[FeedApplication]:
    """An application that has warmed up, and shuts down afterwards."""
    secrets = ("a secret of the tests, long enough",)
    application = FeedApplication(Settings(address, secrets, bus, has_test_routes=True, **settings))
    await application.warm_up()
    yield application
    await application.shut_down()
