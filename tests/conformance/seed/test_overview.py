"""What the seed says of itself before its first example: one thread, epoll, many who wait, modules of their own."""

import asyncio
import os
import subprocess
import sys
import zipfile

import pytest

import framework
from framework.testing import serving
from framework.web import Application, RequestHandler
from tests.conformance.seed.launch import ENVIRONMENT, ROOT, fetch, program, run
from tests.support.front import free_port, wait_for_port

MAIN = [
    *("web", "escape", "database", "template", "httpclient", "auth", "locale", "options"),
    *("httpserver", "iostream", "ioloop", "s3server", "wsgi"),
]

WAITING = """
import sys
import framework.ioloop
import framework.web

class Wait(framework.web.RequestHandler):
    @framework.web.asynchronous
    def get(self):
        waiting.append(self)

class Count(framework.web.RequestHandler):
    def get(self):
        self.write(str(len(waiting)))

waiting = []
application = framework.web.Application([(r"/wait", Wait), (r"/", Count)])
application.listen(int(sys.argv[1]), "127.0.0.1")
framework.ioloop.IOLoop.instance().start()
"""


def test_item_001_002_one_thread_on_epoll_serves_many_at_once(tmp_path):
    async def scenario(process, port):
        peers = []
        for _ in range(200):
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            writer.write(b"GET /wait HTTP/1.1\r\nHost: a\r\n\r\n")
            peers.append((reader, writer))
        while (await asyncio.to_thread(fetch, port))[2] != "200":
            pass
        assert len(os.listdir(f"/proc/{process.pid}/task")) == 1
        folder = f"/proc/{process.pid}/fd"
        assert "anon_inode:[eventpoll]" in {os.readlink(f"{folder}/{name}") for name in os.listdir(folder)}
        for _, writer in peers:
            writer.close()

    port = free_port()
    with program(tmp_path, WAITING, port) as process:
        wait_for_port(port)
        asyncio.run(scenario(process, port))


def test_item_003_004_an_update_reaches_every_one_of_a_thousand_open_pages():
    waiting = []

    class Poll(RequestHandler):
        async def get(self):
            future = asyncio.get_running_loop().create_future()
            waiting.append(future)
            self.write(await future)

    class Post(RequestHandler):
        def post(self):
            for future in waiting:
                future.set_result(self.get_argument("text"))

    async def ask(port, head):
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(head + b"Host: a\r\nConnection: close\r\n\r\n")
        answer = await reader.read()
        writer.close()
        return answer

    async def scenario():
        application = Application([("/poll", Poll), ("/post", Post)], log_function=lambda _: None)
        async with serving(application) as port:
            pages = [asyncio.create_task(ask(port, b"GET /poll HTTP/1.1\r\n")) for _ in range(1000)]
            while len(waiting) < 1000:
                await asyncio.sleep(0)
            await ask(port, b"POST /post?text=news HTTP/1.1\r\nContent-Length: 0\r\n")
            assert all(answer.endswith(b"\r\n\r\nnews") for answer in await asyncio.gather(*pages))

    asyncio.run(scenario())


@pytest.mark.parametrize("name", [name for name in MAIN if name not in {"web", "auth", "wsgi"}])
def test_item_006_module_can_be_used_alone(tmp_path, name):
    text = f"import sys, framework.{name}\nprint('framework.web' in sys.modules)"
    assert run(tmp_path, text) == "False\n"


def test_item_007_folder_on_the_path_is_an_installation(tmp_path):
    text = "import framework\nprint(framework.__file__)"
    assert run(tmp_path, text) == f"{ROOT / 'framework/__init__.py'}\n"


def test_item_007_008_wheel_holds_the_framework_and_nothing_else(tmp_path):
    # A copy of what belongs in it: building writes beside the source.
    source = tmp_path / "source"
    done = subprocess.run(
        ["cp", "-r", "--parents", "framework", "pyproject.toml", "README.md", str(tmp_path)], cwd=ROOT
    )
    assert done.returncode == 0
    source.mkdir()
    command = [
        sys.executable,
        "-c",
        "from setuptools.build_meta import build_wheel as b; import sys; print(b(sys.argv[1]))",
    ]
    done = subprocess.run([*command, str(source)], cwd=tmp_path, capture_output=True, text=True, env=ENVIRONMENT)
    assert done.returncode == 0, done.stderr
    (wheel,) = source.iterdir()
    names = zipfile.ZipFile(wheel).namelist()
    assert {name.split("/")[0] for name in names} == {"framework", f"squall-{framework.version}.dist-info"}
    assert "framework/py.typed" in names


def test_item_008_everything_but_the_client_works_without_pycurl(tmp_path):
    text = """
    import sys
    sys.modules["pycurl"] = None
    import framework.web, framework.httpserver, framework.ioloop, framework.wsgi, framework.s3server, framework.database
    try:
        import framework.httpclient
    except ImportError as error:
        print(error)
    """
    assert "pycurl" in run(tmp_path, text)


@pytest.mark.parametrize("name", MAIN)
def test_item_009_010_names_are_importable_and_are_attributes(tmp_path, name):
    text = f"import framework\nprint(framework.{name}.__name__)\nimport framework.{name}, framework.websocket"
    assert run(tmp_path, text) == f"framework.{name}\n"
