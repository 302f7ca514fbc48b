"""Frontends as real processes: rolled under load, killed, held; and what is said about wrong settings."""

import asyncio
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from wsgiref.simple_server import demo_app

import pytest

from framework.asgi import ASGIContainer
from framework.frontend import (
    Frontend,
    define_frontend_options,
    load_application,
    parse_interface,
    parse_size,
    parse_slots,
)
from framework.options import OptionError, OptionParser
from framework.slots import SlotError, ask
from framework.wsgi import WSGIContainer

ROOT = Path(__file__).parents[2]
APPLICATION = '''
import os, time

class Application:
    """Answers with its process id; /block blocks the loop; the bodies of POSTs are appended to a file."""

    def __call__(self, request):
        if request.path == "/block":
            time.sleep(0.03)
        if request.method == "POST":
            with open(os.environ["WRITTEN"], "ab", 0) as file:
                file.write(request.body + b"\\n")
        body = str(os.getpid()).encode()
        close = b"" if request.connection.keep_alive else b"Connection: close\\r\\n"
        request.connection.answer(b"HTTP/1.1 200 OK\\r\\n%bContent-Length: %d\\r\\n\\r\\n%b" % (close, len(body), body))

    async def warm_up(self):
        if os.environ.get("BROKEN"):
            raise RuntimeError("broken release")

make = Application
'''


@pytest.fixture
def folder() -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="fe") as name:
        (Path(name) / "served.py").write_text(APPLICATION)
        yield Path(name)


class Frontends:
    """Frontend processes of one slot."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.written = folder / "written"
        self.path = folder / "0.sock"
        self.control = folder / "control"
        self.control.mkdir()
        self.processes: list[subprocess.Popen[bytes]] = []

    def start(self, **environment: str) -> subprocess.Popen[bytes]:
        settings = {
            **{"APP": "served:make", "FRONTENDS_DIR": str(self.folder), "CONTROL_DIR": str(self.control), "SLOT": "0"},
            **{"WRITTEN": str(self.written), "PYTHONPATH": f"{ROOT}:{self.folder}", "LOG_LEVEL": "warning"},
            **environment,
        }
        process = subprocess.Popen(
            [sys.executable, "-m", "framework.frontend"], env=os.environ | settings, stderr=subprocess.PIPE
        )
        self.processes.append(process)
        return process

    def wait_for_claim(self, process: subprocess.Popen[bytes]) -> None:
        """Return once the slot is this process's."""
        deadline = time.monotonic() + 20
        while True:
            try:
                facts = ask(str(self.path), "GET", "/").body
                if int(facts) == process.pid:
                    return
            except SlotError:
                pass
            assert process.poll() is None, process.communicate()
            assert time.monotonic() < deadline, "the frontend does not claim its slot"
            time.sleep(0.01)

    def close(self) -> None:
        for process in self.processes:
            if process.poll() is None:
                process.kill()
            process.communicate()


@pytest.fixture
def frontends(folder: Path) -> Iterator[Frontends]:
    started = Frontends(folder)
    yield started
    started.close()


async def _send(path: Path, reuse: list[tuple[asyncio.StreamReader, asyncio.StreamWriter]], data: bytes) -> bytes:
    """The answer to one request, as nginx sends it: over a kept connection if there is one, without a second try."""
    reader, writer = reuse.pop() if reuse else await asyncio.open_unix_connection(str(path))
    writer.write(data)
    head = await reader.readuntil(b"\r\n\r\n")
    body = await reader.readexactly(int(head.lower().partition(b"content-length:")[2].split(b"\r\n")[0]))
    if b"connection: close" in head.lower():
        writer.close()
    else:
        reuse.append((reader, writer))
    return body


