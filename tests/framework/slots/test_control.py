"""The control socket, asked as the guard and appctl ask it."""

import asyncio
import tempfile
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from framework import netutil
from framework.httpserver import HTTPServer
from framework.slots import ControlApplication, Slot, SlotError, SlotSettings, State, ask

Ask = Callable[[str, str], Awaitable[Any]]


def _run(scenario: Callable[[Slot, Ask], Awaitable[None]]) -> None:
    async def whole(folder: Path) -> None:
        (folder / "control").mkdir()
        settings = SlotSettings(0, folder, folder / "control", grace_s=0.01, release="1")
        slot = Slot(settings, lambda: HTTPServer(lambda request: None))
        server = HTTPServer(ControlApplication(slot))
        server.add_socket(netutil.bind_private_socket(str(slot.control_path), 0o600))

        async def ask_slot(method: str, target: str) -> Any:
            return await asyncio.to_thread(ask, str(slot.control_path), method, target)

        await scenario(slot, ask_slot)
        server.stop()
        await server.close_all_connections()
        slot.stop()
        await slot.finished.wait()
        slot.close()

    with tempfile.TemporaryDirectory(prefix="ctl") as name:
        asyncio.run(whole(Path(name)))


def test_states_as_a_roll_sees_them() -> None:
    async def scenario(slot: Slot, ask_slot: Ask) -> None:
        assert (await ask_slot("GET", "/healthz")).status == 200
        assert (await ask_slot("GET", "/ready")).status == 503
        assert (await ask_slot("POST", "/claim")).status == 503
        slot.ready()
        assert (await ask_slot("GET", "/ready")).status == 200
        claimed = await ask_slot("POST", "/claim")
        assert (claimed.status, claimed.json()["state"]) == (200, "claimed")
        assert (slot.settings.control_dir / "0.sock").exists()
        assert (await ask_slot("POST", "/hold")).json()["held"] is True
        assert (await ask_slot("POST", "/resume")).json()["held"] is False
        released = await ask_slot("POST", "/release?park_s=60")
        assert (released.status, released.json()["state"]) == (202, "draining")
        assert (await ask_slot("GET", "/status?until=parked&timeout_s=5")).json()["state"] == "parked"
        assert slot.state is State.PARKED

    _run(scenario)


@pytest.mark.parametrize(
    ("method", "target", "status"),
    [
        ("GET", "/nothing", 404),
        ("GET", "/claim", 405),
        ("POST", "/release?park_s=x", 400),
        ("GET", "/status?until=odd", 400),
    ],
)
def test_wrong_questions(method: str, target: str, status: int) -> None:
    async def scenario(slot: Slot, ask_slot: Ask) -> None:
        answer = await ask_slot(method, target)
        assert answer.status == status and "error" in answer.json()

    _run(scenario)


def test_metrics() -> None:
    async def scenario(slot: Slot, ask_slot: Ask) -> None:
        assert b"process_resident_memory_bytes" in (await ask_slot("GET", "/metrics")).body

    _run(scenario)


def test_nobody_there_is_an_error_that_names_the_socket() -> None:
    with pytest.raises(SlotError, match=r"/nowhere/0\.sock"):
        ask("/nowhere/0.sock", "GET", "/healthz")
