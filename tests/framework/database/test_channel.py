"""A connection on the loop, over a socket, a network and TLS; and what it makes of a server that lies or goes."""

import asyncio
import socket
import ssl
import tempfile
import threading
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from framework.database import Address, DatabaseError, DatabaseUnavailable, Pool
from framework.database.channel import Channel, Job
from framework.ioloop.loop import new_event_loop
from tests.support import answers
from tests.support.mysql import Server, find_free_port, listen

MEGABYTE = 1 << 20


class Owner:
    """Remembers what the channel tells."""

    def __init__(self) -> None:
        self.told: list[tuple[Any, ...]] = []

    def channel_answered(self, channel: Channel, job: Job) -> None:
        self.told.append((job, channel.reader.result, channel.reader.error))

    def channel_lost(self, channel: Channel, job: Job | None, error: Exception, is_unsent: bool) -> None:
        self.told.append((job, str(error), is_unsent))


class Driver:
    """What a channel needs of the driver's connection: a socket, whose other end the test holds."""

    server_capabilities = (1 << 23) | (1 << 24)
    server_status = 2

    def __init__(self) -> None:
        self._sock, self.far = socket.socketpair()
        self.is_closed = False

    def escape(self, value: object) -> str:
        return repr(value)

    def thread_id(self) -> int:
        return 1

    def _force_close(self) -> None:
        self._sock.close()


async def _turn(owner: Owner) -> Any:
    """What the owner is told next."""
    while not owner.told:
        await asyncio.sleep(0)
    return owner.told.pop()


@pytest.fixture
def run() -> Any:
    def run_one(scenario: Any) -> None:
        async def whole() -> None:
            driver, owner = Driver(), Owner()
            channel = Channel(driver, asyncio.get_running_loop(), owner)  # type: ignore[arg-type]
            try:
                await scenario(channel, driver.far, owner)
            finally:
                channel.close()
                driver.far.close()

        asyncio.run(whole())

    return run_one


def _job(query: str = "SELECT 1", parameters: Any = None) -> Job:
    return Job(query, parameters, asyncio.get_running_loop().create_future())


def test_statement_goes_out_and_its_answer_comes_back(run: Any) -> None:
    async def scenario(channel: Channel, far: socket.socket, owner: Owner) -> None:
        channel.start(job := _job("SELECT %s", (1,)), 0)
        assert far.recv(100) == b"\x09\0\0\0\x03SELECT 1"
        far.send(answers.packets([answers.ok(7, status=3)]))
        told, result, error = await _turn(owner)
        assert told is job and result.affected_rows == 7 and error is None
        assert channel.is_in_transaction and repr(channel) == "<Channel 1, idle>"

    run(scenario)


def test_statement_that_the_kernel_takes_in_pieces(run: Any) -> None:
    async def scenario(channel: Channel, far: socket.socket, owner: Owner) -> None:
        channel.start(_job("x" * (8 * MEGABYTE)), 0)
        far.setblocking(False)
        received = 0
        while received < 8 * MEGABYTE + 5:
            try:
                received += len(far.recv(MEGABYTE))
            except BlockingIOError:
                await asyncio.sleep(0)
        far.send(answers.packets([answers.ok()]))
        assert (await _turn(owner))[1].affected_rows == 0

    run(scenario)


@pytest.mark.parametrize(
    ("sends", "message"),
    [
        (b"", "the server closed the connection"),
        (answers.packets([b"\xfb/etc/passwd"]), "asks for a local file"),
        (answers.packets([answers.ok()], first=9), "out of order"),
        (answers.packets([answers.error(1053, "shutdown")], first=0), "shutdown"),
    ],
)
def test_server_that_goes_or_lies_costs_the_connection(run: Any, sends: bytes, message: str) -> None:
    async def scenario(channel: Channel, far: socket.socket, owner: Owner) -> None:
        channel.start(job := _job(), 0)
        far.sendall(sends) if sends else far.shutdown(socket.SHUT_RDWR)
        told, error, is_unsent = await _turn(owner)
        assert told is job and message in error and not is_unsent and not channel.is_open

    run(scenario)


def test_idle_connection_that_the_server_closes_is_noticed(run: Any) -> None:
    async def scenario(channel: Channel, far: socket.socket, owner: Owner) -> None:
        far.close()
        assert (await _turn(owner))[0] is None and repr(channel) == "<Channel 1, closed>"

    run(scenario)


def test_statement_on_a_dead_connection_was_surely_not_sent(run: Any) -> None:
    async def scenario(channel: Channel, far: socket.socket, owner: Owner) -> None:
        far.close()
        channel.start(job := _job(), 0)
        assert owner.told == [(job, "[Errno 32] Broken pipe", True)]

    run(scenario)


