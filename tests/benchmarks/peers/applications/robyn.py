"""Robyn, one process and one worker; `--fast` would take more of both, and a frontend has one."""

from robyn import Request, Robyn

from tests.benchmarks.peers import content
from tests.benchmarks.peers.applications import address

app = Robyn(__file__)


@app.get("/")
async def hello(request: Request) -> str:
    return content.HELLO


@app.post("/post")
async def post(request: Request) -> str:
    return str(len(request.body))


if __name__ == "__main__":
    app.start(host="127.0.0.1", port=address.parse().port)
