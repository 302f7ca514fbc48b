"""Who is told that the slot is released."""

import asyncio
import logging

import pytest

from framework.slots import hooks


def test_callbacks_are_called_until_they_are_forgotten(caplog: pytest.LogCaptureFixture) -> None:
    called: list[str] = []

    async def later() -> None:
        await asyncio.sleep(0)
        called.append("awaited")

    def fail() -> None:
        raise RuntimeError("its own fault")

    forgets = [hooks.on_release(callback) for callback in (fail, lambda: called.append("plain"), later)]
    with caplog.at_level(logging.ERROR):
        asyncio.run(hooks.call_release_callbacks())
    assert called == ["plain", "awaited"] and "its own fault" in caplog.text
    for forget in forgets:
        forget()
        forget()
    asyncio.run(hooks.call_release_callbacks())
    assert called == ["plain", "awaited"]


def test_is_releasing() -> None:
    hooks.set_releasing(False)
    assert not hooks.is_releasing()
    hooks.set_releasing(True)
    assert hooks.is_releasing()
    hooks.set_releasing(False)
