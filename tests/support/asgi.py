"""An ASGI application on our server, for the tests of its rooms."""

import asyncio

from framework.asgi import ASGIContainer
from framework.testing import serving


def run(application, scenario, **options):
    """What the scenario returns; it gets the port of a server with the application, between its start and its end."""

    async def whole():
        container = ASGIContainer(application)
        await container.warm_up()
        try:
            async with serving(container, **options) as port:
                async with asyncio.timeout(30):
                    return await scenario(port)
        finally:
            await container.shut_down()

    return asyncio.run(whole())


async def ask(port, request, read_all=True):
    """All that comes back for the bytes of a request (which says `Connection: close`)."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(request)
    answer = await reader.read()
    writer.close()
    return answer


def get(path="/", *headers):
    lines = "".join(f"{line}\r\n" for line in headers)
    return f"GET {path} HTTP/1.1\r\nHost: example.com:81\r\nConnection: close\r\n{lines}\r\n".encode()


async def read_body(receive):
    body, has_more = b"", True
    while has_more:
        message = await receive()
        assert message["type"] == "http.request"
        body += message["body"]
        has_more = message["more_body"]
    return body


def answering(status=200, headers=(), *pieces):
    """An application that answers with the pieces, whatever it is asked."""

    async def application(scope, receive, send):
        assert scope["type"] == "http"
        await send({"type": "http.response.start", "status": status, "headers": list(headers)})
        for piece in pieces[:-1]:
            await send({"type": "http.response.body", "body": piece, "more_body": True})
        await send({"type": "http.response.body", "body": pieces[-1] if pieces else b""})

    return application
