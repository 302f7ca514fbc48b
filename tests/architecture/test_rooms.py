"""A warm GET passes through few rooms: at most 40 Python functions in 8 files of the framework, over a real connection.

Upstream passes 130 functions in 12 files for the same; each costs 50 to 80 ns, and the reader more.
"""

import asyncio
import sys
from pathlib import Path

import pytest

import framework
from framework.testing import parse_response, serving
from framework.web import Application, RequestHandler

ROOT = str(Path(framework.__file__).parent)
TOOL = sys.monitoring.PROFILER_ID
BROWSER = (
    "User-Agent: Mozilla/5.0\r\nAccept: text/html\r\nAccept-Encoding: gzip\r\nAccept-Language: en\r\n"
    "Cookie: a=1; b=2\r\nSec-Fetch-Site: none\r\nSec-Fetch-Mode: navigate\r\nUpgrade-Insecure-Requests: 1\r\n"
)


class Plain(RequestHandler):
    def get(self):
        self.write("Hello, world")


class Coroutine(RequestHandler):
    async def get(self):
        self.write("Hello, world")


class Hooked(RequestHandler):
    def prepare(self):
        self.prepared = True

    def get(self):
        self.set_header("X-Prepared", self.prepared)
        self.write("Hello, world")


async def calls_of_one_get(path, headers):
    """Calls of the framework's Python functions that one GET makes on a connection which has seen three."""
    calls = []

    def started(code, offset):
        if code.co_filename.startswith(ROOT):
            calls.append((code.co_filename, code.co_qualname))

    application = Application(
        [("/", Plain), ("/coroutine", Coroutine), ("/hooked", Hooked)], log_function=lambda _: None
    )
    async with serving(application) as port:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        request = f"GET {path} HTTP/1.1\r\nHost: localhost\r\n{headers}\r\n".encode()
        for number in range(4):
            if number == 3:
                sys.monitoring.use_tool_id(TOOL, "rooms")
                sys.monitoring.register_callback(TOOL, sys.monitoring.events.PY_START, started)
                sys.monitoring.set_events(TOOL, sys.monitoring.events.PY_START)
            try:
                writer.write(request)
                head = await reader.readuntil(b"\r\n\r\n")
                body = await reader.readexactly(12)
            finally:
                if number == 3:
                    sys.monitoring.set_events(TOOL, 0)
                    sys.monitoring.free_tool_id(TOOL)
            assert parse_response(head + body).text == "Hello, world"
        writer.close()
        await writer.wait_closed()
    return calls


@pytest.mark.parametrize("headers", ["", BROWSER], ids=["plain", "browser"])
@pytest.mark.parametrize("path", ["/", "/coroutine", "/hooked"])
def test_warm_get_passes_few_rooms(path, headers):
    calls = asyncio.run(calls_of_one_get(path, headers))
    listing = "\n".join(f"{Path(file).relative_to(ROOT)} {name}" for file, name in calls)
    assert len(calls) <= 40, listing
    assert len({file for file, _ in calls}) <= 8, listing


def test_plain_get_of_a_plain_handler_takes_the_quick_way():
    calls = [name for _, name in asyncio.run(calls_of_one_get("/", ""))]
    assert "execute" not in calls
    assert "Responder._finish_general" not in calls
    assert len(calls) <= 20, calls
