"""A frontend that hangs, which no supervisor sees: the guard kills it, and meanwhile the others serve."""

import asyncio
import json
import os
import signal
import time

from tests.appliance.conftest import get
from tests.support.compose import Stack, wait_for
from tests.support.load import Client


def slot_of(stack: Stack, slot: int) -> int | None:
    """The process that holds the slot, by the container's own numbers."""
    try:
        return int(json.loads(stack.run("app", "cat", f"/run/frontends/{slot}.json"))["pid"])
    except (RuntimeError, ValueError):
        return None


def test_frontend_that_hangs_is_replaced(stack: Stack) -> None:
    before = slot_of(stack, 0)
    hanging = stack.find_processes("app", "framework.frontend --slot=0")[0]
    os.kill(hanging, signal.SIGSTOP)
    try:
        seconds = wait_for(lambda: slot_of(stack, 0) not in (before, None), "a new process for slot 0", timeout_s=40)
    finally:
        try:
            os.kill(hanging, signal.SIGCONT)
        except ProcessLookupError:
            pass  # the guard has killed it, as it should
    # Ten seconds of silence, seen at most five seconds late, and the start of the new one.
    assert seconds < 25
    assert get(stack, "/hello").status == 200


def test_requests_pass_over_a_frontend_that_hangs(stack: Stack) -> None:
    hanging = stack.find_processes("app", "framework.frontend --slot=1")[0]
    os.kill(hanging, signal.SIGSTOP)
    answered, slow = asyncio.run(ask_in_parallel(stack, clients=4, each=25))
    # Who waits there counts as its connection, so that least_conn sends the others elsewhere; when the guard has
    # killed it, nginx asks again for those who waited: a GET was never answered, and may be.
    assert answered == 100
    assert slow <= 4


async def ask_in_parallel(stack: Stack, clients: int, each: int) -> tuple[int, int]:
    """How many requests were answered with 200, and how many of them took more than a second."""

    async def ask() -> tuple[int, int]:
        answered = slow = 0
        for _ in range(each):
            client = Client("127.0.0.1", stack.port, timeout_s=40)
            try:
                begun = time.monotonic()
                answered += (await client.request("GET", "/hello")).status == 200
                slow += time.monotonic() - begun > 1
            finally:
                client.close()
        return answered, slow

    counts = await asyncio.gather(*(ask() for _ in range(clients)))
    return sum(answered for answered, _ in counts), sum(slow for _, slow in counts)
