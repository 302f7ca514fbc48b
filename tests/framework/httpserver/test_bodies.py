"""Bodies that are buffered, on real files; /dev/full is the full disk."""

import asyncio
import contextlib
import io
import os
import resource
import tempfile
import tracemalloc

import pytest
import uvloop

from framework.errors import ProtocolError
from framework.httpserver import Connection, HTTPServer
from framework.httpserver.bodies import Bodies, BufferedBody
from framework.httpserver.limits import Limits
from tests.support.memory import MemoryTransport
from tests.support.rawhttp import connected, hello, serving
from tests.support.serve import server_process

GET = b"GET / HTTP/1.1\r\nHost: h\r\n\r\n"
POST = b"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: %d\r\n\r\n"
CHUNKED = b"POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n"


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    return tmp_path


@pytest.fixture
def no_descriptors():
    """A context in which nothing can be opened."""

    @contextlib.contextmanager
    def without():
        soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        lowest_free = os.dup(0)
        os.close(lowest_free)
        resource.setrlimit(resource.RLIMIT_NOFILE, (lowest_free, hard))
        try:
            yield
        finally:
            resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))

    return without


def descriptors():
    return len(os.listdir("/proc/self/fd"))


def full_disk(**options):
    return io.FileIO("/dev/full", "r+")


class Reluctant(io.FileIO):
    """Takes three bytes at a time, as a disk may that is nearly full."""

    def write(self, data):
        return super().write(data[:3])


# ---- one body


@pytest.mark.parametrize("pieces", [[b"1234567890"], [b"12345", b"67890"], [b"123456789", b"0"], [b"x"] * 100, [b""]])
def test_body_goes_on_in_a_file_once_it_is_larger(folder, pieces):
    bodies = Bodies(Limits(body_memory_bytes=5))
    body = BufferedBody(bodies)
    size = 0
    for piece in pieces:
        body.add(piece)
        size += len(piece)
        assert (bodies.buffered_bytes, bodies.files) == (size, int(size > 5))
    assert not list(folder.iterdir())
    assert body.complete() == b"".join(pieces)
    assert (bodies.buffered_bytes, bodies.files) == (0, 0)


def test_disk_that_takes_a_part_at_a_time_gets_all_of_it(folder, monkeypatch):
    monkeypatch.setattr(tempfile, "TemporaryFile", lambda **options: Reluctant(folder / "body", "w+"))
    body = BufferedBody(Bodies(Limits(body_memory_bytes=5)))
    body.add(b"1234567890")
    body.add(b"abcdefghij")
    assert body.complete() == b"1234567890abcdefghij"


