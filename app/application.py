"""The parts put together: settings, database, bus, routes."""

from pathlib import Path
from typing import Any

from app.entries import NotFoundHandler
from app.feed import Feed
from app.routes import ROUTES, TEST_ROUTES
from app.settings import Settings, read_settings
from app.updates import Updates
from framework import locale
from framework.bus import Bus
from framework.database import DatabaseUnavailable, Pool
from framework.log import app_log
from framework.template import Loader
from framework.web import Application

HERE = Path(__file__).parent
# A page must say within two seconds that the database is away: connecting, waiting for a turn and asking have their
# share.
STATEMENT_TIMEOUT_S = 1.8
ACQUIRE_TIMEOUT_S = 1.8


class FeedApplication(Application):
    """The feed. `warm_up` and `shut_down` are called by the frontend before its first and after its last request."""

    def __init__(self, environment: Settings) -> None:
        self.environment = environment
        self.loader = Loader(HERE / "templates")
        locale.load_translations(HERE / "translations")
        versions = dict(enumerate(reversed(environment.cookie_secrets)))
        settings: dict[str, Any] = {
            "cookie_secret": versions,
            "key_version": max(versions),
            "xsrf_cookies": True,
            "login_url": "/login",
            "static_path": str(HERE / "static"),
            "template_loader": self.loader,
            "default_handler_class": NotFoundHandler,
            "debug": environment.debug,
            "autoreload": False,
            "openid_connect": environment.openid_connect,
        }
        super().__init__(ROUTES + (TEST_ROUTES if environment.has_test_routes else []), **settings)
        self.pool = Pool(
            environment.database, acquire_timeout_s=ACQUIRE_TIMEOUT_S, statement_timeout_s=STATEMENT_TIMEOUT_S
        )
        self.feed = Feed(self.pool)
        self.bus = Bus(environment.bus)
        self.updates: Updates

    async def warm_up(self) -> None:
        """Compile the templates, connect to bus and database; an absent database does not keep us from starting."""
        for path in sorted((HERE / "templates").iterdir()):
            self.loader.load(path.name)
        await self.bus.start()
        self.updates = Updates(self.feed, self.bus)
        self.updates.start()
        try:
            await self.pool.ping()
        except DatabaseUnavailable as error:
            app_log.error("starting without the database: %s", error)

    async def shut_down(self) -> None:
        """Answer those who wait, and disconnect."""
        await self.updates.close()
        await self.bus.close()
        await self.pool.close()


def make_application() -> FeedApplication:
    """The application as the environment wants it.

    Raises:
        OptionError: if a setting is missing or wrong.
    """
    return FeedApplication(read_settings())