class Load:
    """Requests of every kind until stopped; counts what was acknowledged and what was lost."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.acknowledged: list[str] = []
        self.lost: list[str] = []
        self.answered = 0
        self.is_stopping = False

    async def run(self, worker: int) -> None:
        reuse: list[tuple[asyncio.StreamReader, asyncio.StreamWriter]] = []
        turn = 0
        while not self.is_stopping:
            turn += 1
            name = f"{worker}-{turn}"
            if turn % 3 == 0:
                data = f"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: {len(name)}\r\n\r\n{name}".encode()
            else:
                data = b"GET /%s HTTP/1.1\r\nHost: x\r\n\r\n" % (b"block" if turn % 20 == 1 else b"")
            try:
                await _send(self.path, reuse, data)
                self.answered += 1
                if turn % 3 == 0:
                    self.acknowledged.append(name)
            except (OSError, asyncio.IncompleteReadError) as error:
                self.lost.append(f"{name}: {error!r}")
            if turn % 7 == 0 and reuse:
                reuse.pop()[1].close()  # as nginx does with one that was idle
        for _, writer in reuse:
            writer.close()


def test_ten_rolls_under_load_lose_and_double_nothing(frontends: Frontends) -> None:
    async def scenario() -> None:
        serving = frontends.start()
        await asyncio.to_thread(frontends.wait_for_claim, serving)
        load = Load(frontends.path)
        workers = [asyncio.create_task(load.run(n)) for n in range(8)]
        for _ in range(10):
            old, serving = serving, frontends.start()
            await asyncio.to_thread(frontends.wait_for_claim, serving)
            old.send_signal(signal.SIGTERM)
            assert await asyncio.to_thread(old.wait, 20) == 0
        load.is_stopping = True
        await asyncio.gather(*workers)
        assert load.lost == []
        assert load.answered > 100
        written = frontends.written.read_text().split()
        assert sorted(written) == sorted(load.acknowledged)

    asyncio.run(scenario())


def test_killed_frontend_leaves_a_path_that_another_takes_over(frontends: Frontends) -> None:
    first = frontends.start()
    frontends.wait_for_claim(first)
    first.kill()
    first.wait()
    second = frontends.start()
    frontends.wait_for_claim(second)
    assert not list(frontends.control.glob(f"0.{first.pid}.*"))


def test_rollback_is_a_claim_without_a_boot(frontends: Frontends) -> None:
    old = frontends.start(RELEASE="1")
    frontends.wait_for_claim(old)
    new = frontends.start(RELEASE="2")
    frontends.wait_for_claim(new)
    control = str(frontends.control / f"0.{old.pid}.sock")
    assert ask(control, "GET", "/status?until=parked&timeout_s=10", 15).json()["state"] == "parked"
    begun = time.monotonic()
    assert ask(control, "POST", "/claim").status == 200
    frontends.wait_for_claim(old)
    assert time.monotonic() - begun < 1


def test_broken_release_never_claims(frontends: Frontends) -> None:
    good = frontends.start()
    frontends.wait_for_claim(good)
    broken = frontends.start(BROKEN="1")
    assert broken.wait(20) != 0
    assert int(ask(str(frontends.path), "GET", "/").body) == good.pid


@pytest.mark.parametrize(
    ("environment", "message"),
    [
        ({"SLOTS": "many"}, "frontend: SLOTS: expected a number from 1 to 128, or \"auto\", got 'many'"),
        ({"SLOT": "200"}, "frontend: --slot: expected 0 to 127, got 200"),
        ({"APP": "nothing:here"}, "frontend: APP: there is no module 'nothing' (APP=nothing:here)"),
        ({"APP": "served:nobody"}, "frontend: APP: the module 'served' has no 'nobody'"),
        ({"APP": ""}, "frontend: APP: expected package.module:attribute, got 'nothing'"),
        ({"MAX_BODY": "big"}, "frontend: MAX_BODY: expected a size such as 32m, got 'big'"),
        ({"BODY_MEMORY": "-1"}, "frontend: BODY_MEMORY: expected a size such as 32m, got '-1'"),
        ({"MAX_BODIES": "all"}, "frontend: MAX_BODIES: expected a size such as 32m, got 'all'"),
        ({"DRAIN_DEADLINE_S": "x"}, "frontend: DRAIN_DEADLINE_S: expected a number, got 'x'"),
        ({"DRAIN_DEADLINE_S": "inf"}, "frontend: DRAIN_DEADLINE_S: expected 0 to 86400 seconds, got inf"),
        ({"DRAIN_DEADLINE_S": "nan"}, "frontend: DRAIN_DEADLINE_S: expected 0 to 86400 seconds, got nan"),
        ({"PARK_S": "-1"}, "frontend: PARK_S: expected 0 to 86400 seconds, got -1.0"),
    ],
)
def test_wrong_setting_is_one_sentence(frontends: Frontends, environment: dict[str, str], message: str) -> None:
    process = frontends.start(**environment)
    _, errors = process.communicate(timeout=20)
    assert (process.returncode, errors.decode().strip()) == (2, message)


def test_unwritable_directory_is_one_sentence(frontends: Frontends) -> None:
    process = frontends.start(FRONTENDS_DIR="/nowhere")
    _, errors = process.communicate(timeout=20)
    assert process.returncode == 2 and errors.decode().startswith("frontend: ") and "/nowhere" in errors.decode()


def test_second_signal_ends_at_once(frontends: Frontends) -> None:
    async def scenario() -> None:
        process = frontends.start()
        await asyncio.to_thread(frontends.wait_for_claim, process)
        _, writer = await asyncio.open_unix_connection(str(frontends.path))
        await asyncio.sleep(0.1)
        process.send_signal(signal.SIGTERM)
        await asyncio.sleep(0.5)
        assert process.poll() is None  # an idle connection is the proxy's to close
        process.send_signal(signal.SIGTERM)
        assert await asyncio.to_thread(process.wait, 5) == 1
        writer.close()

    asyncio.run(scenario())


@pytest.mark.parametrize(("text", "size"), [("5", 5), ("2k", 2048), ("32m", 32 << 20), ("1G", 1 << 30)])
def test_parse_size(text: str, size: int) -> None:
    assert parse_size(text) == size


@pytest.mark.parametrize("text", ["", "x", "-1", "1.5m", "m", "٣"])
def test_parse_size_refuses(text: str) -> None:
    with pytest.raises(ValueError, match="a size such as 32m"):
        parse_size(text)


def test_parse_slots() -> None:
    assert parse_slots("3") == 3 and parse_slots("auto") >= 1
    for text in ("0", "129", "many", "-1", "2.0"):
        with pytest.raises(ValueError, match="from 1 to 128"):
            parse_slots(text)


def test_sizes_of_bodies_are_settings() -> None:
    options = OptionParser()
    define_frontend_options(options)
    options.parse_command_line(["frontend", "--max-body=2m", "--body-memory=3k", "--max-bodies=4g"])
    limits = Frontend(lambda request: None, options)._make_server().limits
    assert (limits.max_body_bytes, limits.body_memory_bytes, limits.max_buffered_bytes) == (2 << 20, 3 << 10, 4 << 30)


def test_load_application_refuses_what_is_none() -> None:
    with pytest.raises(OptionError, match="expected a callable"):
        load_application("os:sep")
    with pytest.raises(OptionError, match="takes 4 arguments"):
        load_application("tests.framework.test_frontend:takes_four")


def takes_four(one: object, two: object, three: object, four: object) -> None:
    """Nothing that could be served."""


def test_load_application_wraps_wsgi_and_asgi() -> None:
    assert isinstance(load_application("wsgiref.simple_server:demo_app"), WSGIContainer)
    assert isinstance(load_application("tests.support.served:application"), ASGIContainer)
    assert isinstance(load_application("tests.framework.test_frontend:takes_four", "asgi"), ASGIContainer)
    assert load_application("wsgiref.simple_server:demo_app", "squall") is demo_app
    with pytest.raises(ValueError, match="auto, squall, wsgi or asgi"):
        parse_interface("fcgi")


FOREIGN = {
    "fastapi": """
