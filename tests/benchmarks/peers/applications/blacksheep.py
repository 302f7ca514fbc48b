"""BlackSheep under uvicorn, as its pages advise."""

from blacksheep import Application, Request, Response, get, post, text

from tests.benchmarks.peers import content

application = Application()


@get("/")
async def hello() -> Response:
    return text(content.HELLO)


@post("/post")
async def take(request: Request) -> Response:
    return text(str(len(await request.read() or b"")))
