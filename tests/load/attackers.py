"""The attackers: `python -m tests.load.attackers NAME PORT CONNECTIONS`, until ended. Only against 127.0.0.1.

In processes of their own, so that what they take of Python's lock is not taken from the client that is measured.
"""

import contextlib
import os
import selectors
import socket
import sys
import time
from dataclasses import dataclass


@dataclass(frozen=True)
class Attack:
    """`head` is sent once on each connection, `piece` for ever after; nothing is ever read."""

    head: bytes
    piece: bytes
    connections: int
    does: str


POST = b"POST /post HTTP/1.1\r\nHost: here\r\n"
GET = b"GET / HTTP/1.1\r\nHost: here\r\n\r\n"
BIG = b"GET /static/big.bin HTTP/1.1\r\nHost: here\r\n\r\n"
UPGRADE = (
    b"GET /echo HTTP/1.1\r\nHost: here\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n"
)

ATTACKS = {
    "chunks": Attack(
        POST + b"Transfer-Encoding: chunked\r\n\r\n", b"1\r\nx\r\n" * 10_000, 8, "a flood of one-byte chunks"
    ),
    "large-bodies": Attack(
        POST + b"Transfer-Encoding: chunked\r\n\r\n1ffffff\r\n", bytes(65536), 8, "bodies as large as they may be"
    ),
    "unread": Attack(b"", GET * 2000, 25, "pipelined requests whose answers nobody reads"),
    "unread-big": Attack(b"", BIG * 1000, 25, "the same for 1 MB each"),
    "headers": Attack(b"GET / HTTP/1.1\r\nHost: here\r\n", b"X-Header: y\r\n" * 5000, 50, "endless headers"),
    "header-line": Attack(b"GET / HTTP/1.1\r\nHost: here\r\nX: ", b"a" * 65536, 50, "an endless header"),
    "request-line": Attack(b"GET /", b"a" * 65536, 50, "an endless request line"),
    "empty-lines": Attack(b"", b"\r\n" * 30_000, 8, "empty lines for ever"),
    "small-pieces": Attack(POST + b"Content-Length: 500000\r\n\r\n", b"x" * 100, 20, "bodies in small pieces"),
    "idle": Attack(b"", b"", 3000, "idle connections, more than there may be"),
    "websockets": Attack(UPGRADE, b"", 1000, "idle websockets, more than there may be"),
    "messages": Attack(UPGRADE, b"\x81\x81\0\0\0\0x" * 10_000, 20, "a flood of messages of one byte, no echo is read"),
}


class Attackers:
    """That many connections which attack, and connect again when they are cut."""

    def __init__(self, attack: Attack, port: int, connections: int) -> None:
        self._attack = attack
        self._port = port
        self._selector = selectors.DefaultSelector()
        self._missing = connections

    def run(self) -> None:
        """Attack until ended."""
        while True:
            self._connect()
            if not self._selector.get_map():
                time.sleep(0.01)
            for key, events in self._selector.select(0.1):
                self._go_on(key, events)

    def _connect(self) -> None:
        for _ in range(min(self._missing, 50)):
            attacker = socket.socket()
            try:
                attacker.settimeout(0.1)
                attacker.connect(("127.0.0.1", self._port))
                attacker.setblocking(False)
                if self._attack.head:
                    attacker.send(self._attack.head)
            except OSError:
                attacker.close()
                time.sleep(0.01)
                return
            # Who sends nothing only listens for the end.
            wanted = selectors.EVENT_WRITE if self._attack.piece else selectors.EVENT_READ
            self._selector.register(attacker, wanted)
            self._missing -= 1

    def _go_on(self, key: selectors.SelectorKey, events: int) -> None:
        attacker = key.fileobj
        assert isinstance(attacker, socket.socket)
        with contextlib.suppress(BlockingIOError):
            try:
                if self._attack.piece:
                    attacker.send(self._attack.piece)
                elif attacker.recv(65536):
                    return
                else:
                    raise ConnectionError("cut")
            except BlockingIOError:
                raise
            except OSError:
                self._selector.unregister(attacker)
                attacker.close()
                self._missing += 1


if __name__ == "__main__":
    # On a busy machine the client that is measured comes first: this is about the server.
    os.nice(5)
    name, port, connections = sys.argv[1:]
    Attackers(ATTACKS[name], int(port), int(connections)).run()