import os
from fastapi import FastAPI

application = FastAPI()

@application.get("/")
async def main():
    return os.getpid()
""",
    "starlette": """
import os
from starlette.applications import Starlette
from starlette.responses import PlainTextResponse
from starlette.routing import Route

async def main(request):
    return PlainTextResponse(str(os.getpid()))

application = Starlette(routes=[Route("/", main)])
""",
    "flask": """
import os
from flask import Flask

application = Flask(__name__)

@application.get("/")
def main():
    return str(os.getpid())
""",
    "django": """
import os, sys
import django
from django.conf import settings
from django.http import HttpResponse
from django.urls import path

settings.configure(SECRET_KEY="x", ALLOWED_HOSTS=["*"], ROOT_URLCONF=sys.modules[__name__])
django.setup()
urlpatterns = [path("", lambda request: HttpResponse(str(os.getpid())))]
from django.core.handlers.asgi import ASGIHandler
from django.core.handlers.wsgi import WSGIHandler
application = WSGIHandler()
asynchronous = ASGIHandler()
""",
}


@pytest.mark.parametrize(
    "app",
    ["fastapi:application", "starlette:application", "flask:application", "django:application", "django:asynchronous"],
)
def test_application_of_another_framework_is_served(frontends: Frontends, app: str) -> None:
    name, _, attribute = app.partition(":")
    (frontends.folder / f"foreign_{name}.py").write_text(FOREIGN[name])
    process = frontends.start(APP=f"foreign_{name}:{attribute}")
    frontends.wait_for_claim(process)
    process.send_signal(signal.SIGTERM)
    assert process.wait(20) == 0
