"""Cryptography is loaded when a server asks for it, and not before."""

import os
import subprocess
import sys
import tempfile
from pathlib import Path

import pymysql
import pytest

from framework.database.driver import load_cryptography
from tests.support.mysql import Server, find_free_port, listen

CONNECT = """
import asyncio, sys
import framework.database
from framework.database import Address, Connection, Pool

host, user = sys.argv[1:]
assert Connection(host, "test", user, "secret").get("SELECT 1 AS one") == {"one": 1}

async def ask():
    pool = Pool(Address(host, "test", user, "secret"))
    assert await pool.get("SELECT 2 AS two") == {"two": 2}
    await pool.close()

asyncio.run(ask())
print(any(name.partition(".")[0] == "cryptography" for name in sys.modules))
"""


def _run(program: str, *arguments: str) -> str:
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[3])}
    done = subprocess.run(
        [sys.executable, "-c", program, *arguments], env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def test_unix_socket_needs_no_cryptography(mysql_server: Server) -> None:
    assert _run(CONNECT, mysql_server.socket, "test") == "False"


def test_password_that_crosses_the_network_in_the_clear_does() -> None:
    with tempfile.TemporaryDirectory(prefix="rsa") as folder:
        port = find_free_port()
        server = Server(Path(folder), "mysql", *listen(port), "--skip-log-bin", "--tls-version=")
        server.install()
        try:
            with server.connect_as_root() as db, db.cursor() as cursor:
                cursor.execute("CREATE USER far@'%' IDENTIFIED WITH caching_sha2_password BY 'secret'")
                cursor.execute("GRANT ALL ON test.* TO far@'%'")
            assert _run(CONNECT, f"127.0.0.1:{port}", "far") == "True"
            # From now on the server knows the password, and a digest will do.
            assert _run(CONNECT, f"127.0.0.1:{port}", "far") == "False"
        finally:
            server.stop()


def test_cryptography_that_is_there_already_stays() -> None:
    assert (
        _run(
            "import cryptography.hazmat.backends, framework.database, pymysql; print(pymysql._auth._have_cryptography)"
        )
        == "True"
    )
    assert _run("import pymysql, framework.database; print(pymysql._auth._have_cryptography)") == "True"


def test_loading_it_twice_says_so() -> None:
    load_cryptography()
    assert not load_cryptography()
    assert pymysql._auth._have_cryptography


def test_driver_comes_first_in_the_package() -> None:
    with pytest.raises(AssertionError, match="No module named 'nonsense'"):
        _run("import nonsense")
    assert _run("import framework.database.errors, sys; print('cryptography' in sys.modules)") == "False"
