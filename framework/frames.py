"""Websocket frames and their compression to and from bytes (RFC 6455 §5, RFC 7692). No socket, no clock, no loop.

    decoder = Decoder(is_client=False, max_message_bytes=10_485_760)
    for event in decoder.feed(data): ...       Message, Ping, Pong, Close; raises FrameError in the end
    encode_frame(TEXT, payload)                bytes

What arrived before a broken frame is given out before the error is raised.
"""

import base64
import binascii
import codecs
import hashlib
import os
import re
import struct
import zlib
from collections.abc import Iterator
from typing import Any, NamedTuple

from framework.errors import FrameworkError

CONTINUATION, TEXT, BINARY, CLOSE, PING, PONG = 0x0, 0x1, 0x2, 0x8, 0x9, 0xA

_GUID = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
_TAIL = b"\x00\x00\xff\xff"
_MAX_CONTROL_BYTES = 125
# Heads of whole frames without a mask, by opcode and length: most of what a server sends.
_SMALL_HEADS = [[bytes((0x80 | opcode, length)) for length in range(126)] for opcode in range(16)]
_TOKEN = r"[!#$%&'*+\-.^_`|~0-9A-Za-z]+"
_EXTENSION_PARAMETER = re.compile(rf'({_TOKEN})[ \t]*(?:=[ \t]*(?:({_TOKEN})|"({_TOKEN})"))?')


class FrameError(FrameworkError):
    """The peer broke the protocol; `code` is the close code that says how (RFC 6455 §7.4.1)."""

    def __init__(self, code: int, message: str) -> None:
        super().__init__(message)
        self.code = code


class Message(NamedTuple):
    """A complete message: text or bytes."""

    data: str | bytes


class Ping(NamedTuple):
    """To be answered with a pong of the same data."""

    data: bytes


class Pong(NamedTuple):
    """The answer to a ping, or a sign of life."""

    data: bytes


class Close(NamedTuple):
    """The peer sends no more. `code` is None if it gave none."""

    code: int | None
    reason: str


type Event = Message | Ping | Pong | Close


def accept_key(key: str) -> str:
    """The Sec-WebSocket-Accept for a Sec-WebSocket-Key (RFC 6455 §4.2.2).

    Raises:
        ValueError: the key is not 16 bytes in base64.
    """
    try:
        raw = base64.b64decode(key, validate=True)
    except (binascii.Error, ValueError) as error:
        raise ValueError("Sec-WebSocket-Key: expected base64") from error
    if len(raw) != 16:
        raise ValueError(f"Sec-WebSocket-Key: expected 16 bytes, got {len(raw)}")
    return base64.b64encode(hashlib.sha1(key.encode() + _GUID, usedforsecurity=False).digest()).decode()


def is_close_code(code: int) -> bool:
    """Whether this code may stand in a close frame (RFC 6455 §7.4; 1012 to 1014 by IANA's registry)."""
    return 3000 <= code <= 4999 or code in (1000, 1001, 1002, 1003, 1007, 1008, 1009, 1010, 1011, 1012, 1013, 1014)


