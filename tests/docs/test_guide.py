"""Every program of the guide runs, and answers what the guide says it does."""

import asyncio
import contextlib
import re
import shlex
from pathlib import Path

import pytest

from framework import locale
from framework.database import Address
from framework.options import options
from framework.testing import Client, serving
from framework.web import Application
from framework.websocket import websocket_connect
from tests.support.providers import Lies, make_provider

GUIDE = (Path(__file__).parents[2] / "docs/guide.md").read_text()
BLOCK = re.compile(r"^## (?P<title>.+)$|^```(?P<kind>.*)\n(?P<text>(?:.*\n)*?)```$", re.MULTILINE)


def sections():
    """Title, program, its tag, and what is asked and answered, of each section that has a program."""
    title, found = "", []
    for match in BLOCK.finditer(GUIDE):
        kind = match["kind"] or ""
        if match["title"]:
            title = match["title"]
        elif kind.startswith("python"):
            found.append([title, match["text"], kind.partition(" ")[2], ""])
        elif kind == "console":
            found[-1][3] = match["text"]
    return found


SECTIONS = sections()


def parse_exchanges(text):
    """Pairs of a command and the lines that its answer holds."""
    exchanges = []
    for line in text.splitlines():
        if line.startswith("$ "):
            exchanges.append((line[2:], []))
        else:
            exchanges[-1][1].append(line)
    return exchanges


async def perform(client, command):
    """What the command would print."""
    words = shlex.split(command.replace("$XSRF", client.cookies.get("_xsrf", "none")))
    if words[0] == "echo":
        return await talk(client.application, *words[1:])
    return await curl(client, words)


async def talk(application, message, pipe, program, url):
    """What websocat prints: the answer to a message."""
    assert (pipe, program) == ("|", "websocat")
    async with serving(application) as port:
        socket = await websocket_connect(url.replace("localhost:8888", f"127.0.0.1:{port}"))
        socket.write_message(message)
        answer = await socket.read_message()
        socket.close()
        assert await socket.read_message() is None
        return answer


async def curl(client, words):
    """What curl prints: with -i the head too."""
    assert words.pop(0) == "curl"
    method, fields, parts, headers, target, shows_head = "", [], [], {}, "", False
    while words:
        word = words.pop(0)
        match word:
            case "-i":
                shows_head = True
            case "-X":
                method = words.pop(0)
            case "-d":
                fields.append(words.pop(0))
            case "-F":
                name, _, value = words.pop(0).partition("=")
                value, _, filename = value.partition(";filename=")
                parts.append((name, filename, value))
            case "-H":
                name, _, value = words.pop(0).partition(": ")
                headers[name] = value
            case _:
                target = word.removeprefix("localhost:8888")
    body = "&".join(fields)
    if fields:
        headers.setdefault("Content-Type", "application/x-www-form-urlencoded")
    for name, filename, value in parts:
        headers["Content-Type"] = "multipart/form-data; boundary=part"
        named = f'name="{name}"' + (f'; filename="{filename}"' if filename else "")
        body += f"--part\r\nContent-Disposition: form-data; {named}\r\n\r\n{value}\r\n"
    body += "--part--\r\n" if parts else ""
    method = method or ("POST" if body else "GET")
    response = await client.fetch_async(target, method=method, body=body, headers=headers)
    head = f"HTTP/1.1 {response.status} {response.reason}\n"
    head += "".join(f"{name}: {value}\n" for name, value in response.headers.get_all())
    return (head if shows_head else "") + response.text


@contextlib.asynccontextmanager
async def provider():
    """The issuer of an OpenID Connect provider."""
    issuers = []
    async with serving(make_provider(Lies(), lambda: issuers[0])) as port:
        issuers.append(f"http://127.0.0.1:{port}")
        yield issuers[0]


@pytest.fixture
def supported_locales():
    before = locale._catalogue.locales
    yield
    locale._catalogue.replace(before)


@pytest.fixture
def no_options(monkeypatch):
    """The settings of the process as a program finds them: none declared, but for help."""
    monkeypatch.setitem(options.__dict__, "_options", {"help": options.__dict__["_options"]["help"]})


@pytest.mark.usefixtures("supported_locales", "no_options")
@pytest.mark.parametrize(("title", "program", "needs", "console"), SECTIONS, ids=[one[0] for one in SECTIONS])
def test_program_does_what_the_guide_says(title, program, needs, console, request):
    names = {"__name__": "guide"}
    if needs == "mysql":
        server = request.getfixturevalue("mysql_server")
        names["database_address"] = Address(server.socket, "test", "test", "secret")

    async def scenario():
        async with contextlib.AsyncExitStack() as stack:
            if needs == "oidc":
                names["issuer"] = await stack.enter_async_context(provider())
            await run_program()

    async def run_program():
        exec(compile(program, f"docs/guide.md: {title}", "exec"), names)
        application = names.get("application", Application([]))
        application.settings["log_function"] = lambda _: None
        if hasattr(application, "warm_up"):
            await application.warm_up()
        client = Client(application)
        for command, lines in parse_exchanges(console):
            answer = await perform(client, command)
            for line in lines:
                assert line in answer, f"{command}: expected {line!r} in {answer!r}"
        for name in {"pool", "cluster"} & names.keys():
            await names[name].close()

    if not console:  # it brings a loop of its own, or needs none
        exec(compile(program, f"docs/guide.md: {title}", "exec"), names)
    else:
        asyncio.run(scenario())


def test_guide_has_programs_in_every_section():
    titles = re.findall(r"^## (.+)$", GUIDE, re.MULTILINE)
    assert [one[0] for one in SECTIONS] == titles
    contents = " ".join(GUIDE[GUIDE.index("Hello ·") : GUIDE.index("## Hello")].split())
    assert contents.split(" · ") == titles
