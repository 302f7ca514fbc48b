"""Files to sockets inside the kernel (sendfile(2)), in turns, so that a large file starves nobody."""

import asyncio
import functools
import os
from collections.abc import Callable

from framework.ioloop.turns import turns_of

_TURN_BYTES = 262_144


async def send_file_to(fd: int, file_fd: int, offset: int, count: int, before_turn: Callable[[], None]) -> None:
    """Return when `count` bytes of the file from `offset` are in the socket's buffer.

    Others get their turn after each 256 KiB: 1 GB in one go would keep them waiting for a second. `before_turn` is
    called before each of ours; what it raises ends the sending.

    Raises:
        OSError: the connection broke (BrokenPipeError, ConnectionResetError), or the file can not be read.
        EOFError: the file is shorter than that.
    """
    turns = turns_of(asyncio.get_running_loop())
    is_first = True
    while count > 0:
        before_turn()
        send = functools.partial(_send_piece, fd, file_fd, offset, min(count, _TURN_BYTES))
        # Four thousand slow readers, each of whom the kernel takes some bytes for, are much work together.
        sent = send() if is_first else await turns.do(send)
        is_first = False
        if sent is None:
            await _writable(fd)
            continue
        if sent == 0:
            raise EOFError(f"send_file: expected {count} more bytes in the file")
        if isinstance(sent, OSError):
            try:
                raise sent
            finally:
                del sent  # its traceback knows this frame
        offset += sent
        count -= sent


def _send_piece(fd: int, file_fd: int, offset: int, count: int) -> int | OSError | None:
    """How many bytes the kernel took; None if it has no room; the error, if there is one.

    Without a traceback, which would know the turn, and that the future which keeps the error: a cycle.
    """
    try:
        return os.sendfile(fd, file_fd, offset, count)
    except BlockingIOError:
        return None
    except OSError as error:
        return error.with_traceback(None)


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
