"""Raw requests with one verdict each, however the network cuts them.

`accept/*.http` and `reject/*.http` are what a client sends on one connection, byte for byte; `expected.json` says which
requests must reach the application ("accept"), and which status other than 400, after how many requests, a refusal has
("reject"). No request after a refused one may ever be seen.
"""

import json
from pathlib import Path

import pytest

from tests.support.judge import Judge

HERE = Path(__file__).parent
EXPECTED = json.loads((HERE / "expected.json").read_text())
ACCEPT = sorted((HERE / "accept").glob("*.http"))
REJECT = sorted((HERE / "reject").glob("*.http"))


@pytest.fixture(scope="module")
def judge():
    judge = Judge(max_body_bytes=1 << 20)
    yield judge
    judge.close()


@pytest.fixture(scope="module")
def believing():
    """As judge, of bytes that a believed proxy sends."""
    judge = Judge(max_body_bytes=1 << 20, xheaders=True)
    yield judge
    judge.close()


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


@pytest.mark.parametrize("path", ACCEPT + REJECT, ids=lambda path: path.stem)
def test_verdict_does_not_depend_on_who_asks_nor_how_often(judge, believing, path):
    data = path.read_bytes()
    verdict = judge.verdict([data])
    assert [one.verdict([data]) for one in (judge, judge, believing, believing, believing)] == [verdict] * 5


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