def test_complete_body_is_in_memory_once(folder):
    size = 8 << 20
    body = BufferedBody(Bodies(Limits()))
    for _ in range(size // 65536):
        body.add(bytes(65536))
    tracemalloc.start()
    try:
        assert len(body.complete()) == size
        assert tracemalloc.get_traced_memory()[1] < size + 100_000
    finally:
        tracemalloc.stop()


def test_all_bodies_together_have_an_end():
    bodies = Bodies(Limits(body_memory_bytes=10, max_buffered_bytes=80))
    large, other, small, late = (BufferedBody(bodies) for _ in range(4))
    large.add(bytes(58))
    other.add(bytes(12))
    with pytest.raises(ProtocolError) as raised:
        large.add(b"x")  # the last eighth is for small bodies
    assert raised.value.status == 503 and large.size == 58
    small.add(bytes(10))
    with pytest.raises(ProtocolError):
        late.add(b"x")
    assert bodies.buffered_bytes == 80
    large.end()
    late.add(b"x")
    assert late.complete() == b"x" and small.complete() == bytes(10) and other.complete() == bytes(12)
    assert bodies.buffered_bytes == 0


@pytest.mark.parametrize(("size", "status"), [(70, 503), (71, 413)])
def test_body_that_could_never_be_held_is_told_so(size, status):
    bodies = Bodies(Limits(body_memory_bytes=10, max_buffered_bytes=80))
    BufferedBody(bodies).add(b"x")
    with pytest.raises(ProtocolError) as raised:
        bodies.check(size, size)
    assert raised.value.status == status


# ---- what can fail


@pytest.mark.parametrize("size", [6, 5], ids=["at once", "later"])
def test_full_disk_says_what_to_do_and_keeps_nothing(folder, monkeypatch, caplog, size):
    monkeypatch.setattr(tempfile, "TemporaryFile", full_disk)
    before = descriptors()
    bodies = Bodies(Limits(body_memory_bytes=5))
    body = BufferedBody(bodies)
    if size == 5:
        body.add(bytes(5))
    with pytest.raises(ProtocolError) as raised:
        body.add(bytes(6))
    assert raised.value.status == 503
    body.end()
    assert (bodies.buffered_bytes, bodies.files, descriptors()) == (0, 0, before)
    assert [record.levelname for record in caplog.records] == ["ERROR"]
    assert f"No space left on device; free space in {folder}, or name another by TMPDIR" in caplog.text


def test_directory_that_is_not_there(folder, monkeypatch, caplog):
    monkeypatch.setattr(tempfile, "tempdir", str(folder / "missing"))
    with pytest.raises(ProtocolError) as raised:
        BufferedBody(Bodies(Limits(body_memory_bytes=5))).add(bytes(6))
    assert raised.value.status == 503 and "or name another by TMPDIR" in caplog.text


def test_no_descriptor_left(folder, no_descriptors, caplog):
    bodies = Bodies(Limits(body_memory_bytes=5))
    body = BufferedBody(bodies)
    with no_descriptors(), pytest.raises(ProtocolError) as raised:
        body.add(bytes(6))
    assert raised.value.status == 503 and "raise the limit of open files" in caplog.text
    body.end()
    assert (bodies.buffered_bytes, bodies.files) == (0, 0)


def test_file_that_lost_its_end(folder, monkeypatch, caplog):
    monkeypatch.setattr(tempfile, "TemporaryFile", lambda **options: io.FileIO(folder / "body", "w+"))
    bodies = Bodies(Limits(body_memory_bytes=5))
    body = BufferedBody(bodies)
    body.add(b"1234567890")
    os.truncate(folder / "body", 9)
    with pytest.raises(ProtocolError) as raised:
        body.complete()
    assert raised.value.status == 503 and "not what was written" in caplog.text
    body.end()
    assert (bodies.buffered_bytes, bodies.files) == (0, 0)


# ---- however a connection ends


class Knowing:
    """An application that has the request before its body is there, and does not take it."""

    def __call__(self, request):
        hello(request)

    def body_receiver(self, request):
        self.request = request


ENDINGS = {
    "complete": lambda connection, transport: connection.data_received(b"4\r\n6789\r\n0\r\n\r\n"),
    "malformed": lambda connection, transport: connection.data_received(b"no size\r\n"),
    "too-large": lambda connection, transport: connection.data_received(b"fff\r\n"),
    "lost": lambda connection, transport: transport.close(),
    "too-late": lambda connection, transport: connection.expire(),
    "aborted": lambda connection, transport: connection.abort(),
    "closed": lambda connection, transport: connection.close(),
    "detached": lambda connection, transport: connection.detach(),
    "answered-early": lambda connection, transport: hello(connection._server.application.request),
    "refused": lambda connection, transport: connection.refuse_connection(503),
}


@pytest.mark.parametrize("ending", ENDINGS)
def test_account_is_even_however_a_connection_ends(folder, ending):
    loop = asyncio.new_event_loop()
    before = descriptors()
    server = HTTPServer(Knowing(), io_loop=loop, body_memory_bytes=3, max_body_bytes=1000)
    connection = Connection(server)
    transport = MemoryTransport(connection)
    connection.connection_made(transport)
    connection.data_received(CHUNKED + b"5\r\n12345\r\n")
    bodies = server.bodies
    assert (bodies.buffered_bytes, bodies.files, descriptors()) == (5, 1, before + 1)
    ENDINGS[ending](connection, transport)
    assert (bodies.buffered_bytes, bodies.files, descriptors()) == (0, 0, before)
    if ending == "complete":
        assert transport.sent.endswith(b"POST / 9")
    loop.close()


# ---- on sockets


def run(main):
    asyncio.run(main())
    uvloop.run(main())


def echo(request):
    head = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(request.body)
    request.connection.answer(head + request.body)


def test_large_bodies_arrive_whole_side_by_side(folder):
    body = os.urandom(600_000)
    chunks = b"".join(b"%x\r\n%b\r\n" % (len(body[i : i + 7777]), body[i : i + 7777]) for i in range(0, 600_000, 7777))

    async def main():
        async with (
            serving(echo) as server,
            connected(server.port, limit=1 << 20) as one,
            connected(server.port, limit=1 << 20) as other,
        ):
            one.send(POST % len(body) + body[:400_000])
            other.send(CHUNKED + chunks[:500_000])
            while server.bodies.files < 2:
                await asyncio.sleep(0)
            one.send(body[400_000:] + GET)
            other.send(chunks[500_000:] + b"0\r\n\r\n")
            assert (await one.receive_response())[2] == body
            assert (await one.receive_response())[0] == 200
            assert (await other.receive_response())[2] == body
            assert (server.bodies.files, server.bodies.buffered_bytes) == (0, 0)

    run(main)


def test_who_finds_no_room_is_refused_and_nothing_of_the_others_is_lost(folder):
    expecting = (POST % 500).replace(b"\r\n\r\n", b"\r\nExpect: 100-continue\r\n\r\n")

    async def main():
        async with (
            serving(hello, body_memory_bytes=10, max_buffered_bytes=1000) as server,
            connected(server.port) as first,
            connected(server.port) as late,
            connected(server.port) as chunked,
            connected(server.port) as small,
        ):
            first.send(POST % 700 + bytes(600))
            while server.bodies.buffered_bytes < 600:
                await asyncio.sleep(0)
            status, headers, _ = await late.ask(expecting)
            assert (status, headers["connection"], headers["retry-after"]) == (503, "close", "5")
            assert (await chunked.ask(CHUNKED + b"fff\r\n" + bytes(400)))[0] == 503
            small.send(POST % 5 + b"12")
            while server.bodies.buffered_bytes < 602:
                await asyncio.sleep(0)
            small.send(b"345")
            assert (await small.receive_response())[2] == b"POST / 5"
            first.send(bytes(100))
            assert (await first.receive_response())[2] == b"POST / 700"
            assert server.bodies.buffered_bytes == 0
            assert (await small.ask(POST % 500 + bytes(500)))[0] == 200

    run(main)


def test_full_disk_is_a_503_and_others_go_on(folder, monkeypatch, caplog):
    monkeypatch.setattr(tempfile, "TemporaryFile", full_disk)

    async def main():
        async with (
            serving(hello, body_memory_bytes=1000) as server,
            connected(server.port) as small,
            connected(server.port) as large,
        ):
            small.send(POST % 900 + bytes(500))
            status, headers, _ = await large.ask(POST % 2000 + bytes(1500))
            assert (status, headers["connection"], headers["retry-after"]) == (503, "close", "5")
            small.send(bytes(400))
            assert (await small.receive_response())[2] == b"POST / 900"
            assert (server.bodies.files, server.bodies.buffered_bytes) == (0, 0)

    run(main)
    assert "free space in" in caplog.text


def test_process_without_descriptors_refuses_the_body_and_serves_on():
    with server_process(nofile=40, max_connections=100_000) as server:

        async def main():
            async with connected(server.port) as kept, connected(server.port) as large:
                assert (await kept.ask(GET))[0] == (await large.ask(GET))[0] == 200
                before = server.descriptors
                async with contextlib.AsyncExitStack() as stack:
                    for _ in range(60):
                        await stack.enter_async_context(connected(server.port))
                    while server.descriptors < 40:
                        await asyncio.sleep(0.01)
                    assert (await large.ask(POST % 1_000_000 + bytes(500_000)))[0] == 503
                    assert (await kept.ask(GET))[0] == 200
                while server.descriptors > before:
                    await asyncio.sleep(0.01)
                assert (await kept.ask(POST % 500_000 + bytes(500_000)))[0] == 200

        asyncio.run(main())
