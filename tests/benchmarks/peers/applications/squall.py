"""Squall, run by the appliance's own `framework.frontend`, so that all that production has on is on.

Beside its slot it listens on a TCP port, so that `ab` and `wrk` can ask it without nginx.
"""

import os
import sys
import tempfile
from pathlib import Path
from typing import Any

from framework import frontend, locale, netutil
from framework.database import Address, Pool
from framework.events import Waiters
from framework.httpserver import HTTPServer
from framework.web import Application, RequestHandler, StaticFileHandler
from framework.websocket import WebSocketHandler
from tests.benchmarks.peers import content
from tests.benchmarks.peers.applications import address

# What `listen` of an application may be given, too: short connections come to us with their request.
DEFER_ACCEPT_S = 5
PACKAGE = "tests.benchmarks.peers.applications"


class HelloHandler(RequestHandler):
    def get(self) -> None:
        self.write(content.HELLO)


class LoginHandler(RequestHandler):
    def get(self) -> None:
        self.set_signed_cookie("user", content.USER)
        self.write("in")


class PageHandler(RequestHandler):
    def get_current_user(self) -> Any:
        name = self.get_signed_cookie("user")
        return name.decode() if name else None

    def get(self) -> None:
        self.render("page.html", user=self.current_user, entries=content.ENTRIES)


class RowHandler(RequestHandler):
    async def get(self) -> None:
        row = await self.application.pool.get(content.ROW_QUERY, content.ROW_ID)
        self.write(row)


class RowsHandler(RequestHandler):
    async def get(self) -> None:
        self.render("rows.html", rows=await self.application.pool.query(content.ROWS_QUERY))


class PostHandler(RequestHandler):
    def post(self) -> None:
        self.write(str(len(self.request.body)))


class EchoHandler(WebSocketHandler):
    async def on_message(self, message: str | bytes) -> None:
        await self.write_message(message)


class PollHandler(RequestHandler):
    async def get(self) -> None:
        self.write(str(await self.application.news.wait(self, timeout_s=120)))


class WakeHandler(RequestHandler):
    def get(self) -> None:
        self.write(str(self.application.news.wake("news")))


class NumberHandler(RequestHandler):
    def get(self, number: str) -> None:
        self.write(content.HELLO)


class BenchmarkApplication(Application):
    """All jobs in one application, with what they share."""

    news: Waiters[str]
    pool: Pool

    async def warm_up(self) -> None:
        self.news = Waiters()
        if content.DATABASE_SOCKET:
            names = (content.DATABASE_NAME, content.DATABASE_USER, content.DATABASE_PASSWORD)
            self.pool = Pool(Address(content.DATABASE_SOCKET, *names), size=content.POOL_SIZE)
            await self.pool.ping()
        port = int(os.environ.get("BENCH_PORT", "0"))
        if port:
            # As the frontend makes the one of its slot.
            server = HTTPServer(self, xheaders=True, max_body_bytes=frontend.parse_size("32m"))
            server.add_sockets(netutil.bind_sockets(port, "127.0.0.1", defer_accept_s=DEFER_ACCEPT_S))


def make_application() -> Application:
    """The application; APP names this function."""
    locale.load_translations(content.TRANSLATIONS)
    # Up to a thousand further routes: what an application with many pages has.
    numbered = [(f"/number{number}/([0-9]+)", NumberHandler) for number in range(1000 - content.ROUTES, 1000)]
    return BenchmarkApplication(
        [
            ("/", HelloHandler),
            ("/login", LoginHandler),
            ("/page", PageHandler),
            ("/row", RowHandler),
            ("/rows", RowsHandler),
            ("/post", PostHandler),
            ("/echo", EchoHandler),
            ("/poll", PollHandler),
            ("/wake", WakeHandler),
            *numbered,
            ("/static/(.*)", StaticFileHandler, {"path": str(content.STATIC_FOLDER)}),
        ],
        template_path=str(content.TEMPLATES / "blocks"),
        cookie_secret=content.SECRET,
    )


def main(place: address.Address, application: str = f"{PACKAGE}.squall:make_application") -> int:
    """Run one frontend of the application until it is told to end; its exit status."""
    with tempfile.TemporaryDirectory(prefix="squall-bench-frontend-") as folder:
        os.environ.update(APP=application, BENCH_PORT=str(place.port), DRAIN_DEADLINE_S="1", LOG_FORMAT="json")
        os.environ["FRONTENDS_DIR"] = str(Path(place.path).parent if place.path else Path(folder, "frontends"))
        os.environ["CONTROL_DIR"] = str(Path(folder, "control"))
        for name in ("FRONTENDS_DIR", "CONTROL_DIR"):
            Path(os.environ[name]).mkdir(exist_ok=True)
        return frontend.main([sys.argv[0], "--slot=0"])


if __name__ == "__main__":
    sys.exit(main(address.parse()))
