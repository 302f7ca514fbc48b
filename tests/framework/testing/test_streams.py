"""What streams in memory have for themselves; tests/framework/test_iostream.py has what they share with sockets'."""

import asyncio
import gc
import os
import weakref

import pytest

from framework.iostream import StreamClosedError
from framework.testing import memory_streams


def test_there_is_no_descriptor():
    async def main():
        await asyncio.sleep(0)  # the loop has its own by now
        before = os.listdir("/proc/self/fd")
        client, server = memory_streams()
        await client.write(b"hello\n")
        assert await server.read_until(b"\n") == b"hello\n"
        assert client.fileno() == -1 and os.listdir("/proc/self/fd") == before

    asyncio.run(main())


def test_writer_waits_for_a_reader_when_the_other_end_is_full():
    async def main():
        client, server = memory_streams(held_bytes=4)
        writing = client.write(b"123456")
        for _ in range(5):
            await asyncio.sleep(0)
        assert not writing.done() and client.writing()
        assert await server.read_bytes(3) == b"123"
        await writing
        assert await server.read_bytes(3) == b"456"

    asyncio.run(main())


def test_what_was_sent_is_read_before_the_end():
    async def main():
        client, server = memory_streams(held_bytes=4)
        await client.write(b"1234")
        client.close()
        assert await server.read_bytes(2) == b"12"
        assert await server.read_until_close() == b"34" and server.closed()

    asyncio.run(main())


def test_nobody_takes_what_is_written_to_an_end_that_is_closed():
    async def main():
        client, server = memory_streams()
        server.close()
        with pytest.raises(StreamClosedError) as raised:
            await client.write(b"x")
        assert isinstance(raised.value.real_error, BrokenPipeError)

    asyncio.run(main())


def test_who_only_waits_for_the_end_is_told_of_it():
    async def main():
        client, server = memory_streams()
        closed = asyncio.Event()
        server.read_chunk_size = 4
        server.set_close_callback(closed.set)
        await client.write(b"1234567890")  # is read, piece by piece, or the end behind it would never be seen
        client.close()
        await closed.wait()

    asyncio.run(main())


def test_it_is_connected_and_has_no_tls():
    async def main():
        client, server = memory_streams()
        with pytest.raises(ValueError, match="this one is in memory"):
            await server.start_tls(True)
        with pytest.raises(StreamClosedError):
            await client.connect(("127.0.0.1", 1))

    asyncio.run(main())


def test_streams_that_are_closed_go_without_the_collector():
    async def use():
        client, server = memory_streams()
        await client.write(b"x")
        await server.read_bytes(1)
        client.close()
        server.close()
        await asyncio.sleep(0)
        return weakref.ref(client), weakref.ref(server)

    async def main():
        gc.disable()
        try:
            assert [stream() for stream in await use()] == [None, None]
        finally:
            gc.enable()

    asyncio.run(main())
