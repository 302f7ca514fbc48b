"""Starlette under uvicorn with uvloop and httptools; Jinja2, signed session cookies, asyncmy."""

import asyncio
from contextlib import asynccontextmanager
from typing import Any

from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.middleware.sessions import SessionMiddleware
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, PlainTextResponse
from starlette.routing import Mount, Route, WebSocketRoute
from starlette.staticfiles import StaticFiles
from starlette.websockets import WebSocket, WebSocketDisconnect

from tests.benchmarks.peers import content
from tests.benchmarks.peers.applications.drivers import AsyncPool
from tests.benchmarks.peers.applications.jinja import render_page, render_rows

POOL = AsyncPool()
WAITING: set["asyncio.Future[str]"] = set()


async def hello(request: Request) -> PlainTextResponse:
    return PlainTextResponse(content.HELLO)


async def login(request: Request) -> PlainTextResponse:
    request.session["user"] = content.USER
    return PlainTextResponse("in")


async def page(request: Request) -> HTMLResponse:
    return HTMLResponse(render_page(request.session["user"], request.headers.get("accept-language", "")))


async def row(request: Request) -> JSONResponse:
    return JSONResponse(await POOL.get(content.ROW_QUERY, content.ROW_ID))


async def rows(request: Request) -> HTMLResponse:
    return HTMLResponse(render_rows(await POOL.query(content.ROWS_QUERY)))


async def post(request: Request) -> PlainTextResponse:
    return PlainTextResponse(str(len(await request.body())))


async def echo(socket: WebSocket) -> None:
    await socket.accept()
    try:
        while True:
            await socket.send_text(await socket.receive_text())
    except WebSocketDisconnect:
        pass


async def poll(request: Request) -> PlainTextResponse:
    future: asyncio.Future[str] = asyncio.get_running_loop().create_future()
    WAITING.add(future)
    return PlainTextResponse(await future)


async def wake(request: Request) -> PlainTextResponse:
    woken = list(WAITING)
    WAITING.clear()
    for future in woken:
        future.set_result("news")
    return PlainTextResponse(str(len(woken)))


@asynccontextmanager
async def lifespan(app: Any) -> Any:
    await POOL.open()
    yield


ROUTES = [
    Route("/row", row),
    Route("/rows", rows),
    Route("/post", post, methods=["POST"]),
    Route("/poll", poll),
    Route("/wake", wake),
    WebSocketRoute("/echo", echo),
    Mount("/static", StaticFiles(directory=content.STATIC_FOLDER)),
]
# Sessions cost the pages that use them, and only those: the most that can be said for it.
SESSIONS = Starlette(
    routes=[Route("/login", login), Route("/page", page)],
    middleware=[Middleware(SessionMiddleware, secret_key=content.SECRET)],
)
application = Starlette(routes=[Route("/", hello), *ROUTES, Mount("/s", SESSIONS)], lifespan=lifespan)
