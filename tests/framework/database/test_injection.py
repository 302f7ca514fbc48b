"""sqlmap against the pool: its payloads stay values; the tool finds no way in where it finds one next door."""

import asyncio
import itertools
import re
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from xml.etree import ElementTree

import pytest
import sqlmap

from framework.database import Address, Pool
from framework.testing import serving
from framework.web import Application, RequestHandler
from tests.support.mysql import Server

FOLDER = Path(sqlmap.__file__).parent
NUMBERS = {"RANDNUM": "4321", "DELIMITER_START": "qxzq", "DELIMITER_STOP": "qpzq", "SLEEPTIME": "5", "ORIGVALUE": "1"}


def _fill(template: str) -> str:
    """The template with its holes filled, as sqlmap does before it sends it."""
    return re.sub(r"\[([A-Z]+(?:_[A-Z]+)?)\d*\]", lambda hole: NUMBERS.get(hole[1], "abcd"), template)


def list_payloads() -> Iterator[str]:
    """Every attack of sqlmap's within every way to break out of a statement that it knows."""
    boundaries = [
        (found.findtext("prefix") or "", found.findtext("suffix") or "")
        for found in ElementTree.parse(FOLDER / "data/xml/boundaries.xml").iter("boundary")
    ]
    attacks = []
    for path in sorted((FOLDER / "data/xml/payloads").glob("*.xml")):
        for test in ElementTree.parse(path).iter("test"):
            attacks += [found.text for found in test.iter("payload") if found.text]
    for attack, (prefix, suffix) in itertools.product(dict.fromkeys(attacks), dict.fromkeys(boundaries)):
        yield f"1{_fill(prefix)} {_fill(attack)} {_fill(suffix)}"


def test_payloads_stay_values(mysql_server: Server) -> None:
    payloads = sorted(set(list_payloads()))
    assert len(payloads) > 5000

    async def scenario() -> None:
        pool = Pool(Address(mysql_server.socket, "test", "test", "secret"))
        await pool.execute("DROP TABLE IF EXISTS payloads")
        await pool.execute("CREATE TABLE payloads (id INT PRIMARY KEY AUTO_INCREMENT, text TEXT) CHARACTER SET utf8mb4")
        await pool.executemany("INSERT INTO payloads (text) VALUES (%s)", [(payload,) for payload in payloads])
        assert [row.text async for row in pool.iter("SELECT text FROM payloads ORDER BY id")] == payloads
        for part in itertools.batched(payloads, 100):
            marks = ", ".join(["%s"] * len(part))
            assert await pool.execute_rowcount(f"SELECT id FROM payloads WHERE BINARY text IN ({marks})", *part) == len(
                part
            )
            named = {f"p{number}": payload for number, payload in enumerate(part)}
            row = await pool.get("SELECT " + ", ".join(f"%({name})s AS {name}" for name in named), **named)
            assert row == named
        await pool.close()

    asyncio.run(scenario())


def test_sqlmap_finds_no_way_into_a_page_that_asks_with_values(mysql_server: Server) -> None:
    async def attack(port: int, path: str, folder: str) -> str:
        command = [sys.executable, str(FOLDER / "sqlmap.py"), "-u", f"http://127.0.0.1:{port}{path}?name=a", "--batch"]
        command += [
            "--technique=BEU",
            "--flush-session",
            "--disable-coloring",
            f"--output-dir={folder}",
            "--dbms=MySQL",
        ]
        process = await asyncio.create_subprocess_exec(
            *command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, env={"HOME": folder}
        )
        output, _ = await process.communicate()
        return output.decode()

    async def scenario() -> None:
        pool = Pool(Address(mysql_server.socket, "test", "test", "secret"))

        class Safe(RequestHandler):
            async def get(self) -> None:
                rows = await pool.query("SELECT text FROM payloads WHERE text = %s", self.get_argument("name"))
                self.write({"found": [row.text for row in rows]})

        class Open(RequestHandler):
            """What nobody should write: the same page, the value within the statement."""

            async def get(self) -> None:
                rows = await pool.query("SELECT text FROM payloads WHERE text = '" + self.get_argument("name") + "'")
                self.write({"found": [row.text for row in rows]})

        await pool.execute("DROP TABLE IF EXISTS payloads")
        await pool.execute("CREATE TABLE payloads (text VARCHAR(200))")
        await pool.execute("INSERT INTO payloads VALUES ('a')")
        application = Application([("/safe", Safe), ("/open", Open)], log_function=lambda _: None)
        with tempfile.TemporaryDirectory() as folder:
            async with serving(application) as port:
                assert "is vulnerable" in await attack(port, "/open", folder)
                found = await attack(port, "/safe", folder)
                assert "do not appear to be injectable" in found, found[-2000:]
        await pool.close()

    if mysql_server.kind == "mysql":
        pytest.skip("what reaches the server is the same: seen on one of both")
    asyncio.run(scenario())
