"""Wake-ups between two processes' worth of buses, through a real server that is killed under them."""

import asyncio
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from framework.bus import Bus, BusError, format_command, read_reply
from tests.support.valkey import Server


@pytest.fixture
def server() -> Iterator[Server]:
    with tempfile.TemporaryDirectory(prefix="v") as folder:
        server = Server(Path(folder))
        server.start()
        yield server
        server.stop()


async def _woken(event: asyncio.Event) -> None:
    async with asyncio.timeout(5):
        await event.wait()
    event.clear()


def test_publish_wakes_subscribers_of_every_process(server: Server) -> None:
    async def scenario() -> None:
        one, two = Bus(server.socket), Bus(server.socket)
        await one.start()
        await two.start()
        here, there, other = asyncio.Event(), asyncio.Event(), asyncio.Event()
        with one.subscribe("a", here.set), two.subscribe("a", there.set), two.subscribe("b", other.set):
            while not (one.is_connected and two.is_connected):
                await asyncio.sleep(0.005)
            here.clear(), there.clear(), other.clear()
            await asyncio.sleep(0.02)
            one.publish("a")
            await _woken(here)
            await _woken(there)
            assert not other.is_set()
        one.publish("a")
        await asyncio.sleep(0.02)
        assert not here.is_set()
        await one.close()
        await two.close()

    asyncio.run(scenario())


def test_subscribers_are_woken_after_the_bus_comes_back(server: Server) -> None:
    async def scenario() -> None:
        bus = Bus(server.socket)
        await bus.start()
        event = asyncio.Event()
        bus.add("a", event.set)
        await asyncio.sleep(0.02)
        await asyncio.to_thread(server.kill)
        while bus.is_connected:
            await asyncio.sleep(0.005)
        event.clear()
        bus.publish("a")  # away: only this process
        await _woken(event)
        await asyncio.to_thread(server.start)
        await _woken(event)
        bus.publish("a")
        await _woken(event)
        assert bus.reconnects == 2
        await bus.close()

    asyncio.run(scenario())


@pytest.mark.parametrize("address", ["", "/nowhere/bus.sock", "127.0.0.1:1"])
def test_without_a_bus_wake_ups_stay_in_the_process(address: str) -> None:
    async def scenario() -> None:
        bus = Bus(address)
        await bus.start()
        woken: list[int] = []

        def fail() -> None:
            raise RuntimeError("a subscriber's own fault")

        bus.add("a", fail)
        bus.add("a", lambda: woken.append(1))
        bus.publish("a")
        assert woken == [1]
        await bus.close()

    asyncio.run(scenario())


@pytest.mark.parametrize(
    ("data", "reply"),
    [
        (b"+OK\r\n", "OK"),
        (b":5\r\n", 5),
        (b"$3\r\na\r\n\r\n", "a\r\n"),
        (b"$-1\r\n", None),
        (b"_\r\n", None),
        (b"#t\r\n", 1),
        (b"*2\r\n$1\r\na\r\n:1\r\n", ["a", 1]),
        (b"%1\r\n+k\r\n*0\r\n", ["k", []]),
        (b">3\r\n+message\r\n+c\r\n+1\r\n", ["message", "c", "1"]),
    ],
)
def test_read_reply(data: bytes, reply: object) -> None:
    assert asyncio.run(_read(data)) == reply


@pytest.mark.parametrize("data", [b"-ERR no\r\n", b"what\r\n"])
def test_read_reply_refuses(data: bytes) -> None:
    with pytest.raises(BusError):
        asyncio.run(_read(data))


async def _read(data: bytes) -> object:
    reader = asyncio.StreamReader()
    reader.feed_data(data)
    reader.feed_eof()
    return await read_reply(reader)


def test_format_command() -> None:
    assert format_command("PUBLISH", "é") == b"*2\r\n$7\r\nPUBLISH\r\n$2\r\n\xc3\xa9\r\n"
