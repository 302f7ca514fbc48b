"""A program as its author would annotate it: `mypy --strict` passes over it (docker/test/run.sh), and a test runs it.

Every hook is overridden with the parameters that its author would give it.
"""

import asyncio
from types import TracebackType
from typing import Any, assert_type

from framework.events import EventStream, Waiters
from framework.httpclient import AsyncHTTPClient, HTTPResponse
from framework.httputil import HTTPFile, HTTPHeaders
from framework.ioloop import IOLoop, PeriodicCallback
from framework.options import define, options
from framework.request import HTTPRequest
from framework.template import DictLoader
from framework.web import (
    Application,
    HTTPError,
    OutputTransform,
    RequestHandler,
    StaticFileHandler,
    UIModule,
    addslash,
    asynchronous,
    authenticated,
    stream_request_body,
    url,
)
from framework.websocket import WebSocketHandler

define("port", default=8888, type=int, help="listen on this port")

PAGES = {
    "home.html": "<head></head><body>{{ current_user }} {% for note in notes %}{% module Note(note) %}{% end %}</body>",
}


class Note(UIModule):
    def render(self, text: str) -> str:
        return f"<p>{len(text)}</p>"

    def css_files(self) -> list[str]:
        return ["/note.css"]

    def embedded_javascript(self) -> str:
        return "start()"


class Base(RequestHandler):
    def set_default_headers(self) -> None:
        self.set_header("X-Frame-Options", "DENY")

    async def prepare(self) -> None:
        await asyncio.sleep(0)

    def get_current_user(self) -> str | None:
        name = assert_type(self.get_signed_cookie("user"), bytes | None)
        return name.decode() if name else None

    def get_user_locale(self) -> str | None:
        return None

    def write_error(self, status_code: int, **kwargs: Any) -> None:
        self.finish(f"<h1>{status_code}</h1>")

    def log_exception(
        self, typ: type[BaseException] | None, value: BaseException | None, tb: TracebackType | None
    ) -> None:
        super().log_exception(typ, value, tb)

    def on_finish(self) -> None:
        pass


class Home(Base):
    @authenticated
    async def get(self) -> None:
        self.render("home.html", notes=self.get_arguments("note"))


class SignIn(Base):
    def get(self) -> None:
        self.write("<form>" + self.xsrf_form_html() + "</form>")

    def post(self) -> None:
        assert_type(self.get_argument("name"), str)
        assert_type(self.get_argument("name", None), str | None)
        assert_type(self.get_argument("age", 5), str | int)
        self.set_signed_cookie("user", self.get_argument("name"), httponly=True, samesite="Lax")
        self.redirect(self.get_next_url())


class Upload(Base):
    def post(self) -> None:
        picture = assert_type(self.request.files["picture"], list[HTTPFile])[0]
        self.write({"name": picture.filename, "bytes": len(picture["body"])})


class Story(Base):
    def initialize(self, stories: dict[int, str]) -> None:
        self.stories = stories

    @addslash
    def get(self, number: str) -> None:
        if int(number) not in self.stories:
            raise HTTPError(404, "no story %s", number)
        self.write(self.stories[int(number)])

    def head(self, number: str) -> None:
        self.get(number)


@stream_request_body
class Big(RequestHandler):
    def prepare(self) -> None:
        self.size = 0

    async def data_received(self, chunk: bytes) -> None:
        self.size += len(chunk)

    def put(self) -> None:
        self.write(str(self.size))


class Fetch(RequestHandler):
    @asynchronous
    def get(self) -> None:
        http = AsyncHTTPClient()
        http.fetch(self.get_argument("url"), callback=self.on_response)

    def on_response(self, response: HTTPResponse) -> None:
        if response.error:
            raise HTTPError(502)
        self.write({"bytes": len(response.body)})
        self.finish()


class Count(RequestHandler):
    async def get(self) -> None:
        async with EventStream(self) as stream:
            await stream.send("1", id=1)


class Poll(RequestHandler):
    news: Waiters[str] = Waiters()

    async def get(self) -> None:
        self.write({"news": await self.news.wait(self, timeout_s=0.01)})


class Chat(WebSocketHandler):
    def initialize(self, clients: set["Chat"]) -> None:
        self.clients = clients

    def open(self, room: str) -> None:
        self.room = room
        self.set_nodelay(True)
        self.clients.add(self)

    async def on_message(self, message: str | bytes) -> None:
        for client in self.clients:
            if client.room == self.room:
                await client.write_message({"said": str(message)})

    def on_close(self) -> None:
        self.clients.discard(self)

    def check_origin(self, origin: str) -> bool:
        return True


class Files(StaticFileHandler):
    def set_extra_headers(self, path: str) -> None:
        self.set_header("X-Path", path)


class Mark(OutputTransform):
    def transform_first_chunk(
        self, status_code: int, headers: HTTPHeaders, chunk: bytes, finishing: bool
    ) -> tuple[int, HTTPHeaders, bytes]:
        headers["X-Mark"] = "1"
        return status_code, headers, chunk


class Notes(Application):
    async def warm_up(self) -> None:
        self.started = IOLoop.current().time()

    def log_request(self, handler: RequestHandler) -> None:
        assert_type(handler.request, HTTPRequest)


def make_application(folder: str) -> Notes:
    clients: set[Chat] = set()
    return Notes(
        [
            url(r"/", Home, name="home"),
            (r"/sign-in", SignIn),
            (r"/upload", Upload),
            (r"/story/([0-9]+)/?", Story, {"stories": {1: "one"}}),
            (r"/big", Big),
            (r"/fetch", Fetch),
            (r"/count", Count),
            (r"/poll", Poll),
            (r"/chat/(\w+)", Chat, {"clients": clients}),
            (r"/files/(.*)", Files, {"path": folder}),
        ],
        template_loader=DictLoader(PAGES),
        cookie_secret="a long random text",
        login_url="/sign-in",
        ui_modules={"Note": Note},
        transforms=[Mark],
    )


def main() -> None:
    options.parse_command_line()
    server = make_application("static").listen(options.port, address="127.0.0.1")
    PeriodicCallback(lambda: None, 60_000).start()
    IOLoop.current().start()
    server.stop()


if __name__ == "__main__":
    main()
