import asyncio
import contextlib
import logging
import os
import socket
import ssl
import subprocess
import time

import pytest
import uvloop

from framework import netutil
from framework.httpserver import HTTPServer
from framework.metrics import traffic
from tests.support import rawhttp
from tests.support.rawhttp import connected, hello, serving

GET = b"GET /%d HTTP/1.1\r\nHost: h\r\n\r\n"
LARGE = b"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 3000\r\n\r\n"


def test_item_130_keep_alive_and_pipelining_answer_in_order():
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


def run(main):
    """Run a coroutine function on both loops that serve in practice."""
    asyncio.run(main())
    uvloop.run(main())


def test_item_116_xheaders_are_believed_from_whom_they_may_come(tmp_path):
    seen = []

    def application(request):
        seen.append((request.remote_ip, request.protocol))
        hello(request)

    head = b"GET / HTTP/1.1\r\nHost: h\r\nX-Real-IP: 192.0.2.1\r\nX-Scheme: https\r\n\r\n"
    cases = [
        ({"xheaders": True}, True),  # this machine's nginx
        ({"xheaders": True, "trusted_downstream": ["127.0.0.0/8"]}, True),
        ({"xheaders": True, "trusted_downstream": ["192.0.2.0/24"]}, False),
        ({"xheaders": True, "trusted_downstream": []}, False),
        ({"trusted_downstream": ["127.0.0.0/8"]}, False),
        ({}, False),
    ]

    async def main():
        path = str(tmp_path / "s")
        listener = netutil.bind_unix_socket(path)
        async with serving(application, listener, xheaders=True), connected(path=path) as client:
            await client.ask(head)
        for options, _ in cases:
            async with serving(application, **options) as server, connected(server.port) as client:
                await client.ask(head)

    run(main)
    told, ignored = ("192.0.2.1", "https"), ("127.0.0.1", "http")
    assert seen == 2 * [told, *(told if is_believed else ignored for _, is_believed in cases)]


def test_hold_queues_requests_and_connections():
    async def main():
        async with serving(hello) as server, connected(server.port) as client:
            await client.ask(GET % 0)
            server.hold()
            client.send(GET % 1)
            async with connected(server.port) as newcomer:
                newcomer.send(GET % 2)
                asking = asyncio.create_task(client.receive_response())
                for _ in range(20):
                    await asyncio.sleep(0)
                assert not asking.done() and server.connections == 1
                server.resume()
                assert (await asking)[2] == b"GET /1 0"
                assert (await newcomer.receive_response())[2] == b"GET /2 0"

    run(main)


def test_drain_answers_everything_and_closes_no_idle_connection_first():
    async def main():
        gate = asyncio.Event()

        async def application(request):
            if request.path == "/1":
                await gate.wait()
            hello(request)

        async with serving(application) as server:
            async with connected(server.port) as idle, connected(server.port) as busy:
                await idle.ask(GET % 0)
                busy.send(GET % 1)
                while server.connections < 2:
                    await asyncio.sleep(0)
                draining = asyncio.create_task(server.drain(grace_s=0.05))
                await asyncio.sleep(0)
                async with connected(server.port) as late:
                    late.send(GET % 2)
                    assert (await late.receive_response())[1]["connection"] == "close"
                gate.set()
                assert (await busy.receive_response())[1]["connection"] == "close"
                # The idle one may still send one request, and learns by its answer that there is no other.
                assert (await idle.ask(GET % 3))[1]["connection"] == "close"
                await asyncio.wait_for(draining, 5)
            assert server.connections == 0
            with pytest.raises(ConnectionRefusedError):
                await asyncio.open_connection("127.0.0.1", server.port)

    run(main)


def test_drain_ends_at_its_deadline():
    async def main():
        async with serving(lambda request: None) as server, connected(server.port) as client:
            client.send(GET % 1)
            while not server.connections:
                await asyncio.sleep(0)
            await asyncio.wait_for(server.drain(grace_s=0.01, deadline_s=0.05), 5)
            with contextlib.suppress(ConnectionResetError):
                assert await client.receive_all() == b""

    run(main)


