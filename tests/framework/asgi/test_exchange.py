"""How bodies arrive, how answers are framed, and what becomes of those that fail."""

import asyncio
import os

import pytest

from framework.asgi import ClientDisconnected
from tests.support.asgi import answering, ask, get, read_body, run


@pytest.mark.parametrize(
    ("application", "request_bytes", "head", "body"),
    [
        (answering(200, [], b"hello"), get(), b"Content-Length: 5\r\n", b"hello"),
        (answering(200, [], b"a", b"b"), get(), b"Transfer-Encoding: chunked\r\n", b"1\r\na\r\n1\r\nb\r\n0\r\n\r\n"),
        (answering(200, [(b"content-length", b"2")], b"a", b"b"), get(), b"content-length: 2\r\n", b"ab"),
        (answering(200, [], b"hello"), get().replace(b"GET", b"HEAD"), b"Content-Length: 5\r\n", b""),
        (answering(204), get(), b"204 No Content\r\n", b""),
        (answering(204, [(b"content-length", b"5")]), get(), b"204 No Content\r\nServer", b""),
        (answering(304, [], b"not sent"), get(), b"304 Not Modified\r\n", b""),
        (answering(299, [], b"x"), get(), b"HTTP/1.1 299 \r\n", b"x"),
        (answering(200, [], b"a", b"b"), get().replace(b"HTTP/1.1", b"HTTP/1.0"), b"Connection: close\r\n", b"ab"),
    ],
)
def test_answers_are_framed(application, request_bytes, head, body):
    answer = run(application, lambda port: ask(port, request_bytes))
    assert head in answer
    assert answer.partition(b"\r\n\r\n")[2] == body
    assert b"Date: " in answer


@pytest.mark.parametrize("size", [0, 5, 70_000, 3_000_000])
@pytest.mark.parametrize("is_chunked", [False, True])
def test_bodies_arrive(size, is_chunked):
    async def application(scope, receive, send):
        body = await read_body(receive)
        await answering(200, [], str(len(body)).encode())(scope, receive, send)

    async def scenario(port):
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        body = b"x" * size
        for _ in range(2):  # the connection is kept
            if is_chunked:
                writer.write(b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n")
                writer.write((b"%x\r\n%b\r\n" % (size, body) if size else b"") + b"0\r\n\r\n")
            else:
                writer.write(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: %d\r\n\r\n" % size)
                writer.write(body)
            head = await reader.readuntil(b"\r\n\r\n")
            assert b"200 OK" in head
            assert await reader.readexactly(len(str(size))) == str(size).encode()
        writer.close()

    run(application, scenario)


def test_body_that_nobody_takes_makes_the_client_wait():
    go_on = None

    async def application(scope, receive, send):
        nonlocal go_on
        assert scope["type"] == "http"
        go_on = asyncio.Event()
        await go_on.wait()
        body = await read_body(receive)
        await answering(200, [], str(len(body)).encode())(scope, receive, send)

    async def scenario(port):
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        total = 30_000_000
        writer.write(b"POST / HTTP/1.1\r\nHost: a\r\nConnection: close\r\nContent-Length: %d\r\n\r\n" % total)
        writer.write(b"x" * total)
        for _ in range(200):
            await asyncio.sleep(0)
        # The kernel's buffers hold some megabytes of it, the server next to nothing.
        assert writer.transport.get_write_buffer_size() > total // 2
        go_on.set()
        assert (await reader.read()).endswith(b"30000000")
        writer.close()

    run(application, scenario)


def test_client_that_leaves_is_told():
    seen = []

    async def application(scope, receive, send):
        assert scope["type"] == "http"
        await receive()
        seen.append((await receive())["type"])
        try:
            await send({"type": "http.response.start", "status": 200, "headers": []})
        except OSError as error:
            seen.append(type(error))
            raise

    async def scenario(port):
        _, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
        await asyncio.sleep(0.05)
        writer.close()
        while len(seen) < 2:
            await asyncio.sleep(0)

    run(application, scenario)
    assert seen == ["http.disconnect", ClientDisconnected]


def test_receive_after_the_answer_says_disconnect_and_the_background_goes_on():
    done = []

    async def application(scope, receive, send):
        assert scope["type"] == "http"
        await answering(200, [], b"x")(scope, receive, send)
        await asyncio.sleep(0.01)
        await receive()
        done.append((await receive())["type"])

    run(application, lambda port: ask(port, get()))
    assert done == ["http.disconnect"]


async def fails(scope, receive, send):
    raise ValueError("broken")


async def fails_later(scope, receive, send):
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": b"part", "more_body": True})
    raise ValueError("broken")


async def says_nothing(scope, receive, send):
    pass


async def says_too_little(scope, receive, send):
    await answering(200, [(b"content-length", b"9")], b"short")(scope, receive, send)


async def says_too_little_at_once(scope, receive, send):
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"9")]})
    await send({"type": "http.response.body", "body": b"short"})


async def says_too_much(scope, receive, send):
    await answering(200, [(b"content-length", b"2")], b"short")(scope, receive, send)


async def has_a_negative_length(scope, receive, send):
    await answering(200, [(b"content-length", b"-5")], b"short")(scope, receive, send)


async def has_two_lengths(scope, receive, send):
    await answering(200, [(b"content-length", b"5"), (b"content-length", b"6")], b"short")(scope, receive, send)


async def has_a_name_of_two_words(scope, receive, send):
    await answering(200, [(b"a name", b"x")], b"short")(scope, receive, send)


async def never_ends_what_it_begins(scope, receive, send):
    await answering(100, [], b"")(scope, receive, send)


async def ends_the_process(scope, receive, send):
    assert scope["type"] == "http"
    raise SystemExit("enough")


async def splits_the_answer(scope, receive, send):
    await answering(200, [(b"x", b"a\r\nSet-Cookie: b")], b"x")(scope, receive, send)


BROKEN = [
    *(fails, says_nothing, splits_the_answer, says_too_little_at_once, says_too_much, has_a_negative_length),
    *(has_two_lengths, has_a_name_of_two_words, never_ends_what_it_begins, ends_the_process),
]


@pytest.mark.parametrize("application", BROKEN, ids=lambda one: one.__name__)
def test_failure_before_the_head_is_a_500(application, caplog):
    answer = run(application, lambda port: ask(port, get()))
    assert answer.startswith(b"HTTP/1.1 500 Internal Server Error\r\n")
    assert b"Set-Cookie" not in answer
    assert "GET /" in caplog.text


@pytest.mark.parametrize("application", [fails_later, says_too_little], ids=lambda one: one.__name__)
def test_failure_behind_the_head_cuts_the_connection(application, caplog):
    async def scenario(port):
        with pytest.raises((ConnectionError, AssertionError)):
            answer = await ask(port, get())
            # What arrived must not look complete.
            assert answer.endswith(b"0\r\n\r\n")

    run(application, scenario)
    assert "the ASGI application failed" in caplog.text


def test_file_is_sent(tmp_path):
    path = tmp_path / "file"
    path.write_bytes(os.urandom(1_000_000))

    async def application(scope, receive, send):
        assert "http.response.pathsend" in scope["extensions"]
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.pathsend", "path": str(path)})

    answer = run(application, lambda port: ask(port, get()))
    assert answer.partition(b"\r\n\r\n")[2] == path.read_bytes()
