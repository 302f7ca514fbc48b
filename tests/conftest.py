"""Fixtures for all tests: real servers, started once for the whole run and only if a test asks."""

import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support import valkey
from tests.support.mysql import Server


@pytest.fixture(scope="session")
def mysql_server() -> Iterator[Server]:
    """A private MariaDB with a database `test`, user `test`, password `secret`."""
    with tempfile.TemporaryDirectory(prefix="mysql") as folder:
        server = Server(Path(folder))
        server.install()
        yield server
        server.stop()


@pytest.fixture(scope="session")
def valkey_server() -> Iterator[valkey.Server]:
    """A private Valkey."""
    with tempfile.TemporaryDirectory(prefix="valkey") as folder:
        server = valkey.Server(Path(folder))
        server.start()
        yield server
        server.stop()
