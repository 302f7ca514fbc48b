"""One process's part in a slot, with real sockets and a real server."""

import asyncio
import json
import socket
import tempfile
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from framework.httpserver import HTTPServer
from framework.request import HTTPRequest
from framework.slots import Slot, SlotError, SlotSettings, State, sweep


@pytest.fixture
def folder() -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="slot") as name:  # pytest's own is too long for a socket's path
        (Path(name) / "control").mkdir()
        yield Path(name)


def _application(name: str) -> Any:
    def answer(request: HTTPRequest) -> None:
        close = "" if request.connection.keep_alive else "Connection: close\r\n"
        request.connection.answer(f"HTTP/1.1 200 OK\r\n{close}Content-Length: {len(name)}\r\n\r\n{name}".encode())

    return answer


@asynccontextmanager
async def _slot(folder: Path, name: str, **settings: Any) -> AsyncIterator[Slot]:
    given = {"grace_s": 0.02, "watch_s": 0.05, "drain_deadline_s": 5.0, "release": name, **settings}
    slot = Slot(SlotSettings(0, folder, folder / "control", **given), lambda: HTTPServer(_application(name)))
    yield slot
    slot.stop()
    await asyncio.wait_for(slot.finished.wait(), 10)
    slot.close()


async def _ask(path: Path) -> str:
    reader, writer = await asyncio.open_unix_connection(str(path))
    writer.write(b"GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
    answer = await reader.read()
    writer.close()
    return answer.rpartition(b"\r\n")[2].decode()


def test_claim_release_and_claim_back(folder: Path) -> None:
    async def scenario() -> None:
        async with _slot(folder, "old", park_s=60) as old, _slot(folder, "new") as new:
            with pytest.raises(SlotError, match="cannot claim while warming"):
                old.claim()
            old.ready()
            old.claim()
            old.claim()
            assert (await _ask(old.path), old.state) == ("old", State.CLAIMED)
            assert oct(old.path.stat().st_mode)[-3:] == "660"
            new.ready()
            new.claim()
            assert await _ask(old.path) == "new"
            assert json.loads((folder / "0.json").read_text())["release"] == "new"
            # Nobody told the old one: it sees by itself that its name is another's, drains, and stays warm.
            assert await old.wait_until({State.PARKED}, 5)
            old.claim()
            assert await _ask(old.path) == "old"
            assert await new.wait_until({State.PARKED}, 5)

    asyncio.run(scenario())


def test_successor_of_the_same_release_lets_the_old_one_exit(folder: Path) -> None:
    async def scenario() -> None:
        async with _slot(folder, "same") as old, _slot(folder, "same") as new:
            for slot in (old, new):
                slot.ready()
                slot.claim()
            assert await old.wait_until({State.STOPPED}, 5)
            assert old.finished.is_set()

    asyncio.run(scenario())


def test_deleted_path_is_claimed_again(folder: Path) -> None:
    async def scenario() -> None:
        async with _slot(folder, "a") as slot:
            slot.ready()
            slot.claim()
            slot.path.unlink()
            while not slot.path.exists():
                await asyncio.sleep(0.01)
            assert await _ask(slot.path) == "a"

    asyncio.run(scenario())


def test_drain_answers_what_is_open_and_never_closes_idle_first(folder: Path) -> None:
    async def scenario() -> None:
        async with _slot(folder, "a") as slot:
            slot.ready()
            slot.claim()
            reader, writer = await asyncio.open_unix_connection(str(slot.path))
            request = b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"
            writer.write(request)
            assert b"close" not in await reader.readuntil(b"\r\n\r\na")
            slot.release()
            assert not await slot.wait_until({State.STOPPED}, 0.3)
            writer.write(request)
            assert b"Connection: close" in await reader.read()
            writer.close()
            assert await slot.wait_until({State.STOPPED}, 5)

    asyncio.run(scenario())


def test_hold_lets_requests_wait_and_loses_none(folder: Path) -> None:
    async def scenario() -> None:
        async with _slot(folder, "a") as slot:
            slot.ready()
            slot.claim()
            slot.hold()
            asked = [asyncio.create_task(_ask(slot.path)) for _ in range(20)]
            done, _ = await asyncio.wait(asked, timeout=0.1)
            assert not done and slot.describe()["held"]
            slot.resume()
            assert await asyncio.gather(*asked) == ["a"] * 20

    asyncio.run(scenario())


def test_sweep_removes_what_the_dead_left(folder: Path) -> None:
    dead, alive = folder / "control" / "0.999999.sock", folder / "control" / "0.1.sock"
    with socket.socket(socket.AF_UNIX) as gone:
        gone.bind(str(dead))
    dead.with_suffix(".json").write_text("{}")
    with socket.socket(socket.AF_UNIX) as living:
        living.bind(str(alive))
        living.listen()
        sweep(SlotSettings(0, folder, folder / "control"))
        assert alive.exists() and not dead.exists() and not dead.with_suffix(".json").exists()
