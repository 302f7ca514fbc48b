"""An application that prepares itself, cleans up, or can not start."""

import pytest

from framework.asgi import ASGIError
from tests.support.asgi import answering, ask, get, run


def test_lifespan_state_reaches_requests():
    order = []

    async def application(scope, receive, send):
        if scope["type"] == "lifespan":
            assert (await receive())["type"] == "lifespan.startup"
            scope["state"]["name"] = "shared"
            await send({"type": "lifespan.startup.complete"})
            assert (await receive())["type"] == "lifespan.shutdown"
            order.append("end")
            await send({"type": "lifespan.shutdown.complete"})
            return
        order.append(scope["state"]["name"])
        scope["state"]["name"] = "changed by one request"
        await answering(200, [], b"x")(scope, receive, send)

    async def scenario(port):
        await ask(port, get())
        await ask(port, get())

    run(application, scenario)
    assert order == ["shared", "shared", "end"]


def test_application_that_can_not_start_says_why():
    async def application(scope, receive, send):
        await receive()
        await send({"type": "lifespan.startup.failed", "message": "no database"})

    with pytest.raises(ASGIError, match="could not start: no database"):
        run(application, lambda port: ask(port, get()))
