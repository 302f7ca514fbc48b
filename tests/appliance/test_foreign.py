"""Applications of other frameworks in the appliance: a folder, its requirements, and the name of the application."""

import asyncio
import json
import os
from collections.abc import Iterator
from typing import Any

import pytest

from framework.websocket import websocket_connect
from tests.appliance.conftest import get
from tests.support.compose import Stack
from tests.support.load import Client, Reply

# `make test` has built the images of this release from tests/appliance/foreign.
FOREIGN = {"RELEASE": "foreign", "TEST_ROUTES": "false", "IMAGES": os.environ.get("IMAGES", "squall")}
DJANGO = {"MIGRATE": "python manage.py migrate", "WORKER": "python -m http.server --bind 127.0.0.1 8123"}


def run_stack(name: str, **settings: str) -> Iterator[Stack]:
    """A stack of its own with that application."""
    stack = Stack(f"squall-{name}-{os.getpid()}", **FOREIGN, **settings)
    try:
        stack.start()
        yield stack
    finally:
        stack.remove()


@pytest.fixture(scope="module", params=["wsgi", "asgi"])
def django(request: pytest.FixtureRequest) -> Iterator[Stack]:
    """The Django project, by either of its interfaces."""
    yield from run_stack(request.param, APP=f"shop.{request.param}:application", **DJANGO)


@pytest.fixture(scope="module")
def fastapi() -> Iterator[Stack]:
    """The FastAPI application."""
    yield from run_stack("fastapi", APP="notes:application")


def post(stack: Stack, target: str, body: bytes, content_type: str) -> Reply:
    async def ask() -> Reply:
        client = Client("127.0.0.1", stack.port)
        try:
            return await client.request("POST", target, {"Content-Type": content_type}, body)
        finally:
            client.close()

    return asyncio.run(ask())


def body_of(reply: Reply) -> Any:
    assert reply.status == 200, reply
    return json.loads(reply.body)


def test_django_with_migrations_database_statics_and_stream(django: Stack) -> None:
    assert body_of(post(django, "/items", "Tee für zwei".encode(), "text/plain")) == {"items": ["Tee für zwei"]}
    assert django.sql("SELECT name FROM stock_item") == [["Tee für zwei"]]
    seen = body_of(get(django, "/whoami", {"X-Forwarded-For": "192.0.2.1", "X-Scheme": "https"}))
    assert (seen["address"], seen["scheme"]) == ("127.0.0.1", "http") and seen["slot"] in {"0", "1"}
    assert get(django, "/stream").body == "".join(f"{number}\n" for number in range(1000)).encode()
    style = get(django, "/static/shop.css")  # collected while the image was built, served by nginx
    assert style.status == 200 and style.body == b"body { color: teal; }\n"
    assert get(django, "/nothing").status == 404


def test_django_is_rolled_and_has_its_worker(django: Stack) -> None:
    before = django.find_processes("app", "framework.frontend")
    django.run("app", "appctl", "roll")
    assert not set(before) & set(django.find_processes("app", "framework.frontend"))
    assert "items" in body_of(get(django, "/items"))
    assert django.find_processes("app", "http.server")


def test_fastapi_with_lifespan_database_and_websocket(fastapi: Stack) -> None:
    assert body_of(get(fastapi, "/warm")) == {"warm": True}
    number = body_of(post(fastapi, "/notes", b'{"text": "buy tea"}', "application/json"))["id"]
    assert body_of(get(fastapi, f"/notes/{number}")) == {"text": "buy tea"}
    assert post(fastapi, "/notes", b"{}", "application/json").status == 422
    assert b"/notes/{number}" in get(fastapi, "/openapi.json").body

    async def talk() -> str | bytes | None:
        connection = await websocket_connect(f"ws://127.0.0.1:{fastapi.port}/echo")
        await connection.write_message("hello")
        answer = await connection.read_message()
        connection.close()
        assert await connection.read_message() is None
        return answer

    assert asyncio.run(talk()) == "HELLO"


def test_application_without_a_worker_has_none(fastapi: Stack) -> None:
    status = fastapi.run("app", "sh", "-c", "supervisorctl -c /opt/appliance/supervisord.conf status worker || true")
    assert "Not started" in status
