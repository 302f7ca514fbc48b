"""Each part killed in turn, from the host and under load: it comes back by itself and loses no acknowledged write."""

import asyncio
import time

import pytest

from tests.appliance.conftest import check_writes, get, make_load, sign_in
from tests.support.compose import Stack, wait_for
from tests.support.load import Client, Lost

# Service, what its command line contains, and whether every GET must be answered meanwhile.
VICTIMS = [
    pytest.param("app", "framework.frontend --slot=0", True, id="frontend"),
    pytest.param("app", "supervisord", False, id="supervisord"),
    pytest.param("nginx", "nginx: master", False, id="nginx"),
    pytest.param("db", "mariadbd", False, id="db"),
    pytest.param("bus", "valkey-server", True, id="bus"),
]


def _is_serving(stack: Stack) -> bool:
    try:
        return get(stack, "/").status == 200
    except Lost:
        return False


def _has_new_process(stack: Stack, service: str, pattern: str, killed: int) -> bool:
    container = stack.container(service)
    if container.status != "running":
        return False
    return any(found != killed for found in stack.find_processes(service, pattern))


@pytest.mark.timeout(180)
@pytest.mark.parametrize(("service", "pattern", "serves_on"), VICTIMS)
def test_item_122_killed_part_comes_back_by_itself(stack: Stack, service: str, pattern: str, serves_on: bool) -> None:
    async def scenario() -> None:
        load = make_load(stack)
        async with load:
            await load.answers(100)
            pid = await asyncio.to_thread(stack.kill, service, pattern)
            is_back = lambda: _has_new_process(stack, service, pattern, pid)  # noqa: E731
            await asyncio.to_thread(wait_for, is_back, f"{service} back", 60)
            await asyncio.to_thread(wait_for, lambda: _is_serving(stack), "served again", 60)
            await load.answers(200)
        print(load.account)
        if serves_on:
            # A POST that was under way may be cut off with its frontend; nobody can repeat it but the client.
            assert not [line for line in load.account.lost + load.account.refused if line.startswith("GET")]
        check_writes(stack, load)

    asyncio.run(scenario())


@pytest.mark.timeout(120)
def test_absent_database_is_said_at_once_and_over_when_it_is_back(stack: Stack) -> None:
    async def scenario() -> None:
        client = Client("127.0.0.1", stack.port)
        await sign_in(client)
        await asyncio.to_thread(stack.container("db").stop, timeout=20)
        try:
            for target in ("/", "/entry/1", "/"):
                begun = time.monotonic()
                reply = await client.request("GET", target)
                assert (reply.status, reply.headers.get("retry-after")) == (503, "2"), reply
                assert time.monotonic() - begun < 2
            assert (await client.request("GET", "/hello")).status == 200
        finally:
            await asyncio.to_thread(stack.container("db").start)
        await asyncio.to_thread(wait_for, lambda: _is_answering(stack), "the database answers", 60)
        took_s = await asyncio.to_thread(wait_for, lambda: _is_serving(stack), "served again", 10)
        assert took_s < 2
        client.close()

    asyncio.run(scenario())


def _is_answering(stack: Stack) -> bool:
    try:
        return stack.sql("SELECT 1") == [["1"]]
    except RuntimeError:
        return False


@pytest.mark.timeout(120)
def test_frozen_database_is_said_within_two_seconds(stack: Stack) -> None:
    async def scenario() -> None:
        client = Client("127.0.0.1", stack.port)
        assert (await client.request("GET", "/")).status == 200
        database = stack.container("db")
        await asyncio.to_thread(database.pause)
        try:
            begun = time.monotonic()
            reply = await client.request("GET", "/")
            assert reply.status == 503 and time.monotonic() - begun < 2.2, reply
        finally:
            await asyncio.to_thread(database.unpause)
        assert await asyncio.to_thread(wait_for, lambda: _is_serving(stack), "served again", 10) < 4
        client.close()

    asyncio.run(scenario())


@pytest.mark.timeout(200)
def test_without_any_frontend_nginx_says_so_and_when_to_come_back(stack: Stack) -> None:
    app = stack.container("app")
    app.stop(timeout=90)
    try:
        reply = get(stack, "/")
        assert reply.status in (502, 503) and int(reply.headers["retry-after"]) > 0
        assert b"<html" in reply.body.lower()
    finally:
        app.start()
    wait_for(lambda: _is_serving(stack), "served again", 60)
