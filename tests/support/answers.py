"""A MySQL server's answers as bytes, made from values: what a test feeds to the reader."""

VAR_STRING, LONGLONG = 253, 8
UTF8MB4, BINARY = 45, 63
LONGEST = 0xFFFFFF


def lenenc(number: int) -> bytes:
    """A length-encoded integer."""
    if number < 251:
        return bytes((number,))
    if number < 1 << 16:
        return b"\xfc" + number.to_bytes(2, "little")
    if number < 1 << 24:
        return b"\xfd" + number.to_bytes(3, "little")
    return b"\xfe" + number.to_bytes(8, "little")


def text(value: bytes) -> bytes:
    """A length-encoded string."""
    return lenenc(len(value)) + value


def packets(payloads: list[bytes], first: int = 1) -> bytes:
    """Payloads in packets, numbered from `first` on; long ones in several."""
    parts: list[bytes] = []
    for payload in payloads:
        for start in range(0, len(payload) + 1, LONGEST):
            part = payload[start : start + LONGEST]
            parts.append(len(part).to_bytes(3, "little") + bytes(((first + len(parts)) & 0xFF,)) + part)
    return b"".join(parts)


def column(name: str, kind: int, charset: int = UTF8MB4, table: str = "t") -> bytes:
    """The description of a column."""
    names = (b"def", b"test", table.encode(), table.encode(), name.encode(), name.encode())
    fixed = charset.to_bytes(2, "little") + (255).to_bytes(4, "little") + bytes((kind, 0, 0, 0, 0, 0))
    return b"".join(map(text, names)) + b"\x0c" + fixed


def ok(affected: int = 0, last_id: int = 0, status: int = 2, header: int = 0, changes: bytes = b"") -> bytes:
    """An OK packet's payload."""
    tail = status.to_bytes(2, "little") + b"\0\0"
    if changes:
        tail += text(b"") + text(changes)
    return bytes((header,)) + lenenc(affected) + lenenc(last_id) + tail


def error(code: int, message: str) -> bytes:
    """An ERR packet's payload."""
    return b"\xff" + code.to_bytes(2, "little") + b"#HY000" + message.encode()


def row(values: list[bytes | None]) -> bytes:
    """A row's payload."""
    return b"".join(b"\xfb" if value is None else text(value) for value in values)


def answer(columns: list[bytes], rows: list[list[bytes | None]], status: int = 2, ends_with_ok: bool = True) -> bytes:
    """A whole result."""
    end = b"\xfe\0\0" + status.to_bytes(2, "little")
    between = [] if ends_with_ok else [end]
    last = ok(status=status, header=0xFE) if ends_with_ok else end
    return packets([lenenc(len(columns)), *columns, *between, *map(row, rows), last])
