"""Answers from bytes: however they are cut, the same result; whatever they hold, an end or an error."""

from itertools import pairwise
from typing import Any

import pymysql
import pytest
from hypothesis import given
from hypothesis import strategies as st

from framework.database import AnswerTooLarge
from framework.database.resultset import CAPABILITIES, AnswerReader, ProtocolError, split_packets
from tests.support import answers
from tests.support.answers import LONGEST, LONGLONG, VAR_STRING

COLUMNS = [answers.column("id", LONGLONG, answers.BINARY), answers.column("name", VAR_STRING)]
MORE_RESULTS, SESSION_CHANGED = 0x0008, 0x4000


def _read(data: bytes, cuts: list[int] = [], capabilities: int = CAPABILITIES) -> AnswerReader:  # noqa: B006
    reader = AnswerReader(capabilities)
    reader.begin()
    places = [0, *sorted({cut % (len(data) + 1) for cut in cuts} - {0}), len(data)]
    done = [reader.feed(data[begin:end]) for begin, end in pairwise(places) if end > begin]
    assert done == [*[False] * (len(done) - 1), True]
    return reader


def _facts(reader: AnswerReader) -> Any:
    result = reader.result
    if result is None:
        return str(reader.error)
    return result.rows, result.affected_rows, result.last_id, result.position, str(reader.error)


VALUES = st.one_of(st.none(), st.text(max_size=300))
ROWS = st.lists(st.tuples(st.integers(-(2**63), 2**63 - 1), VALUES), max_size=300)


@given(rows=ROWS, cuts=st.lists(st.integers(0, 100_000), max_size=30), ends_with_ok=st.booleans())
def test_rows_are_the_same_however_the_bytes_are_cut(
    rows: list[tuple[int, str | None]], cuts: list[int], ends_with_ok: bool
) -> None:
    encoded = [[str(number).encode(), name.encode() if name is not None else None] for number, name in rows]
    data = answers.answer(COLUMNS, encoded, ends_with_ok=ends_with_ok)
    reader = _read(data, cuts, CAPABILITIES if ends_with_ok else 0)
    assert reader.result is not None and reader.error is None
    assert [tuple(row.values()) for row in reader.result.rows] == rows
    assert reader.result.affected_rows == len(rows)


@pytest.mark.parametrize(
    "data",
    [
        answers.packets([answers.ok(3, 70_000, 2)]),
        answers.packets([answers.error(1062, "Duplicate entry")]),
        answers.answer(COLUMNS, [[b"1", b"one"], [b"2", None]]),
        answers.packets([answers.lenenc(2), *COLUMNS, answers.row([b"1", b"a"]), answers.error(1969, "too slow")]),
        answers.answer([answers.column("t", VAR_STRING)], [[b"x" * 70_000]]),
        answers.answer(COLUMNS, [], status=2 | MORE_RESULTS) + answers.packets([answers.ok(5)], first=5),
        answers.answer(COLUMNS, [], status=2 | MORE_RESULTS) + answers.packets([answers.error(1064, "?")], first=5),
    ],
    ids=["ok", "error", "rows", "error-within-rows", "long-value", "two-results", "error-after-a-result"],
)
def test_every_cut_gives_the_same_answer(data: bytes) -> None:
    expected = _facts(_read(data))
    step = max(1, len(data) // 500)
    for cut in range(1, len(data), step):
        assert _facts(_read(data, [cut])) == expected
    assert _facts(_read(data, list(range(0, len(data), step)))) == expected


def test_ok_brings_its_numbers_and_the_place_in_the_log() -> None:
    variable = b"\x00" + answers.text(answers.text(b"last_gtid") + answers.text(b"0-1-7"))
    schema = b"\x01" + answers.text(answers.text(b"test"))
    reader = _read(answers.packets([answers.ok(3, 9, 2 | SESSION_CHANGED, changes=schema + variable)]))
    assert _facts(reader) == ([], 3, 9, "0-1-7", "None") and reader.status == 2 | SESSION_CHANGED
    identity = b"3e11fa47-71ca-11e1-9e33-c80aa9429562:1-5"
    gtids = b"\x03" + answers.text(b"\x00" + answers.text(identity))
    reader = _read(answers.packets([answers.ok(1, 0, 2 | SESSION_CHANGED, changes=gtids)]))
    assert reader.result is not None and reader.result.position == identity.decode()


def test_error_is_the_drivers_and_ends_the_answer() -> None:
    reader = _read(answers.packets([answers.error(1062, "Duplicate entry")]))
    assert isinstance(reader.error, pymysql.err.IntegrityError) and reader.error.args == (1062, "Duplicate entry")
    reader.begin()
    assert reader.feed(answers.packets([answers.ok()])) and reader.error is None


def test_second_column_of_a_name_is_called_with_its_table() -> None:
    columns = [answers.column("id", LONGLONG, table="a"), answers.column("id", LONGLONG, table="b")]
    reader = _read(answers.answer(columns, [[b"1", b"2"]]))
    assert reader.result is not None and reader.result.rows == [{"id": 1, "b.id": 2}]


@pytest.mark.parametrize("size", [LONGEST - 5, LONGEST - 4, LONGEST, LONGEST + 1, 2 * LONGEST])
def test_rows_of_several_packets(size: int) -> None:
    columns = [answers.column("t", VAR_STRING), answers.column("n", LONGLONG)]
    data = answers.answer(columns, [[b"x" * size, b"1"], [None, b"2"]])
    reader = _read(data, list(range(0, len(data), 65_536)))
    assert reader.result is not None
    assert [(len(row.t or ""), row.n) for row in reader.result.rows] == [(size, 1), (0, 2)]


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (answers.packets([b"\xfb/etc/passwd"]), "asks for a local file"),
        (answers.packets([answers.ok()], first=2), "out of order: expected 1, got 2"),
        (
            answers.packets([answers.error(1053, "Server shutdown")], first=0),
            "closed the connection: #HY000Server",
        ),
        (answers.packets([answers.ok()]) + b"x", "bytes after the end"),
        (answers.packets([answers.lenenc(5000)]), "expected a number of columns, got 5000"),
        (answers.packets([b""]), "can't be read"),
        (answers.packets([b"\x00\x01"]), "can't be read"),
        (answers.packets([b"\x00\x01\x01"]), "an OK that is cut off"),
        (answers.packets([b"\xff\x01"]), "an error that is cut off"),
        (answers.packets([b"\x01", b"\x03def"]), "can't be read"),
        (answers.answer(COLUMNS, [[b"1"]]), "can't be read|not as long"),
        (answers.answer(COLUMNS, [[b"1", b"a", b"b"]]), "not as long as its packet"),
        (answers.answer(COLUMNS, [[b"one", b"a"]]), "invalid literal"),
        (answers.answer(COLUMNS, [[b"1", b"\xff"]]), "can't decode"),
    ],
)
def test_bytes_without_sense_are_an_error(data: bytes, message: str) -> None:
    reader = AnswerReader()
    reader.begin()
    with pytest.raises(ProtocolError, match=message):
        reader.feed(data)


