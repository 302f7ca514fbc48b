"""aiohttp on uvloop, as its deployment page advises; Jinja2 for templates, asyncmy for MySQL."""

import asyncio
from typing import Any

import uvloop
from aiohttp import web

from tests.benchmarks.peers import content
from tests.benchmarks.peers.applications import address
from tests.benchmarks.peers.applications.drivers import AsyncPool
from tests.benchmarks.peers.applications.jinja import render_rows

POOL = AsyncPool()


async def hello(request: web.Request) -> web.Response:
    return web.Response(text=content.HELLO)


async def row(request: web.Request) -> web.Response:
    return web.json_response(await POOL.get(content.ROW_QUERY, content.ROW_ID))


async def rows(request: web.Request) -> web.Response:
    return web.Response(text=render_rows(await POOL.query(content.ROWS_QUERY)), content_type="text/html")


async def post(request: web.Request) -> web.Response:
    return web.Response(text=str(len(await request.read())))


async def echo(request: web.Request) -> web.WebSocketResponse:
    socket = web.WebSocketResponse()
    await socket.prepare(request)
    async for message in socket:
        await socket.send_str(message.data)
    return socket


async def poll(request: web.Request) -> web.Response:
    future: asyncio.Future[str] = asyncio.get_running_loop().create_future()
    WAITING.add(future)
    return web.Response(text=await future)


async def wake(request: web.Request) -> web.Response:
    woken = list(WAITING)
    WAITING.clear()
    for future in woken:
        future.set_result("news")
    return web.Response(text=str(len(woken)))


WAITING: set["asyncio.Future[str]"] = set()


async def start(application: Any) -> None:
    await POOL.open()


def make_application() -> web.Application:
    application = web.Application(client_max_size=content.BIG_BYTES)
    application.on_startup.append(start)
    for path, handler in (("/", hello), ("/row", row), ("/rows", rows), ("/echo", echo), ("/poll", poll)):
        application.router.add_get(path, handler)
    application.router.add_get("/wake", wake)
    application.router.add_post("/post", post)
    application.router.add_static("/static", content.STATIC_FOLDER)
    return application


if __name__ == "__main__":
    place = address.parse()
    where: dict[str, Any] = {"path": place.path} if place.path else {"host": "127.0.0.1", "port": place.port}
    web.run_app(make_application(), access_log=None, loop=uvloop.new_event_loop(), print=None, backlog=4096, **where)
