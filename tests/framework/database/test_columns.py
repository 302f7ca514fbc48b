"""Values are those that PyMySQL gives: of every type, from a real server of each kind."""

import asyncio
from collections.abc import Iterator
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pymysql.constants import FIELD_TYPE
from pymysql.converters import convert_date, convert_datetime

from framework.database import Address, Connection, Pool, Row
from framework.database.columns import choose_decoder, parse_columns, read_length, read_string
from tests.support import answers
from tests.support.mysql import Server

TYPES = {
    "TINYINT": ["-128", "127"],
    "TINYINT(1)": ["1"],
    "SMALLINT UNSIGNED": ["65535"],
    "MEDIUMINT": ["-8388608"],
    "INT": ["-2147483648", "2147483647"],
    "INT(8) ZEROFILL": ["42"],
    "BIGINT": ["-9223372036854775808"],
    "BIGINT UNSIGNED": ["18446744073709551615"],
    "DECIMAL(65,30)": ["-12345678901234567890123456789012345.123456789012345678901234567890", "0.10"],
    "FLOAT": ["1.5", "3.4e38", "-1e-30"],
    "DOUBLE": ["0.1", "1.7976931348623157e308", "-0.0"],
    "BIT(1)": ["b'1'"],
    "BIT(64)": ["b'1010101'"],
    "DATE": ["'2011-02-28'", "'0001-01-01'", "'9999-12-31'", "'0000-00-00'", "'2011-00-00'"],
    "DATETIME": ["'2011-02-28 23:59:59'", "'0000-00-00 00:00:00'"],
    "DATETIME(3)": ["'2011-02-28 23:59:59.123'"],
    "DATETIME(6)": ["'9999-12-31 23:59:59.999999'", "'2011-02-28 00:00:00.000001'"],
    "TIMESTAMP(2) NULL": ["'2011-02-28 23:59:59.12'"],
    "TIME": ["'-838:59:59'", "'838:59:59'", "'00:00:01'"],
    "TIME(6)": ["'-00:00:00.000001'", "'25:06:17.5'"],
    "YEAR": ["2011", "0"],
    "CHAR(10)": ["'ü 🌍'", "''"],
    "VARCHAR(300)": ["REPEAT('x', 251)", "'it''s'"],
    "VARCHAR(10) CHARACTER SET latin1": ["'äöü'"],
    "BINARY(4)": ["'ab'"],
    "VARBINARY(10)": ["x'00ff'"],
    "TINYTEXT": ["'t'"],
    "MEDIUMTEXT": ["REPEAT('ü', 70000)"],
    "LONGTEXT": ["'l'"],
    "TINYBLOB": ["x'00'"],
    "BLOB": ["x'c3'"],
    "LONGBLOB": ["REPEAT(x'00', 70000)"],
    "ENUM('a','ü')": ["'ü'"],
    "SET('x','y','z')": ["'x,z'", "''"],
    "JSON": ["""'{"a": [1, "ü"]}'"""],
    "GEOMETRY": ["ST_GeomFromText('POINT(1 2)')"],
}


@pytest.fixture
def db(mysql_server: Server) -> Iterator[Connection]:
    connection = Connection(mysql_server.socket, "test", "test", "secret")
    connection.execute("SET sql_mode = ''")  # zero dates are let in
    yield connection
    connection.close()


def _same(ours: list[Row], theirs: list[Row]) -> None:
    assert ours == theirs
    for our, their in zip(ours, theirs, strict=True):
        assert type(our) is Row and list(our) == list(their)
        for name, value in our.items():
            assert type(value) is type(their[name]) and repr(value) == repr(their[name]), name


