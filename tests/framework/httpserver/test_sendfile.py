import asyncio
import contextlib
import os
import socket
import tempfile

import pytest

from framework.httpserver.sendfile import send_file_to
from framework.ioloop import turns


def test_file_is_sent_in_turns_to_a_slow_reader():
    content = bytes(range(256)) * 8192

    async def main(file):
        ours, theirs = socket.socketpair()
        with ours, theirs:
            ours.setblocking(False)
            theirs.setblocking(False)
            turns = []
            sending = asyncio.create_task(
                send_file_to(ours.fileno(), file.fileno(), 100, len(content) - 100, lambda: turns.append(1))
            )
            received = b""
            while len(received) < len(content) - 100:
                received += await asyncio.get_running_loop().sock_recv(theirs, 65536)
            await sending
            assert received == content[100:] and len(turns) > 8

    with tempfile.TemporaryFile() as file:
        file.write(content)
        file.flush()
        asyncio.run(main(file))


def test_file_shorter_than_promised():
    async def main(file):
        ours, theirs = socket.socketpair()
        with ours, theirs:
            await send_file_to(ours.fileno(), file.fileno(), 0, 10, lambda: None)

    with tempfile.TemporaryFile() as file, pytest.raises(EOFError):
        asyncio.run(main(file))


def test_many_slow_readers_together_get_one_turn_of_each_round(monkeypatch):
    monkeypatch.setattr(turns, "SLICE_S", 0)
    asked = []

    def send(*arguments, sendfile=os.sendfile):
        asked.append(arguments)
        return sendfile(*arguments)

    monkeypatch.setattr(os, "sendfile", send)

    async def main(file, stack):
        sending = []
        for _ in range(20):
            ours, _ = (stack.enter_context(end) for end in socket.socketpair())
            ours.setblocking(False)
            sending.append(asyncio.create_task(send_file_to(ours.fileno(), file.fileno(), 0, 1 << 22, lambda: None)))
        await asyncio.sleep(0)
        assert len(asked) == 20
        for number in range(1, 11):
            await asyncio.sleep(0)
            assert len(asked) <= 20 + number
        for task in sending:
            task.cancel()

    with tempfile.TemporaryFile() as file, contextlib.ExitStack() as stack:
        file.truncate(1 << 22)
        asyncio.run(main(file, stack))
        assert len(asked) > 25
