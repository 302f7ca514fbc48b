"""The private sockets: an answer, silence, nobody, and whose they are."""

import os
import socket
from collections.abc import Iterator
from pathlib import Path
from threading import Thread

import pytest
from control import ask, find_owner


@pytest.fixture
def listener(tmp_path: Path) -> Iterator[tuple[Path, socket.socket]]:
    path = tmp_path / "0.sock"
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as listening:
        listening.bind(str(path))
        listening.listen()
        yield path, listening


def answer_once(listening: socket.socket, response: bytes) -> None:
    peer, _ = listening.accept()
    with peer:
        peer.recv(65536)
        peer.sendall(response)


def test_ask_gives_status_and_body(listener: tuple[Path, socket.socket]) -> None:
    path, listening = listener
    response = b"HTTP/1.1 503 Service Unavailable\r\nContent-Length: 8\r\n\r\ndraining"
    answering = Thread(target=answer_once, args=(listening, response))
    answering.start()
    assert ask(path, "GET", "/ready") == (503, "draining")
    answering.join()


def test_ask_gives_up_when_nothing_answers(listener: tuple[Path, socket.socket]) -> None:
    with pytest.raises(TimeoutError):
        ask(listener[0], "GET", "/healthz", timeout_s=0.05)


def test_ask_refuses_what_is_not_http(listener: tuple[Path, socket.socket]) -> None:
    path, listening = listener
    answering = Thread(target=answer_once, args=(listening, b"hello\r\n"))
    answering.start()
    with pytest.raises(ConnectionError, match="no HTTP answer"):
        ask(path, "GET", "/healthz")
    answering.join()


def test_find_owner_of_a_listener_that_accepts_nothing(listener: tuple[Path, socket.socket]) -> None:
    assert find_owner(listener[0]) == os.getpid()


def test_find_owner_where_nobody_listens(tmp_path: Path) -> None:
    assert find_owner(tmp_path / "1.sock") is None
