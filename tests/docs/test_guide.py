"""Every program of the guide runs, and answers what the guide says it does."""

import asyncio
import re
import shlex
from pathlib import Path

import pytest

from framework import locale
from framework.database import Address
from framework.testing import Client
from framework.web import Application

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
    """What curl would print: with -i the head too."""
    words = shlex.split(command.replace("$XSRF", client.cookies.get("_xsrf", "none")))
    assert words.pop(0) == "curl"
    method, fields, headers, target, shows_head = "", [], {}, "", False
    while words:
        word = words.pop(0)
        match word:
            case "-i":
                shows_head = True
            case "-X":
                method = words.pop(0)
            case "-d":
                fields.append(words.pop(0))
            case "-H":
                name, _, value = words.pop(0).partition(": ")
                headers[name] = value
            case _:
                target = word.removeprefix("localhost:8888")
    if fields:
        headers.setdefault("Content-Type", "application/x-www-form-urlencoded")
    response = await client.fetch_async(
        target, method=method or ("POST" if fields else "GET"), body="&".join(fields) or None, headers=headers
    )
    head = f"HTTP/1.1 {response.status} {response.reason}\n"
    head += "".join(f"{name}: {value}\n" for name, value in response.headers.get_all())
    return (head if shows_head else "") + response.text


@pytest.fixture
def supported_locales():
    before = locale._catalogue.locales
    yield
    locale._catalogue.replace(before)


@pytest.mark.usefixtures("supported_locales")
@pytest.mark.parametrize(("title", "program", "needs", "console"), SECTIONS, ids=[one[0] for one in SECTIONS])
def test_program_does_what_the_guide_says(title, program, needs, console, request):
    names = {"__name__": "guide"}
    if needs == "mysql":
        server = request.getfixturevalue("mysql_server")
        names["database_address"] = Address(server.socket, "test", "test", "secret")

    async def scenario():
        exec(compile(program, f"docs/guide.md: {title}", "exec"), names)
        application = names.get("application", Application([]))
        application.settings["log_function"] = lambda _: None
        client = Client(application)
        for command, lines in parse_exchanges(console):
            answer = await perform(client, command)
            for line in lines:
                assert line in answer, f"{command}: expected {line!r} in {answer!r}"
        if "pool" in names:
            await names["pool"].close()

    if "= Client(" in program:  # it brings a loop of its own
        exec(compile(program, f"docs/guide.md: {title}", "exec"), names)
    else:
        asyncio.run(scenario())


def test_guide_has_programs_in_every_section():
    titles = re.findall(r"^## (.+)$", GUIDE, re.MULTILINE)
    assert [one[0] for one in SECTIONS] == titles
