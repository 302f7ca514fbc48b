import asyncio

from tests.support.rawhttp import connected, hello, serving

GET = b"GET /%d HTTP/1.1\r\nHost: h\r\n\r\n"


def test_keep_alive_and_pipelining_answer_in_order():
    async def main():
        async with serving(hello) as server, connected(server.port) as client:
            assert (await client.ask(GET % 1))[2] == b"GET /1 0"
            client.send(b"".join(GET % n for n in range(50)))
            for n in range(50):
                assert (await client.receive_response())[2] == b"GET /%d 0" % n
            assert server.connections == 1

    asyncio.run(main())


def test_asynchronous_answers_keep_their_order():
    async def application(request):
        for _ in range(3):
            await asyncio.sleep(0)
        hello(request)

    async def main():
        async with serving(application) as server, connected(server.port) as client:
            client.send(b"".join(GET % n for n in range(20)))
            for n in range(20):
                assert (await client.receive_response())[2] == b"GET /%d 0" % n

    asyncio.run(main())


def test_bodies_by_length_and_by_chunks():
    async def main():
        async with serving(hello) as server, connected(server.port) as client:
            client.send(b"POST /a HTTP/1.1\r\nHost: h\r\nContent-Length: 5\r\n\r\n12")
            client.send(b"345POST /b HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n")
            client.send(b"0\r\n\r\n" + GET % 1)
            assert [(await client.receive_response())[2] for _ in range(3)] == [b"POST /a 5", b"POST /b 3", b"GET /1 0"]

    asyncio.run(main())


def test_connection_close_closes():
    async def main():
        async with serving(hello) as server, connected(server.port) as client:
            client.send(b"GET / HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n")
            assert (await client.receive_all()).endswith(b"Connection: close\r\n\r\nGET / 0")

    asyncio.run(main())


def test_malformed_request_is_answered_and_closed():
    async def main():
        async with serving(hello) as server, connected(server.port) as client:
            client.send(GET % 1 + b"GET / HTTP/1.1\r\nHost : h\r\n\r\n")
            assert (await client.receive_response())[0] == 200
            answer = await client.receive_all()
            assert answer.startswith(b"HTTP/1.1 400 Bad Request\r\n") and b"Connection: close\r\n" in answer

    asyncio.run(main())