@given(data=st.binary(max_size=400), cuts=st.lists(st.integers(0, 400), max_size=8))
def test_garbage_ends_or_waits_or_is_an_error(data: bytes, cuts: list[int]) -> None:
    _feed_anything(data, cuts)


@given(place=st.integers(0, 10_000), value=st.integers(0, 255), cuts=st.lists(st.integers(0, 400), max_size=4))
def test_one_wrong_byte_ends_or_waits_or_is_an_error(place: int, value: int, cuts: list[int]) -> None:
    data = bytearray(answers.answer(COLUMNS, [[b"1", b"one"], [b"22", None], [b"3", b"x" * 300]]))
    data[place % len(data)] = value
    _feed_anything(bytes(data), cuts)


def _feed_anything(data: bytes, cuts: list[int]) -> None:
    reader = AnswerReader()
    reader.begin()
    places = [0, *sorted(cut % (len(data) + 1) for cut in cuts), len(data)]
    try:
        for begin, end in pairwise(places):
            if reader.feed(data[begin:end]):
                assert reader.result is not None or reader.error is not None
                return
    except ProtocolError:
        return


def test_answer_has_an_upper_size() -> None:
    reader = AnswerReader(max_bytes=1000)
    for _ in range(3):  # each answer counts for itself
        reader.begin()
        assert reader.feed(answers.answer(COLUMNS, [[b"1", b"x" * 600]]))
    reader.begin()
    with pytest.raises(AnswerTooLarge, match="more than 1000 bytes"):
        reader.feed(answers.answer(COLUMNS, [[b"1", b"x" * 1000]]))


@pytest.mark.parametrize("size", [0, 1, LONGEST - 2, LONGEST - 1, LONGEST, 2 * LONGEST - 1, 2 * LONGEST])
def test_commands_are_split_at_16_mb(size: int) -> None:
    data = split_packets(3, b"x" * size)
    lengths, at, payload = [], 0, bytearray()
    while at < len(data):
        length = int.from_bytes(data[at : at + 3], "little")
        assert data[at + 3] == len(lengths)
        payload += data[at + 4 : at + 4 + length]
        lengths.append(length)
        at += 4 + length
    assert payload == b"\x03" + b"x" * size
    assert all(length == LONGEST for length in lengths[:-1]) and lengths[-1] < LONGEST
    reader = AnswerReader()
    reader.begin(len(data))
    assert reader.feed(answers.packets([answers.ok()], first=len(lengths)))  # numbered on from the command's
