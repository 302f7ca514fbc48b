"""When the database counts as being there."""

import socket
from pathlib import Path
from threading import Thread

import pytest
from wait_for_database import choose_address, is_greeting


@pytest.mark.parametrize(
    ("environment", "expected"),
    [
        ({}, (socket.AF_UNIX, "/run/db/mysqld.sock")),
        ({"DB_SOCKET": "/x.sock", "DB_HOST": ""}, (socket.AF_UNIX, "/x.sock")),
        ({"DB_SOCKET": "/x.sock", "DB_HOST": "db.example"}, (socket.AF_INET, ("db.example", 3306))),
        ({"DB_HOST": "db.example", "DB_PORT": "3307"}, (socket.AF_INET, ("db.example", 3307))),
    ],
)
def test_choose_address(environment: dict[str, str], expected: tuple[int, object]) -> None:
    assert choose_address(environment) == expected


def test_server_that_greets(tmp_path: Path) -> None:
    path = tmp_path / "mysqld.sock"
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(str(path))
        listening.listen()

        def greet() -> None:
            peer, _ = listening.accept()
            with peer:
                peer.sendall(b"\x5b\0\0\0\x0a")

        greeting = Thread(target=greet)
        greeting.start()
        assert is_greeting((socket.AF_UNIX, str(path)))
        greeting.join()


def test_socket_left_over_from_a_crash(tmp_path: Path) -> None:
    path = tmp_path / "mysqld.sock"
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(str(path))
    assert not is_greeting((socket.AF_UNIX, str(path)))


def test_nothing_there(tmp_path: Path) -> None:
    assert not is_greeting((socket.AF_UNIX, str(tmp_path / "mysqld.sock")))
