"""Files to sockets inside the kernel (sendfile(2)), in turns, so that a large file starves nobody."""

import asyncio
import os
from collections.abc import Callable

_TURN_BYTES = 262_144


async def send_file_to(fd: int, file_fd: int, offset: int, count: int, before_turn: Callable[[], None]) -> None:
    """Return when `count` bytes of the file from `offset` are in the socket's buffer.

    Others get their turn after each 256 KiB: 1 GB in one go would keep them waiting for a second. `before_turn` is
    called before each of ours; what it raises ends the sending.

    Raises:
        OSError: the connection broke (BrokenPipeError, ConnectionResetError), or the file can not be read.
        EOFError: the file is shorter than that.
    """
    while count > 0:
        before_turn()
        try:
            sent = os.sendfile(fd, file_fd, offset, min(count, _TURN_BYTES))
        except BlockingIOError:
            await _writable(fd)
            continue
        if sent == 0:
            raise EOFError(f"send_file: expected {count} more bytes in the file")
        offset += sent
        count -= sent
        await asyncio.sleep(0)


async def _writable(fd: int) -> None:
    loop = asyncio.get_running_loop()
    waiter: asyncio.Future[None] = loop.create_future()
    loop.add_writer(fd, _wake, waiter)
    try:
        await waiter
    finally:
        loop.remove_writer(fd)


def _wake(waiter: "asyncio.Future[None]") -> None:
    if not waiter.done():
        waiter.set_result(None)
