import asyncio

from framework.errors import ProtocolError
from tests.support.memory import connect

GET = b"GET / HTTP/1.1\r\nHost: h\r\n\r\n"


def test_application_that_raises_is_answered_500(loop, caplog):
    def application(request):
        raise ValueError("oops")

    connection, transport = connect(loop, application)
    connection.data_received(GET)
    assert transport.sent.startswith(b"HTTP/1.1 500 ") and b"oops" not in transport.sent
    assert caplog.records[0].levelname == "ERROR"


def test_application_that_raises_after_writing_is_cut(loop, caplog):
    def application(request):
        request.write(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n")
        raise ValueError("oops")

    connection, transport = connect(loop, application)
    connection.data_received(GET)
    assert b"500" not in transport.sent and transport.is_closed


def test_application_that_finds_the_request_malformed(loop):
    def application(request):
        raise ProtocolError("form: no", 415)

    connection, transport = connect(loop, application)
    connection.data_received(GET)
    assert transport.sent.startswith(b"HTTP/1.1 415 ")


def test_cancelled_application_is_no_error(loop, caplog):
    tasks = []

    async def application(request):
        tasks.append(asyncio.current_task())
        await asyncio.Event().wait()

    async def main():
        connection, transport = connect(loop, application)
        connection.data_received(GET)
        tasks[0].cancel()
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        assert transport.is_closed

    loop.run_until_complete(main())
    assert not caplog.records


def test_application_may_be_a_function_a_method_or_an_object(loop):
    class Application:
        def __call__(self, request):
            request.connection.answer(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")

    application = Application()
    for each in (application, application.__call__, lambda request: application(request)):
        connection, transport = connect(loop, each)
        connection.data_received(GET)
        assert transport.sent.startswith(b"HTTP/1.1 200 ")