def test_every_type_is_read_as_by_pymysql(db: Connection, mysql_server: Server) -> None:
    columns = ", ".join(f"c{number} {kind}" for number, kind in enumerate(TYPES))
    db.execute("DROP TABLE IF EXISTS kinds")
    db.execute(f"CREATE TABLE kinds (id INT PRIMARY KEY AUTO_INCREMENT, {columns}) CHARACTER SET utf8mb4")
    count = 0
    for number, literals in enumerate(TYPES.values()):
        for literal in literals:
            db.execute(f"INSERT INTO kinds (c{number}) VALUES ({literal})")
            count += 1
    theirs = db.query("SELECT * FROM kinds ORDER BY id")
    assert len(theirs) == count and any(isinstance(row.c8, Decimal) for row in theirs)

    async def read() -> None:
        pool = Pool(Address(mysql_server.socket, "test", "test", "secret"))
        _same(await pool.query("SELECT * FROM kinds ORDER BY id"), theirs)
        _same([row async for row in pool.iter("SELECT * FROM kinds ORDER BY id")], theirs)
        await pool.close()

    asyncio.run(read())


@pytest.mark.parametrize(
    "expression",
    [
        "NULL", "1 + 1", "1 / 3", "1e0", "'text'", "x'ff'", "NOW(6) = NOW(6)", "CURDATE()", "TIMEDIFF('1:00', '2:00')",
        "COUNT(*)", "SUM(1.50)", "AVG(1)", "CAST('1' AS UNSIGNED)", "CAST('a' AS BINARY)", "GROUP_CONCAT('a', 'b')",
        "JSON_OBJECT('a', 1)", "INET6_ATON('::1')", "MAX(CAST('2011-02-28' AS DATE))", "TRUE", "@unset",
    ],
)  # fmt: skip
def test_expressions_are_read_as_by_pymysql(db: Connection, mysql_server: Server, expression: str) -> None:
    query = f"SELECT {expression} AS v, {expression}"

    async def read() -> list[Row]:
        pool = Pool(Address(mysql_server.socket, "test", "test", "secret"))
        rows = await pool.query(query)
        await pool.close()
        return rows

    _same(asyncio.run(read()), db.query(query))


@given(st.datetimes())
def test_datetimes_are_read_as_by_pymysql(value: object) -> None:
    decode = choose_decoder(FIELD_TYPE.DATETIME, 63)
    text = str(value)
    assert decode(text.encode()) == convert_datetime(text) == value


@given(st.from_regex(r"[0-9]{4}-[0-9]{2}-[0-9]{2}( [0-9]{2}:[0-9]{2}:[0-9]{2}(\.[0-9]{1,6})?)?", fullmatch=True))
def test_dates_that_do_not_exist_are_read_as_by_pymysql(text: str) -> None:
    if text.isascii():
        assert repr(choose_decoder(FIELD_TYPE.DATETIME, 63)(text.encode())) == repr(convert_datetime(text)) or (
            len(text) == 10
        )
        if len(text) == 10:
            assert repr(choose_decoder(FIELD_TYPE.DATE, 63)(text.encode())) == repr(convert_date(text))


def test_unknown_types_are_bytes() -> None:
    assert choose_decoder(242, 63)(b"\xff") == b"\xff"  # a vector


@given(st.integers(0, 2**64 - 1))
def test_lengths(number: int) -> None:
    data = answers.lenenc(number)
    assert read_length(b"x" + data, 1) == (number, 1 + len(data))
    for end in range(len(data)):
        with pytest.raises(IndexError):
            read_length(data[:end], 0)


def test_strings_and_columns_that_are_cut_off() -> None:
    assert read_string(b"\x02abc", 0) == (b"ab", 3)
    with pytest.raises(IndexError):
        read_string(b"\x04abc", 0)
    with pytest.raises(IndexError):
        read_string(b"\xfb", 0)
    with pytest.raises(ValueError, match="0xff"):
        read_length(b"\xff", 0)
    whole = answers.column("a", 3)
    assert parse_columns([whole]).names == ("a",)
    for end in range(len(whole) - 5):
        with pytest.raises((IndexError, ValueError)):
            parse_columns([whole[:end]])