def test_error_before_the_whole_statement_is_told_and_the_connection_closed(run: Any) -> None:
    async def scenario(channel: Channel, far: socket.socket, owner: Owner) -> None:
        channel.start(_job("x" * (8 * MEGABYTE)), 0)
        far.sendall(answers.packets([answers.error(1153, "Got a packet bigger than 'max_allowed_packet' bytes")]))
        far.close()
        _, result, error = await _turn(owner)
        assert result is None and "bigger than" in str(error) and not channel.is_open

    run(scenario)


def test_values_that_do_not_fit_leave_the_connection_as_it_was(run: Any) -> None:
    async def scenario(channel: Channel, far: socket.socket, owner: Owner) -> None:
        with pytest.raises(TypeError):
            channel.start(_job("%s", ()), 0)
        assert channel.job is None and channel.is_open
        channel.close()
        assert far.recv(100) == b"\x01\0\0\0\x01"  # a word of farewell

    run(scenario)


def test_stream_pauses_until_its_rows_are_taken(run: Any) -> None:
    async def scenario(channel: Channel, far: socket.socket, owner: Owner) -> None:
        data = answers.answer([answers.column("t", answers.VAR_STRING)], [[b"x" * 50_000]] * 400)
        sender = threading.Thread(target=far.sendall, args=(data,))
        job = _job()
        job.is_stream = True
        channel.start(job, 0)
        sender.start()
        count = 0
        while not owner.told:
            if job.future.done():
                assert not channel._is_reading
                count += len(job.future.result())
                job.future = asyncio.get_running_loop().create_future()
                channel.resume()
            await asyncio.sleep(0)
        assert count + len(owner.told[0][1].rows) == 400
        sender.join()

    run(scenario)


@pytest.fixture(scope="module", params=["mariadb", "mysql"])
def far_server(request: pytest.FixtureRequest) -> Iterator[SimpleNamespace]:
    """A server on a port, with the certificate that it made itself."""
    with tempfile.TemporaryDirectory(prefix="far") as folder:
        port = find_free_port()
        server = Server(Path(folder), request.param, *listen(port), "--skip-log-bin")
        server.install()
        with server.connect_as_root() as db, db.cursor() as cursor:
            cursor.execute("CREATE USER far@'%' IDENTIFIED BY 'secret'")
            cursor.execute("GRANT ALL ON test.* TO far@'%'")
        yield SimpleNamespace(port=port, server=server)
        server.stop()


@pytest.mark.parametrize("make_loop", [asyncio.new_event_loop, new_event_loop], ids=["asyncio", "uvloop"])
@pytest.mark.parametrize("has_tls", [False, True])
def test_network_with_and_without_a_context_of_ones_own(
    far_server: SimpleNamespace, has_tls: bool, make_loop: Any
) -> None:
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    address = Address(f"127.0.0.1:{far_server.port}", "test", "far", "secret", context if has_tls else None)

    async def scenario() -> None:
        pool = Pool(address, size=2, acquire_timeout_s=30)
        cipher = await pool.get("SHOW SESSION STATUS LIKE 'Ssl_cipher'")
        assert cipher is not None and cipher.Value
        for size in (1, 20_000, 3 * MEGABYTE, 20 * MEGABYTE):
            row = await pool.get("SELECT %s AS v, LENGTH(%s) AS n", "x" * size, "y")
            assert row is not None and row.v == "x" * size and row.n == 1
        await pool.execute("CREATE TABLE IF NOT EXISTS wide (n INT, t VARCHAR(1000))")
        await pool.execute("TRUNCATE wide")
        await pool.executemany("INSERT INTO wide VALUES (%s, %s)", [(n, "t" * 1000) for n in range(3000)])
        assert [row.n async for row in pool.iter("SELECT * FROM wide ORDER BY n")] == list(range(3000))
        assert len(await asyncio.gather(*(pool.query("SELECT * FROM wide") for _ in range(10)))) == 10
        await pool.close()

    with asyncio.Runner(loop_factory=make_loop) as runner:
        runner.run(scenario())


def test_certificate_that_nobody_vouches_for_is_refused(far_server: SimpleNamespace) -> None:
    address = Address(f"127.0.0.1:{far_server.port}", "test", "far", "secret", ssl.create_default_context())

    async def scenario() -> None:
        pool = Pool(address)
        for _ in range(3):
            with pytest.raises((DatabaseUnavailable, DatabaseError), match="certificate verify failed"):
                await pool.query("SELECT 1")
        await pool.close()

    asyncio.run(scenario())
