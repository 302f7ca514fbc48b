"""Both servers: MariaDB, which the appliance brings, and MySQL, which it may be pointed at."""

import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.mysql import Server


@pytest.fixture(scope="session", params=["mariadb", "mysql"])
def mysql_server(request: pytest.FixtureRequest) -> Iterator[Server]:
    """A private server with a database `test`, user `test`, password `secret`: of each kind in turn."""
    with tempfile.TemporaryDirectory(prefix=request.param) as folder:
        server = Server(Path(folder), request.param)
        server.install()
        yield server
        server.stop()
