import asyncio

import pytest

from framework.errors import FrameworkError
from framework.testing import Client, MemoryConnection, call, parse_response, serving
from framework.web import Application, RequestHandler


class Echo(RequestHandler):
    def get(self):
        self.write(self.get_cookie("c", "none"))
        self.set_cookie("c", "a b,c")

    def post(self):
        self.write({"fields": self.get_arguments("f"), "type": self.request.headers.get("Content-Type")})

    def delete(self):
        self.clear_cookie("c")


application = Application([("/", Echo)])


def test_client_keeps_cookies_and_sends_forms():
    client = Client(application)
    assert client.fetch("/").text == "none"
    assert client.fetch("/").text == "a b,c"
    client.fetch("/", "DELETE")
    assert client.fetch("/").text == "none"
    answer = client.fetch("/", "POST", body={"f": ["1", "2"]}).json()
    assert answer == {"fields": ["1", "2"], "type": "application/x-www-form-urlencoded"}


def test_call_waits_for_a_foreign_application():
    async def plain(request):
        request.connection.answer(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi")

    assert repr(Client(plain).fetch("/")) == "Response(200 OK, 2 bytes)"


def test_cut_connection_is_an_error():
    def cut(request):
        request.connection.abort()

    with pytest.raises(ConnectionAbortedError):
        Client(cut).fetch("/")


@pytest.mark.parametrize(
    ("raw", "is_head"),
    [
        (b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nab", False),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\nab", False),
        (b"HTTP/1.1 204 No Content\r\n\r\nab", False),
        (b"HTTP/1.1 200 OK\r\n\r\nab", True),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\nmore", False),
        (b"nonsense", False),
    ],
)
def test_answer_that_is_not_one_is_refused(raw, is_head):
    with pytest.raises(FrameworkError):
        parse_response(raw, is_head)


def test_leaving_client_is_told_to_whoever_asked():
    async def scenario():
        connection = MemoryConnection()
        told = []
        connection.set_close_callback(lambda: told.append(1))
        connection.leave()
        connection.leave()
        return told, connection.closed

    assert asyncio.run(scenario()) == ([1], True)


def test_serving_answers_over_a_socket():
    async def scenario():
        async with serving(application) as port:
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            writer.write(b"GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
            answer = parse_response(await reader.read())
            writer.close()
            await writer.wait_closed()
            return answer

    answer = asyncio.run(scenario())
    assert (answer.status, answer.text, answer.headers["Connection"]) == (200, "none", "close")


def test_call_takes_requests_made_by_hand():
    async def scenario():
        return await call(application, Client(application).make_request("/", headers={"Cookie": "c=1"}))

    assert asyncio.run(scenario()).text == "1"
