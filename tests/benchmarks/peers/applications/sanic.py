"""Sanic, one worker in one process (`single_process`), without the access log, as its deployment page advises."""

from pathlib import Path
from typing import Any

from sanic import HTTPResponse, Request, Sanic, text

from tests.benchmarks.peers import content
from tests.benchmarks.peers.applications import address

app = Sanic("bench")
app.config.ACCESS_LOG = False


@app.get("/")
async def hello(request: Request) -> HTTPResponse:
    return text(content.HELLO)


@app.post("/post")
async def post(request: Request) -> HTTPResponse:
    return text(str(len(request.body)))


@app.websocket("/echo")
async def echo(request: Request, socket: Any) -> None:
    async for message in socket:
        await socket.send(message)


app.static("/static", Path(content.STATIC_FOLDER))

if __name__ == "__main__":
    place = address.parse()
    where: dict[str, Any] = {"unix": place.path} if place.path else {"host": "127.0.0.1", "port": place.port}
    app.run(single_process=True, access_log=False, motd=False, debug=False, backlog=4096, **where)
