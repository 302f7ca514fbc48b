"""Raw requests with one verdict each, however the network cuts them.

`accept/*.http` and `reject/*.http` are what a client sends on one connection, byte for byte; `expected.json` says which
requests must reach the application ("accept"), and which status other than 400, after how many requests, a refusal has
("reject"). No request after a refused one may ever be seen.
"""

import asyncio
import json
from pathlib import Path

import pytest

from framework.httpserver import Connection, HTTPServer
from tests.support.memory import MemoryTransport

HERE = Path(__file__).parent
EXPECTED = json.loads((HERE / "expected.json").read_text())
ACCEPT = sorted((HERE / "accept").glob("*.http"))
REJECT = sorted((HERE / "reject").glob("*.http"))
LIMITS = {"max_body_bytes": 1 << 20}


class Judge:
    """Feeds bytes to connections of one server and notes what the application saw."""

    def __init__(self):
        self.loop = asyncio.new_event_loop()
        self.seen = []
        self.server = HTTPServer(self.answer, io_loop=self.loop, **LIMITS)

    def answer(self, request):
        self.seen.append([request.method, request.uri, request.body.decode("latin-1")])
        end = b"" if request.connection.keep_alive else b"Connection: close\r\n"
        request.connection.answer(b"HTTP/1.1 200 OK\r\n%bContent-Length: 0\r\n\r\n" % end)

    def verdict(self, pieces):
        """Requests seen, status of the refusal or None, and whether the connection waits for more of a request."""
        self.seen = []
        connection = Connection(self.server)
        transport = MemoryTransport(connection)
        connection.connection_made(transport)
        for piece in pieces:
            if transport.is_closed:
                break
            connection.data_received(piece)
        statuses = [int(line[9:12]) for line in transport.sent.split(b"\r\n") if line.startswith(b"HTTP/1.1 ")]
        refusals = [status for status in statuses if status >= 400]
        assert statuses.count(200) == len(self.seen) and refusals in ([], statuses[-1:])
        is_waiting = bool(connection._input) or connection._incoming is not None
        transport.close()
        return self.seen, refusals[0] if refusals else None, is_waiting


@pytest.fixture(scope="module")
def judge():
    judge = Judge()
    yield judge
    judge.loop.close()


def cuts(data):
    """Positions to cut at: all of them, or for long inputs those that matter most and a sample of the others."""
    if len(data) <= 1000:
        return range(1, len(data))
    return sorted({*range(1, 60), *range(60, len(data), len(data) // 40), *range(len(data) - 20, len(data))})


def assert_one_verdict(judge, data, expected):
    assert judge.verdict([data]) == expected
    step = 1 + len(data) // 3000
    assert judge.verdict([data[i : i + step] for i in range(0, len(data), step)]) == expected, "in small pieces"
    for cut in cuts(data):
        assert judge.verdict([data[:cut], data[cut:]]) == expected, f"cut at {cut}"


@pytest.mark.parametrize("path", ACCEPT, ids=lambda path: path.stem)
def test_accepted(judge, path):
    assert_one_verdict(judge, path.read_bytes(), (EXPECTED["accept"][path.stem], None, False))


@pytest.mark.parametrize("path", REJECT, ids=lambda path: path.stem)
def test_rejected(judge, path):
    status, before = EXPECTED["reject"].get(path.stem, [400, 0])
    data = path.read_bytes()
    seen, refusal, _ = judge.verdict([data])
    assert (len(seen), refusal) == (before, status)
    assert_one_verdict(judge, data, (seen, status, False))


def test_corpus_is_complete():
    assert len(ACCEPT) + len(REJECT) >= 250
    assert set(EXPECTED["accept"]) == {path.stem for path in ACCEPT}
    assert set(EXPECTED["reject"]) <= {path.stem for path in REJECT}