def test_drain_of_a_held_server_answers_what_was_held():
    async def main():
        async with serving(hello) as server, connected(server.port) as client:
            await client.ask(GET % 0)
            server.hold()
            client.send(GET % 1)
            await asyncio.wait_for(server.drain(grace_s=0.02), 5)
            assert (await client.receive_response())[2] == b"GET /1 0"

    run(main)


def test_idling_clients_keep_nobody_out():
    async def main():
        async with serving(hello, max_connections=20, min_idle_s=0) as server, contextlib.AsyncExitStack() as stack:
            for _ in range(60):
                await stack.enter_async_context(connected(server.port))
            for number in range(5):
                async with connected(server.port) as polite:
                    assert (await polite.ask(GET % number))[0] == 200
            assert server.connections <= 21

    run(main)


def test_more_requests_at_once_than_connections_allowed_are_refused_and_recover(caplog):
    caplog.set_level(logging.INFO)

    async def main():
        waiting = []
        async with serving(waiting.append, max_connections=5) as server, contextlib.AsyncExitStack() as stack:
            clients = [await stack.enter_async_context(connected(server.port)) for _ in range(10)]
            for client in clients:
                client.send(GET % 1)
            statuses = []
            while len(waiting) < 4:
                await asyncio.sleep(0)
            answers = [asyncio.create_task(client.receive_response()) for client in clients]
            while not any(answer.done() for answer in answers):
                await asyncio.sleep(0)
            while not all(answer.done() for answer in answers):
                while waiting:
                    hello(waiting.pop())
                for client, answer in zip(clients, answers, strict=True):
                    if answer.done():
                        client.writer.close()
                await asyncio.sleep(0)
            statuses = {answer.result()[0] for answer in answers}
            assert statuses == {200, 503}

    began = time.monotonic()
    run(main)
    lines = [record for record in caplog.records if "503 more than 5 connections" in record.getMessage()]
    assert 2 <= len(lines) <= 2 + time.monotonic() - began  # each of the two servers says it once a second at most
    assert {line.levelname for line in lines} == {"INFO"}


async def hold_body(client, server, files):
    """Send the first 2,000 bytes of a body of 3,000, and return when so many bodies are in files."""
    client.send(LARGE + bytes(2000))
    while server.bodies.files < files:
        await asyncio.sleep(0)


def test_file_of_a_body_takes_the_place_of_a_connection():
    async def main():
        async with (
            serving(hello, max_connections=2, min_idle_s=0, body_memory_bytes=1000) as server,
            connected(server.port) as sender,
            connected(server.port) as idle,
        ):
            await sender.ask(GET % 0)
            await idle.ask(GET % 0)
            await hold_body(sender, server, files=1)
            assert await idle.receive_all() == b""  # its descriptor is the file's
            async with connected(server.port) as newcomer:
                assert (await newcomer.ask(LARGE))[0] == 503
            sender.send(bytes(1000))
            assert (await sender.receive_response())[2] == b"POST / 3000"
            async with connected(server.port) as newcomer:
                assert (await newcomer.ask(GET % 1))[0] == 200

    run(main)


def test_file_that_is_closed_lets_the_next_client_in():
    async def main():
        async with (
            serving(hello, max_connections=2, min_idle_s=0, linger_s=60, body_memory_bytes=1000) as server,
            connected(server.port) as sender,
        ):
            await hold_body(sender, server, files=1)
            async with connected(server.port) as refused, connected(server.port) as waiting:
                assert (await refused.ask(GET % 0))[0] == 503  # and it stays, so that nobody else is accepted
                sender.send(bytes(1000))
                assert (await sender.receive_response())[2] == b"POST / 3000"
                assert (await waiting.ask(GET % 1))[0] == 200

    run(main)


