"""FastAPI under uvicorn with uvloop and httptools; Jinja2, signed session cookies, asyncmy."""

from contextlib import asynccontextmanager
from typing import Any

from fastapi import FastAPI, Request
from fastapi.responses import HTMLResponse, PlainTextResponse
from fastapi.templating import Jinja2Templates
from starlette.middleware.sessions import SessionMiddleware

from tests.benchmarks.peers import content
from tests.benchmarks.peers.applications.drivers import AsyncPool
from tests.benchmarks.peers.applications.jinja import environment, make_translate

POOL = AsyncPool()
templates = Jinja2Templates(env=environment)


@asynccontextmanager
async def lifespan(app: FastAPI) -> Any:
    await POOL.open()
    yield


application = FastAPI(lifespan=lifespan)
pages = FastAPI()
pages.add_middleware(SessionMiddleware, secret_key=content.SECRET)


@application.get("/", response_class=PlainTextResponse)
async def hello() -> str:
    return content.HELLO


@pages.get("/login", response_class=PlainTextResponse)
async def login(request: Request) -> str:
    request.session["user"] = content.USER
    return "in"


@pages.get("/page", response_class=HTMLResponse)
async def page(request: Request) -> Any:
    names = {
        "_": make_translate(request.headers.get("accept-language", "")),
        "user": request.session["user"],
        "entries": content.ENTRIES,
    }
    return templates.TemplateResponse(request, "page.html", names)


@application.get("/row")
async def row() -> dict[str, Any]:
    return await POOL.get(content.ROW_QUERY, content.ROW_ID)


@application.get("/rows", response_class=HTMLResponse)
async def rows(request: Request) -> Any:
    names = {"rows": await POOL.query(content.ROWS_QUERY)}
    return templates.TemplateResponse(request, "rows.html", names)


@application.post("/post", response_class=PlainTextResponse)
async def post(request: Request) -> str:
    return str(len(await request.body()))


# Sessions cost the pages that use them, and only those.
application.mount("/s", pages)