def apply_mask(data: bytes, mask: bytes) -> bytes:
    """The data with the mask laid over it; twice gives the data again."""
    length = len(data)
    if not length:
        return b""
    # One addition of large numbers for all bytes: 0.3 ns a byte. A loop over bytes takes 60.
    pattern = (mask * (length // 4 + 1))[:length]
    return (int.from_bytes(data, "little") ^ int.from_bytes(pattern, "little")).to_bytes(length, "little")


def encode_frame(
    opcode: int, payload: bytes, is_masked: bool = False, is_final: bool = True, is_compressed: bool = False
) -> bytes:
    """One frame. Clients mask what they send, servers do not."""
    length = len(payload)
    if length < 126 and not is_masked and is_final and not is_compressed:
        return _SMALL_HEADS[opcode][length] + payload
    first = opcode | (0x80 if is_final else 0) | (0x40 if is_compressed else 0)
    mask_bit = 0x80 if is_masked else 0
    if length < 126:
        head = bytes((first, mask_bit | length))
    elif length < 65536:
        head = struct.pack("!BBH", first, mask_bit | 126, length)
    else:
        head = struct.pack("!BBQ", first, mask_bit | 127, length)
    if not is_masked:
        return head + payload
    mask = os.urandom(4)
    return head + mask + apply_mask(payload, mask)


def encode_close(code: int | None = None, reason: str = "", is_masked: bool = False) -> bytes:
    """A close frame; the reason is cut to the 123 bytes that fit."""
    payload = b""
    if code is not None:
        text = reason.encode()[: _MAX_CONTROL_BYTES - 2].decode("utf-8", "ignore")
        payload = struct.pack("!H", code) + text.encode()
    return encode_frame(CLOSE, payload, is_masked)


class Decoder:
    """Bytes of one side to events. `max_message_bytes` counts what a message is after decompression."""

    __slots__ = (
        "_buffer",
        "_decompressor",
        "_is_client",
        "_is_closed",
        "_is_compressed",
        "_mask_bit",
        "_mask_bytes",
        "_max_bytes",
        "_needed",
        "_opcode",
        "_parts",
        "_size",
        "_text",
        "_utf8",
    )

    def __init__(self, is_client: bool, max_message_bytes: int, decompressor: "Decompressor | None" = None) -> None:
        self._is_client = is_client
        self._mask_bit, self._mask_bytes = (0, 0) if is_client else (0x80, 4)
        self._max_bytes = max_message_bytes
        self._decompressor = decompressor
        self._buffer = bytearray()
        self._needed = 2
        self._is_closed = False
        # The message that is arriving.
        self._opcode = CONTINUATION
        self._is_compressed = False
        self._parts: list[bytes] = []
        self._text: list[str] = []
        self._size = 0
        self._utf8 = codecs.getincrementaldecoder("utf-8")()

    @property
    def buffered_bytes(self) -> int:
        """How many bytes wait for the rest of their frame."""
        return len(self._buffer)

    def take_whole(self, data: bytes) -> str | bytes | None:
        """The message, if the data are exactly one, in one frame of less than 64 KiB, as most are; else feed them.

        None changes nothing: what is wrong with them, `feed` will say.
        """
        if self._buffer or self._opcode or self._is_closed:
            return None
        start = 2 + self._mask_bytes
        length = len(data) - start
        if length < 126:
            if length < 1 or data[1] != self._mask_bit | length:
                return None
        else:
            start += 2
            length -= 2
            if length < 126 or data[1] != self._mask_bit | 126 or int.from_bytes(data[2:4]) != length:
                return None
        first = data[0]
        if (first != 0x81 and first != 0x82) or length > self._max_bytes:
            return None
        payload = data[start:]
        if self._mask_bytes:
            payload = apply_mask(payload, data[start - 4 : start])
        if first == 0x82:
            return payload
        try:
            return payload.decode()
        except UnicodeDecodeError:
            return None

    def feed(self, data: bytes) -> Iterator[Event]:
        """The events that these bytes complete.

        Raises:
            FrameError: the peer broke the protocol, or a message is too large (1009).
        """
        buffer = self._buffer
        buffer += data
        position = 0
        try:
            while not self._is_closed and len(buffer) - position >= self._needed:
                head = self._parse_head(buffer, position)
                if head is None:
                    break
                first, start, length, mask = head
                end = start + length
                if len(buffer) < end:
                    self._needed = end - position
                    break
                payload = bytes(buffer[start:end])
                position = end
                self._needed = 2
                if mask is not None:
                    payload = apply_mask(payload, mask)
                event = self._take_frame(first, payload)
                if event is not None:
                    yield event
        finally:
            del buffer[:position]

    def _parse_head(self, buffer: bytearray, position: int) -> tuple[int, int, int, bytes | None] | None:
        """First byte, start and length of the payload, and mask; None if the head is not all there."""
        first, second = buffer[position], buffer[position + 1]
        length = second & 0x7F
        is_masked = bool(second & 0x80)
        start = position + 2 + (4 if is_masked else 0) + (2 if length == 126 else 8 if length == 127 else 0)
        self._check_head(first, length, is_masked)
        if len(buffer) < start:
            self._needed = start - position
            return None
        at = position + 2
        if length == 126:
            length = int.from_bytes(buffer[at : at + 2])
            at += 2
            if length < 126:
                raise FrameError(1002, "length: expected the shortest form")
        elif length == 127:
            length = int.from_bytes(buffer[at : at + 8])
            at += 8
            if length < 65536 or length >> 63:
                raise FrameError(1002, "length: expected the shortest form of 63 bits")
        if not first & 0x08 and self._size + length > self._max_bytes:
            raise FrameError(1009, f"message: expected at most {self._max_bytes} bytes")
        return first, start, length, bytes(buffer[at:start]) if is_masked else None

    def _check_head(self, first: int, length: int, is_masked: bool) -> None:
        """RFC 6455 §5.2, in the order of the bits."""
        opcode = first & 0x0F
        if first & 0x30 or (first & 0x40 and not self._may_be_compressed(opcode)):
            raise FrameError(1002, "frame: expected no reserved bits")
        if opcode in (CLOSE, PING, PONG):
            if not first & 0x80:
                raise FrameError(1002, "control frame: expected no fragments")
            if length > _MAX_CONTROL_BYTES:
                raise FrameError(1002, f"control frame: expected at most {_MAX_CONTROL_BYTES} bytes")
        elif opcode == CONTINUATION:
            if self._opcode == CONTINUATION:
                raise FrameError(1002, "continuation: expected a message to continue")
        elif opcode in (TEXT, BINARY):
            if self._opcode != CONTINUATION:
                raise FrameError(1002, "frame: expected a continuation")
        else:
            raise FrameError(1002, f"frame: expected no opcode {opcode:#x}")
        if is_masked == self._is_client:
            raise FrameError(1002, f"frame: expected {'no mask' if self._is_client else 'a mask'}")

    def _may_be_compressed(self, opcode: int) -> bool:
        # RFC 7692 §6.1: the bit stands on the first frame of a message only.
        return self._decompressor is not None and opcode in (TEXT, BINARY)

    def _take_frame(self, first: int, payload: bytes) -> Event | None:
        opcode = first & 0x0F
        if opcode == PING:
            return Ping(payload)
        if opcode == PONG:
            return Pong(payload)
        if opcode == CLOSE:
            self._is_closed = True
            return _parse_close(payload)
        if opcode != CONTINUATION:
            self._opcode = opcode
            self._is_compressed = bool(first & 0x40)
        is_final = bool(first & 0x80)
        if self._is_compressed and self._decompressor is not None:
            payload = self._decompressor.decompress(payload, is_final, self._max_bytes - self._size)
        self._size += len(payload)
        if self._opcode == TEXT:
            try:
                self._text.append(self._utf8.decode(payload, is_final))
            except UnicodeDecodeError as error:
                raise FrameError(1007, "text: expected UTF-8") from error
        else:
            self._parts.append(payload)
        return self._end_message() if is_final else None

    def _end_message(self) -> Message:
        data: str | bytes = "".join(self._text) if self._opcode == TEXT else b"".join(self._parts)
        self._opcode = CONTINUATION
        self._parts = []
        self._text = []
        self._size = 0
        return Message(data)


def _parse_close(payload: bytes) -> Close:
    if not payload:
        return Close(None, "")
    if len(payload) == 1:
        raise FrameError(1002, "close: expected a code of two bytes")
    code = int.from_bytes(payload[:2])
    if not is_close_code(code):
        raise FrameError(1002, f"close: expected no code {code}")
    try:
        return Close(code, payload[2:].decode("utf-8"))
    except UnicodeDecodeError as error:
        raise FrameError(1007, "close: expected a reason in UTF-8") from error


# ---- compression (RFC 7692)


class Decompressor:
    """Messages of one side, decompressed."""

    def __init__(self, window_bits: int = 15, keeps_context: bool = True) -> None:
        self._window_bits = max(9, window_bits)  # a larger window reads what a smaller one wrote; zlib has none of 8
        self._keeps_context = keeps_context
        self._stream = zlib.decompressobj(-self._window_bits)

    def decompress(self, payload: bytes, is_final: bool, max_bytes: int) -> bytes:
        """A frame's payload, decompressed.

        Raises:
            FrameError: 1007 if it is no deflate stream, 1009 if it grows to more than max_bytes.
        """
        data = payload + _TAIL if is_final else payload
        out: list[bytes] = []
        left = max_bytes
        try:
            while data:
                piece = self._stream.decompress(data, left + 1)
                left -= len(piece)
                if left < 0:
                    raise FrameError(1009, f"message: expected at most {max_bytes} more bytes after decompression")
                out.append(piece)
                data = self._stream.unconsumed_tail
                if self._stream.eof:
                    # RFC 7692 §7.2.3.5: a block may say that it is the last, and others follow.
                    data = self._stream.unused_data
                    self._stream = zlib.decompressobj(-self._window_bits)
        except zlib.error as error:
            raise FrameError(1007, f"message: expected a deflate stream: {error}") from error
        if is_final and not self._keeps_context:
            self._stream = zlib.decompressobj(-self._window_bits)
        return b"".join(out)


class Compressor:
    """Messages of our side, compressed. Level 6 with 8 takes 256 KB per connection, level 1 with 5 takes 40."""

    def __init__(self, window_bits: int = 15, keeps_context: bool = True, level: int = 6, mem_level: int = 8) -> None:
        self._settings = (level, zlib.DEFLATED, -window_bits, mem_level)
        self._keeps_context = keeps_context
        self._stream = zlib.compressobj(*self._settings) if keeps_context else None

    def compress(self, payload: bytes) -> bytes:
        """The payload of one message, compressed."""
        stream = self._stream or zlib.compressobj(*self._settings)
        data = stream.compress(payload) + stream.flush(zlib.Z_SYNC_FLUSH)
        return data.removesuffix(_TAIL)


class Deflate(NamedTuple):
    """What both sides have agreed on (RFC 7692 §7.1)."""

    server_no_context_takeover: bool = False
    client_no_context_takeover: bool = False
    server_max_window_bits: int = 15
    client_max_window_bits: int = 15

    def header(self) -> str:
        """Our answer to the client's offer, as a value of Sec-WebSocket-Extensions."""
        parts = ["permessage-deflate"]
        parts += [name for name in ("server_no_context_takeover", "client_no_context_takeover") if getattr(self, name)]
        for name in ("server_max_window_bits", "client_max_window_bits"):
            if getattr(self, name) != 15:
                parts.append(f"{name}={getattr(self, name)}")
        return "; ".join(parts)

    def compressor(self, is_client: bool, level: int = 6, mem_level: int = 8) -> Compressor:
        """What compresses our messages."""
        if is_client:
            return Compressor(self.client_max_window_bits, not self.client_no_context_takeover, level, mem_level)
        return Compressor(self.server_max_window_bits, not self.server_no_context_takeover, level, mem_level)

    def decompressor(self, is_client: bool) -> Decompressor:
        """What decompresses the peer's."""
        if is_client:
            return Decompressor(self.server_max_window_bits, not self.server_no_context_takeover)
        return Decompressor(self.client_max_window_bits, not self.client_no_context_takeover)


def parse_extensions(header: str) -> list[tuple[str, dict[str, str | None]]]:
    """Names and parameters of a Sec-WebSocket-Extensions value.

    Raises:
        ValueError: it is none, or repeats a parameter.
    """
    found: list[tuple[str, dict[str, str | None]]] = []
    for extension in header.split(","):
        pieces = [piece.strip(" \t") for piece in extension.split(";")]
        parameters: dict[str, str | None] = {}
        for piece in pieces[1:]:
            match = _EXTENSION_PARAMETER.fullmatch(piece)
            if match is None or match[1] in parameters:
                raise ValueError("Sec-WebSocket-Extensions: malformed")
            parameters[match[1]] = match[2] or match[3]
        if not re.fullmatch(_TOKEN, pieces[0]):
            raise ValueError("Sec-WebSocket-Extensions: malformed")
        found.append((pieces[0], parameters))
    return found


def accept_deflate(header: str) -> Deflate | None:
    """What a server agrees to of a client's offers: the first that it can do; None if there is none."""
    try:
        offers = parse_extensions(header)
    except ValueError:
        return None
    for name, parameters in offers:
        agreed = _agree(parameters) if name == "permessage-deflate" else None
        # zlib can't write with a window of 8 bits.
        if agreed is not None and agreed.server_max_window_bits > 8:
            return agreed
    return None


def check_deflate(header: str) -> Deflate | None:
    """What the server's answer to our offer says; None if it wants no compression.

    Raises:
        ValueError: it answers with what was not offered.
    """
    if not header:
        return None
    answers = parse_extensions(header)
    agreed = _agree(answers[0][1]) if len(answers) == 1 and answers[0][0] == "permessage-deflate" else None
    if agreed is None or agreed.client_max_window_bits == 8:
        raise ValueError(f"Sec-WebSocket-Extensions: expected an answer to our offer, got {header!r}")
    return agreed


def _agree(parameters: dict[str, str | None]) -> Deflate | None:
    """The parameters as values; None if one is unknown or has no right value."""
    values: dict[str, Any] = {}
    for name, value in parameters.items():
        if name in ("server_no_context_takeover", "client_no_context_takeover"):
            if value is not None:
                return None
            values[name] = True
        elif name == "client_max_window_bits" and value is None:
            continue  # the client can, but need not, use less
        elif name in ("server_max_window_bits", "client_max_window_bits"):
            if value not in ("8", "9", "10", "11", "12", "13", "14", "15"):
                return None
            values[name] = int(value)
        else:
            return None
    return Deflate(**values)
