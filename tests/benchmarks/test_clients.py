"""The loads that neither ab nor wrk can make, against our server and against servers that answer something else."""

import asyncio
import resource
import subprocess
import sys
from collections.abc import Awaitable, Callable

import pytest

from tests.benchmarks import clients
from tests.benchmarks.loads import LoadError
from tests.benchmarks.servers import Server
from tests.benchmarks.test_servers import squall

__all__ = ["squall"]

SWITCHED = b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n"


def test_echo(squall: Server) -> None:
    outcome = asyncio.run(clients.echo("127.0.0.1", squall.command.port, 3, 0.2))
    assert outcome.requests >= 3
    assert outcome.failed == 0
    assert outcome.load_cpu_s > 0


def test_fan_out(squall: Server) -> None:
    async def run() -> int:
        waiting = await clients.wait_together("127.0.0.1", squall.command.port, 20)
        try:
            return (await waiting.wake()).requests
        finally:
            waiting.close()

    assert asyncio.run(run()) == 20


def test_more_connections_than_files_may_be_open_says_what_to_do(squall: Server) -> None:
    wait = f"asyncio.run(clients.wait_together('127.0.0.1', {squall.command.port}, 90))"
    program = f"import asyncio; from tests.benchmarks import clients; {wait}"
    done = subprocess.run(
        [sys.executable, "-c", program],
        capture_output=True,
        text=True,
        timeout=30,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_NOFILE, (60, 60)),
    )
    assert "0 of 90 connected: [Errno 24] Too many open files; raise the limit of open files" in done.stderr


async def against(answers: list[bytes], load: Callable[[int], Awaitable[object]]) -> None:
    """Put the load on a server that gives these answers on each connection, one for each piece that arrives."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        for answer in answers:
            await reader.read(4096)
            writer.write(answer)
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    try:
        await load(server.sockets[0].getsockname()[1])
    finally:
        server.close()


@pytest.mark.parametrize(
    ("answers", "sentence"),
    [
        ([b"HTTP/1.1 404 Not Found\r\n\r\n"], "expected 101"),
        ([SWITCHED, clients.ANSWER[:-1] + b"y"], "expected the message back"),
    ],
)
def test_what_is_no_echo_is_refused(answers: list[bytes], sentence: str) -> None:
    with pytest.raises(LoadError, match=sentence):
        asyncio.run(against(answers, lambda port: clients.echo("127.0.0.1", port, 1, 0.2)))


def test_long_poll_that_ends_otherwise_is_refused() -> None:
    async def poll(port: int) -> None:
        waiting = await clients.wait_together("127.0.0.1", port, 1)
        try:
            await waiting.wake()
        finally:
            waiting.close()

    answer = b"HTTP/1.1 503 Service Unavailable\r\nConnection: close\r\nContent-Length: 0\r\n\r\n"
    with pytest.raises(LoadError, match="expected 200"):
        asyncio.run(asyncio.wait_for(against([answer], poll), 20))