def test_body_finds_no_descriptor_where_none_is_idle():
    async def main():
        async with (
            serving(hello, max_connections=2, min_idle_s=0, body_memory_bytes=1000) as server,
            connected(server.port) as one,
            connected(server.port) as other,
        ):
            await other.ask(GET % 0)
            one.send(LARGE + bytes(100))
            other.send(LARGE + bytes(100))
            while server.bodies.buffered_bytes < 200:
                await asyncio.sleep(0)
            one.send(bytes(1900))
            assert (await one.receive_response())[0] == 503
            assert server.bodies.buffered_bytes == 100

    run(main)


def test_ipv6_and_reuse_port():
    async def main():
        async with serving(hello, netutil.bind_sockets(0, "::1", reuse_port=True)[0]) as server:
            second = netutil.bind_sockets(server.port, "::1", reuse_port=True)[0]
            server.add_socket(second)
            for number in range(8):
                reader, writer = await asyncio.open_connection("::1", server.port)
                async with rawhttp.closing_client(reader, writer) as client:
                    assert (await client.ask(GET % number))[0] == 200

    run(main)


def test_inherited_socket():
    async def main():
        listener = rawhttp.listening_socket()
        inherited = socket.socket(fileno=os.dup(listener.fileno()))
        listener.close()
        async with serving(hello, inherited) as server, connected(server.port) as client:
            assert (await client.ask(GET % 1))[0] == 200

    run(main)


def make_certificate(directory, name):
    """Paths of a new self-signed certificate and its key."""
    paths = [str(directory / f"{name}.crt"), str(directory / f"{name}.key")]
    key = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"]
    command = ["openssl", "req", "-x509", *key, "-days", "2", "-subj", "/CN=localhost", "-out", paths[0]]
    subprocess.run([*command, "-keyout", paths[1]], check=True, capture_output=True)
    return paths


def test_tls_with_a_certificate_renewed_while_serving(tmp_path, caplog):
    first, second = make_certificate(tmp_path, "first"), make_certificate(tmp_path, "second")
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    protocols = []

    def application(request):
        protocols.append((request.protocol, request.full_url(), request.get_ssl_certificate()))
        hello(request)

    async def served(port):
        async with connected(port, ssl=context) as client:
            assert (await client.ask(GET % 1))[0] == 200
            return client.writer.get_extra_info("ssl_object").getpeercert(binary_form=True)

    async def main():
        async with serving(application, ssl_options={"certfile": first[0], "keyfile": first[1]}) as server:
            old = await served(server.port)
            with pytest.raises(OSError):
                server.load_certificate(second[0], first[1])
            assert await served(server.port) == old
            server.load_certificate(*second)
            assert await served(server.port) != old
            async with connected(server.port) as plain:
                plain.send(GET % 1)
                await plain.receive_all()
        with pytest.raises(ValueError):
            HTTPServer(application).load_certificate(*second)

    run(main)
    assert set(protocols) == {("https", "https://h/1", None)}
    assert not [record for record in caplog.records if record.levelname == "ERROR"]


def test_clients_that_never_finish_their_handshake_keep_nobody_out_for_long(tmp_path):
    certificate = make_certificate(tmp_path, "only")
    context = ssl.create_default_context(cafile=certificate[0])
    context.check_hostname = False

    async def main():
        options = {"ssl_options": {"certfile": certificate[0], "keyfile": certificate[1]}, "tls_handshake_s": 0.2}
        async with serving(hello, max_connections=3, **options) as server, contextlib.AsyncExitStack() as stack:
            for _ in range(8):
                await stack.enter_async_context(connected(server.port))
            # Those before it in the queue may still be counted when its handshake is done: then it is refused, once.
            for _ in range(3):
                async with connected(server.port, ssl=context) as client:
                    status, _, _ = await client.ask(GET % 1)
                if status == 200:
                    break
            assert status == 200

    run(main)


