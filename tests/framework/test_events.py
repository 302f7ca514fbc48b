import asyncio

import pytest

from framework.events import EventStream, Waiters, format_event
from framework.slots.hooks import call_release_callbacks
from framework.testing import Client, MemoryConnection, serving
from framework.web import Application, RequestHandler
from tests.support.rawhttp import connected


@pytest.mark.parametrize(
    "arguments, text",
    [
        (("a",), "data: a\n\n"),
        (("a\r\nb\rc\nd",), "data: a\ndata: b\ndata: c\ndata: d\n\n"),
        (("", "news", 7), "event: news\nid: 7\ndata: \n\n"),
    ],
)
def test_format(arguments, text):
    assert format_event(*arguments) == text


@pytest.mark.parametrize("fields", [{"event": "a\nb"}, {"id": "a\rb"}, {"id": "\0"}])
def test_a_field_is_one_line(fields):
    with pytest.raises(ValueError):
        format_event("a", **fields)


class Stream(RequestHandler):
    def initialize(self, waiters, ended, heartbeat_s=15.0):
        self.waiters, self.ended, self.heartbeat_s = waiters, ended, heartbeat_s

    async def get(self):
        async with EventStream(self, retry_s=1.5, heartbeat_s=self.heartbeat_s) as stream:
            await stream.send("from " + stream.last_event_id, id=1)
            await stream.send(str(await self.waiters.wait(timeout_s=30)), event="news")
            await asyncio.Event().wait()
        self.ended.set()


def stream_test(use, **options):
    async def run():
        waiters, ended = Waiters(), asyncio.Event()
        kwargs = {"waiters": waiters, "ended": ended, **options}
        application = Application([("/", Stream, kwargs)], log_function=lambda _: None)
        async with serving(application) as port, connected(port) as client:
            client.send(b"GET / HTTP/1.1\r\nHost: a\r\nLast-Event-ID: 41\r\n\r\n")
            head = await client.reader.readuntil(b"\r\n\r\n")
            assert b"Content-Type: text/event-stream" in head
            await asyncio.wait_for(use(client, waiters, ended), 10)

    asyncio.run(run())


def test_events_and_a_client_that_goes():
    async def use(client, waiters, ended):
        await client.reader.readuntil(b"retry: 1500\n\n")
        await client.reader.readuntil(b"id: 1\ndata: from 41\n\n")
        while not waiters.wake("x"):
            await asyncio.sleep(0)
        await client.reader.readuntil(b"event: news\ndata: x\n\n")
        client.writer.close()
        await ended.wait()
        assert len(waiters) == 0

    stream_test(use)


def test_release_ends_the_stream_properly():
    async def use(client, waiters, ended):
        await client.reader.readuntil(b"data: from 41\n\n")
        await call_release_callbacks()
        assert (await client.reader.readuntil(b"0\r\n\r\n")).endswith(b"0\r\n\r\n")
        assert ended.is_set()

    stream_test(use)


def test_heartbeats():
    async def use(client, waiters, ended):
        await client.reader.readuntil(b"data: from 41\n\n")
        await client.reader.readuntil(b":\n\n")
        await client.reader.readuntil(b":\n\n")

    stream_test(use, heartbeat_s=0.01)


class Poll(RequestHandler):
    def initialize(self, waiters, timeout_s):
        self.waiters, self.timeout_s = waiters, timeout_s

    async def get(self):
        self.write({"news": await self.waiters.wait(self, self.timeout_s)})


def poll(timeout_s=30.0):
    waiters = Waiters()
    application = Application([("/", Poll, {"waiters": waiters, "timeout_s": timeout_s})], log_function=lambda _: None)
    return waiters, application


def test_poll_that_nobody_answers():
    assert Client(poll(0.01)[1]).fetch("/").json() == {"news": None}


def test_poll_ends_on_release():
    async def run():
        waiters, application = poll()
        waiting = asyncio.create_task(Client(application).fetch_async("/"))
        while not waiters:
            await asyncio.sleep(0)
        await call_release_callbacks()
        return (await waiting).json()

    assert asyncio.run(run()) == {"news": None}


def test_poll_whose_client_goes():
    async def run():
        waiters, application = poll()
        request = Client(application).make_request("/")
        connection: MemoryConnection = request.connection
        application(request)
        assert len(waiters) == 1
        connection.leave()
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        assert len(waiters) == 0
        assert not connection.out

    asyncio.run(run())


def test_one_event_reaches_ten_thousand():
    async def run():
        waiters, application = poll()
        client = Client(application)
        requests = [client.make_request("/") for _ in range(10_000)]
        for request in requests:
            application(request)
        assert len(waiters) == 10_000
        assert waiters.wake("x") == 10_000
        for request in requests:
            await request.connection.wait_answered()

    asyncio.run(run())
