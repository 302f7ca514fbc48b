"""One stack for all tests of the appliance, started from nothing and removed afterwards."""

import asyncio
import os
from collections.abc import Iterator
from urllib.parse import urlencode

import pytest

from tests.support.compose import Stack
from tests.support.load import Client, Load, Reply, mixed_requests


@pytest.fixture(scope="session")
def stack() -> Iterator[Stack]:
    """The whole appliance with two slots, on a port of its own."""
    images = {name: os.environ[name] for name in ("IMAGES", "RELEASE") if name in os.environ}
    stack = Stack(f"squall-test-{os.getpid()}", **images)
    try:
        stack.start()
        yield stack
    finally:
        stack.remove()


async def sign_in(client: Client) -> None:
    """Give the client the cookies of somebody who is signed in."""
    await client.request("GET", "/login")
    form = urlencode({"name": f"user {id(client)}", "_xsrf": client.cookies["_xsrf"]}).encode()
    reply = await client.request("POST", "/login", {"Content-Type": "application/x-www-form-urlencoded"}, form)
    assert reply.status == 303, reply


def make_load(stack: Stack, *targets: str, workers: int = 8) -> Load:
    """Mixed GETs and POSTs against the stack."""
    wanted = list(targets or ("/hello", "/", "/about"))
    return Load("127.0.0.1", stack.port, sign_in, mixed_requests(wanted), workers)


def check_writes(stack: Stack, load: Load) -> None:
    """Every acknowledged write is in the database once, and none of those sent is there twice."""
    rows = stack.sql("SELECT client_id, COUNT(*) FROM entries GROUP BY client_id")
    counts = {row[0]: int(row[1]) for row in rows if row[0] in load.account.sent_ids}
    lost = load.account.acknowledged_ids - counts.keys()
    doubled = [client_id for client_id, count in counts.items() if count > 1]
    texts = stack.sql("SELECT text, COUNT(*) AS n FROM entries WHERE text LIKE 'load %' GROUP BY text HAVING n > 1")
    assert not lost and not doubled and not texts, (len(lost), len(doubled), texts[:3])


def get(stack: Stack, target: str, headers: dict[str, str] | None = None) -> Reply:
    """The answer to one GET on a connection of its own."""

    async def ask() -> Reply:
        client = Client("127.0.0.1", stack.port)
        try:
            return await client.request("GET", target, headers)
        finally:
            client.close()

    return asyncio.run(ask())