def test_send_file_over_tcp_and_tls(tmp_path):
    content = bytes(range(256)) * 4000
    path = tmp_path / "file"
    path.write_bytes(content)
    certificate = make_certificate(tmp_path, "only")
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE

    async def application(request):
        with open(path, "rb") as file:
            request.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % (len(content) - 10))
            await request.connection.send_file(file, 10, len(content) - 10)
        request.finish()

    async def main():
        tls = {"ssl_options": {"certfile": certificate[0], "keyfile": certificate[1]}}
        for options, client_options in [({}, {}), (tls, {"ssl": context})]:
            async with serving(application, **options) as server, connected(server.port, **client_options) as client:
                for _ in range(2):
                    assert (await client.ask(GET % 1))[2] == content[10:]

    run(main)


def test_send_file_to_a_client_that_goes_away(tmp_path):
    path = tmp_path / "file"
    path.write_bytes(b"x" * 20_000_000)
    ends = []

    async def application(request):
        with open(path, "rb") as file:
            try:
                await request.connection.send_file(file, 0, 20_000_000)
            except ConnectionResetError:
                ends.append("gone")

    async def main():
        async with serving(application) as server:
            async with connected(server.port) as client:
                client.send(GET % 1)
                await client.reader.readexactly(1000)
                client.writer.transport.abort()
            while server.connections:
                await asyncio.sleep(0)
            for _ in range(5):
                await asyncio.sleep(0)

    run(main)
    assert ends == ["gone", "gone"]


def test_connections_handed_over_do_not_look_at_one_another():
    looks = 0

    class Upgraded(asyncio.Transport):
        is_closed = False

        def is_closing(self):
            nonlocal looks
            looks += 1
            return self.is_closed

    async def main():
        nonlocal looks
        server = HTTPServer(hello)
        transports = [Upgraded() for _ in range(5000)]
        for transport in transports:
            server.hand_over(transport)
        assert looks < 2 * len(transports)
        assert server.connections == len(transports)
        for transport in transports[1:]:
            transport.is_closed = True
        assert server.connections == 1
        looks = 0
        for _ in range(20_000):
            gone = Upgraded()
            gone.is_closed = True
            server.hand_over(gone)
        assert server.connections == 1
        assert looks < 20_000 * 3, "those that are gone pile up"

    asyncio.run(main())


@pytest.mark.parametrize("ending", [b"", b"Connection: close\r\n"], ids=["kept", "early"])
def test_bytes_are_counted_both_ways(tmp_path, ending):
    """Answers in one piece, in pieces and from a file, on connections that stay and on those answered early."""
    (tmp_path / "file").write_bytes(b"f" * 100_000)

    async def application(request):
        connection = request.connection
        if request.path == "/file":
            connection.write(b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n")
            with open(tmp_path / "file", "rb") as file:
                await connection.send_file(file, 0, 100_000)
            connection.finish()
        elif request.path == "/pieces":
            connection.write(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n")
            connection.write(b"ab")
            connection.finish()
        else:
            connection.answer(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nab")

    async def main():
        async with serving(application) as server:
            for path in ("/", "/pieces", "/file"):
                asked = b"GET %b HTTP/1.1\r\nHost: h\r\n%b\r\n" % (path.encode(), ending)
                before = traffic.received_bytes, traffic.sent_bytes
                reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
                writer.write(asked)
                head = await reader.readuntil(b"\r\n\r\n")
                body = await reader.readexactly(100_000 if path == "/file" else 2)
                writer.close()
                await writer.wait_closed()
                assert traffic.received_bytes - before[0] == len(asked)
                while traffic.sent_bytes - before[1] < len(head) + len(body):  # a file's are counted when it is sent
                    await asyncio.sleep(0)
                assert traffic.sent_bytes - before[1] == len(head) + len(body)

    asyncio.run(main())
