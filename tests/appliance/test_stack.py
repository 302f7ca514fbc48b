"""The stack as a visitor meets it."""

import asyncio
import json
import uuid

from tests.appliance.conftest import get, sign_in
from tests.support.compose import Stack
from tests.support.load import Client


def _slots_seen(stack: Stack) -> set[str]:
    """The slots that answer when each has something to do."""

    async def ask(target: str) -> bytes:
        client = Client("127.0.0.1", stack.port)
        try:
            return (await client.request("GET", target)).body
        finally:
            client.close()

    async def scenario() -> set[str]:
        busy = [asyncio.create_task(ask("/test/block?ms=20")) for _ in range(20)]
        bodies = await asyncio.gather(*(ask("/test/slot") for _ in range(20)))
        await asyncio.gather(*busy)
        return {json.loads(body)["slot"] for body in bodies}

    return asyncio.run(scenario())


def test_every_slot_serves(stack: Stack) -> None:
    assert _slots_seen(stack) == {"0", "1"}


def _list_services(stack: Stack, service: str) -> list[tuple[str, str]]:
    """Name and scheduling policy of the container's first process and all that it has started, which no probe is."""
    stats = stack.run(service, "sh", "-c", "cat /proc/[0-9]*/stat").splitlines()
    found: dict[str, tuple[str, str]] = {}
    for line in sorted(stats, key=lambda line: int(line.split()[0])):  # parents before children
        pid, name, rest = line.split()[0], line.partition("(")[2].partition(")")[0], line.rpartition(")")[2].split()
        if pid == "1" or rest[1] in found:
            found[pid] = name, rest[38]  # proc_pid_stat(5): the 41st
    return list(found.values())


def test_processes_are_in_the_batch_class(stack: Stack) -> None:
    batch = "3"
    for service, process in (("nginx", "nginx"), ("app", "python")):
        running = _list_services(stack, service)
        assert sum(name.startswith(process) for name, _ in running) >= 3
        assert {policy for _, policy in running} == {batch}, running


def test_page_and_its_static_files(stack: Stack) -> None:
    page = get(stack, "/")
    assert page.status == 200 and page.headers["content-type"].startswith("text/html")
    target = page.body.decode().partition('rel="stylesheet" href="')[2].partition('"')[0]
    style = get(stack, target)
    assert style.status == 200 and "immutable" in style.headers["cache-control"]
    assert style.headers["content-type"].startswith("text/css")
    unknown = get(stack, target.partition("?")[0] + "?v=0000000000")
    assert unknown.body == style.body and "immutable" not in unknown.headers["cache-control"]


def test_client_can_not_say_who_it_is(stack: Stack) -> None:
    forged = {
        "X-Real-IP": "192.0.2.1",
        "X-Forwarded-For": "192.0.2.2",
        "X-Scheme": "https",
        "X-Forwarded-Proto": "https",
        "X-Request-ID": "forged id",
    }
    seen = json.loads(get(stack, "/test/echo", forged).body)
    assert (seen["remote_ip"], seen["protocol"]) == ("127.0.0.1", "http")
    values = " ".join(seen["headers"].values())
    assert not [value for value in forged.values() if value in values], seen


def test_entry_posted_on_one_frontend_is_seen_on_another_at_once(stack: Stack) -> None:
    async def scenario() -> None:
        writer = Client("127.0.0.1", stack.port)
        await sign_in(writer)
        since = int(stack.sql("SELECT value FROM sequences WHERE name = 'events'")[0][0])
        readers = [Client("127.0.0.1", stack.port, timeout_s=30) for _ in range(8)]  # on both frontends
        waiting = [asyncio.create_task(reader.request("GET", f"/updates?since={since}")) for reader in readers]
        await asyncio.sleep(0.3)
        assert not any(task.done() for task in waiting)
        text = f"hello {uuid.uuid4()}"
        body = json.dumps({"text": text, "client_id": str(uuid.uuid4())}).encode()
        headers = {"Accept": "application/json", "Content-Type": "application/json"}
        headers["X-XSRFToken"] = writer.cookies["_xsrf"]
        assert (await writer.request("POST", "/entries", headers, body)).status == 201
        for reply in await asyncio.wait_for(asyncio.gather(*waiting), 2):
            assert [event["entry"]["text"] for event in json.loads(reply.body)["events"]] == [text]
        for client in (writer, *readers):
            client.close()

    asyncio.run(scenario())


def test_start_again_keeps_the_data_and_the_secrets(stack: Stack) -> None:
    def facts() -> tuple[str, list[list[str]]]:
        secret = stack.run("app", "sha256sum", "/run/secrets-app/cookie_secret")
        return secret, stack.sql("SELECT COUNT(*) FROM users")

    before = facts()
    stack.compose("stop", "--timeout", "20")
    assert "Traceback" not in stack.logs("app")
    stack.compose("down")
    stack.start()
    assert facts() == before
    assert _slots_seen(stack) == {"0", "1"}
