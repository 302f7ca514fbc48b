import asyncio
import socket
import tempfile

import pytest

from framework.httpserver.sendfile import send_file_to


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
