"""Tornado, one process. Its guide starts it by `asyncio.run`; it logs requests only where logging is configured."""

import asyncio
from typing import Any

import tornado.locale
import tornado.netutil
import tornado.web
import tornado.websocket
from tornado.httpserver import HTTPServer

from framework.database import Address, Pool
from tests.benchmarks.peers import content
from tests.benchmarks.peers.applications import address


class HelloHandler(tornado.web.RequestHandler):
    def get(self) -> None:
        self.write(content.HELLO)


class LoginHandler(tornado.web.RequestHandler):
    def get(self) -> None:
        self.set_signed_cookie("user", content.USER)
        self.write("in")


class PageHandler(tornado.web.RequestHandler):
    def get_current_user(self) -> Any:
        name = self.get_signed_cookie("user")
        return name.decode() if name else None

    def get(self) -> None:
        self.render("page.html", user=self.current_user, entries=content.ENTRIES)


class RowHandler(tornado.web.RequestHandler):
    async def get(self) -> None:
        self.write(await POOL[0].get(content.ROW_QUERY, content.ROW_ID))


class RowsHandler(tornado.web.RequestHandler):
    async def get(self) -> None:
        self.render("rows.html", rows=await POOL[0].query(content.ROWS_QUERY))


class PostHandler(tornado.web.RequestHandler):
    def post(self) -> None:
        self.write(str(len(self.request.body)))


class EchoHandler(tornado.websocket.WebSocketHandler):
    async def on_message(self, message: str | bytes) -> None:
        await self.write_message(message)


class PollHandler(tornado.web.RequestHandler):
    async def get(self) -> None:
        future: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        WAITING.add(future)
        self.write(await future)


class WakeHandler(tornado.web.RequestHandler):
    def get(self) -> None:
        woken = list(WAITING)
        WAITING.clear()
        for future in woken:
            future.set_result("news")
        self.write(str(len(woken)))


WAITING: set["asyncio.Future[str]"] = set()
POOL: list[Any] = []


async def serve(place: address.Address) -> None:
    tornado.locale.load_translations(str(content.TRANSLATIONS))
    if content.DATABASE_SOCKET:
        # The same driver as ours, so that the frameworks are what differs.
        names = (content.DATABASE_NAME, content.DATABASE_USER, content.DATABASE_PASSWORD)
        POOL.append(Pool(Address(content.DATABASE_SOCKET, *names), size=content.POOL_SIZE))
    application = tornado.web.Application(
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
            ("/static/(.*)", tornado.web.StaticFileHandler, {"path": str(content.STATIC_FOLDER)}),
        ],
        template_path=str(content.TEMPLATES / "blocks"),
        cookie_secret=content.SECRET,
    )
    server = HTTPServer(application, xheaders=bool(place.path))
    if place.path:
        server.add_socket(tornado.netutil.bind_unix_socket(place.path, 0o666))
    else:
        server.listen(place.port, "127.0.0.1")
    await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(serve(address.parse()))
