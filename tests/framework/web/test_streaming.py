import asyncio

import pytest

from framework.httpserver import Connection, HTTPServer
from framework.testing import Client, call
from framework.web import Application, HTTPError, RequestHandler, stream_request_body
from tests.support.memory import MemoryTransport

BODY = b"x" * 150_000


@stream_request_body
class Upload(RequestHandler):
    def initialize(self):
        self.pieces = []

    def prepare(self):
        if self.request.query == "refuse":
            raise HTTPError(413)

    def data_received(self, chunk):
        if self.request.query == "fail":
            raise HTTPError(422)
        self.pieces.append(len(chunk))

    def post(self, group):
        self.write({"pieces": self.pieces, "group": group})

    def on_connection_close(self):
        left.append(self.request.path)


left = []


@stream_request_body
class Slow(Upload):
    async def prepare(self):
        await asyncio.sleep(0)
        self.limit = 1000

    async def data_received(self, chunk):
        await asyncio.sleep(0)
        self.pieces.append(len(chunk))

    async def post(self, group):
        await asyncio.sleep(0)
        self.write({"pieces": self.pieces, "group": group, "limit": self.limit})


def browser():
    return Client(Application([("/upload/(.*)", Upload), ("/slow/(.*)", Slow)]))


def test_body_arrives_in_pieces_before_the_verb():
    answer = browser().fetch("/upload/a", "POST", body=BODY).json()
    assert answer == {"pieces": [65536, 65536, 18928], "group": "a"}
    answer = browser().fetch("/slow/a", "POST", body=BODY).json()
    assert answer == {"pieces": [65536, 65536, 18928], "group": "a", "limit": 1000}


def test_request_without_body_calls_the_verb_alone():
    assert browser().fetch("/upload/a", "POST").json() == {"pieces": [], "group": "a"}


@pytest.mark.parametrize(("query", "status"), [("refuse", 413), ("fail", 422)])
def test_early_answer_ends_the_connection(query, status):
    """The rest of the body stands where the next request would."""
    response = browser().fetch(f"/upload/a?{query}", "POST", body=BODY)
    assert response.status == status
    assert response.headers["Connection"] == "close"


def test_handler_that_cannot_be_made_is_answered_once():
    @stream_request_body
    class Broken(RequestHandler):
        def initialize(self):
            raise HTTPError(503)

    response = Client(Application([("/", Broken)])).fetch("/", "POST", body=BODY)
    assert response.status == 503
    assert response.headers["Connection"] == "close"


def test_method_without_verb_is_405_before_the_body():
    assert browser().fetch("/upload/a", "PUT", body=BODY).status == 405


def test_complete_body_keeps_the_connection():
    assert "Connection" not in browser().fetch("/upload/a", "POST", body=BODY).headers


@pytest.mark.parametrize("drains", [False, True])
def test_answer_says_that_a_draining_server_closes(drains):
    async def scenario():
        server = HTTPServer(Application([("/(.*)", Upload)]))
        connection = Connection(server)
        transport = MemoryTransport(connection)
        connection.connection_made(transport)
        connection.data_received(b"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 4\r\n\r\nab")
        draining = asyncio.ensure_future(server.drain(grace_s=0, deadline_s=5)) if drains else None
        await asyncio.sleep(0)
        connection.data_received(b"cd")
        if draining is not None:
            await draining
        return transport.sent

    assert (b"Connection: close" in asyncio.run(scenario())) is drains


def test_lost_connection_is_told():
    async def scenario():
        client = browser()
        request = client.make_request("/upload/a", "POST", body=BODY)
        receiver = client.application.body_receiver(request)
        receiver.data_received(b"x")
        receiver.connection_lost()
        receiver.connection_lost()

    left.clear()
    asyncio.run(scenario())
    assert left == ["/upload/a"]


def test_buffered_handlers_have_no_receiver():
    class Buffered(RequestHandler):
        def post(self):
            self.write(str(len(self.request.body)))

    async def scenario():
        client = Client(Application([("/", Buffered)]))
        request = client.make_request("/", "POST", body=BODY)
        assert client.application.body_receiver(request) is None
        return await call(client.application, request)

    assert asyncio.run(scenario()).text == "150000"


def test_only_handlers_can_be_decorated():
    with pytest.raises(TypeError):
        stream_request_body(dict)
