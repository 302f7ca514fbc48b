"""ASGI applications on our server: bare ones for the rules, FastAPI, Starlette and Django for the rest."""

import asyncio
import json

from framework.httpclient import AsyncHTTPClient
from tests.support.asgi import answering, run


def test_connection_is_kept():
    async def scenario(port):
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        for _ in range(3):
            writer.write(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
            assert b"hello" in await reader.readuntil(b"hello")
        writer.close()

    run(answering(200, [], b"hello"), scenario)


def test_fastapi():
    from fastapi import FastAPI, Form, UploadFile
    from fastapi.responses import StreamingResponse

    application = FastAPI()

    @application.get("/items/{number}")
    async def item(number: int):
        return {"number": number}

    @application.get("/blocking")
    def blocking():
        return "from a thread"

    @application.post("/upload")
    async def upload(file: UploadFile, name: str = Form()):
        return {"name": name, "size": len(await file.read())}

    @application.get("/stream")
    async def stream():
        async def pieces():
            for number in range(3):
                yield f"{number};"

        return StreamingResponse(pieces())

    async def scenario(port):
        client = AsyncHTTPClient()
        at = f"http://127.0.0.1:{port}"
        assert json.loads((await client.fetch(f"{at}/items/7")).body) == {"number": 7}
        assert (await client.fetch(f"{at}/items/x", raise_error=False)).code == 422
        assert json.loads((await client.fetch(f"{at}/blocking")).body) == "from a thread"
        assert (await client.fetch(f"{at}/stream")).body == b"0;1;2;"
        boundary = "----b"
        parts = [
            f'--{boundary}\r\nContent-Disposition: form-data; name="name"\r\n\r\nann\r\n',
            f'--{boundary}\r\nContent-Disposition: form-data; name="file"; filename="f"\r\n\r\n{"x" * 100_000}\r\n',
            f"--{boundary}--\r\n",
        ]
        headers = {"Content-Type": f"multipart/form-data; boundary={boundary}"}
        response = await client.fetch(f"{at}/upload", method="POST", body="".join(parts), headers=headers)
        assert json.loads(response.body) == {"name": "ann", "size": 100_000}
        assert b"FastAPI" in (await client.fetch(f"{at}/openapi.json")).body
        client.close()

    run(application, scenario)


def test_django():
    import django
    from django.conf import settings

    if not settings.configured:
        settings.configure(SECRET_KEY="x", ALLOWED_HOSTS=["*"], ROOT_URLCONF=__name__, DEBUG=False)
        django.setup()
    from django.core.handlers.asgi import ASGIHandler
    from django.http import HttpResponse
    from django.test import override_settings
    from django.urls import path

    async def view(request):
        return HttpResponse(f"{request.method} {request.body.decode()}")

    class Urls:
        urlpatterns = (path("a/", view),)

    async def scenario(port):
        client = AsyncHTTPClient()
        response = await client.fetch(f"http://127.0.0.1:{port}/a/", method="POST", body="body")
        assert response.body == b"POST body"
        assert (await client.fetch(f"http://127.0.0.1:{port}/b/", raise_error=False)).code == 404
        client.close()

    with override_settings(ROOT_URLCONF=Urls, MIDDLEWARE=[]):
        run(ASGIHandler(), scenario)
