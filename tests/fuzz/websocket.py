"""Fuzzes websocket frames: the same events and the same end however the bytes are cut, and if taken whole.

python -m tests.fuzz.websocket --seconds 600
"""

from framework import frames
from framework.frames import BINARY, CLOSE, CONTINUATION, PING, PONG, TEXT, Compressor, Decoder, Deflate, FrameError
from tests.fuzz import engine

MOST_BYTES = 3000


def _frame(opcode, payload, mask=b"\1\2\3\4", first=0x80):
    """A masked frame whose mask is not left to chance."""
    head = frames.encode_frame(opcode, payload)
    second = bytes([head[1] | 0x80])
    length = head[2 : len(head) - len(payload)]
    return bytes([first | opcode]) + second + length + mask + frames.apply_mask(payload, mask)


_DEFLATED = Compressor().compress(b"what is said twice is said twice " * 9)
CORPUS = [
    _frame(TEXT, b"hello") + _frame(BINARY, bytes(200)) + _frame(PING, b"p") + _frame(CLOSE, b"\x03\xe8bye"),
    _frame(TEXT, "a€".encode()[:2], first=0) + _frame(PONG, b"") + _frame(CONTINUATION, "a€".encode()[2:]),
    _frame(TEXT, _DEFLATED, first=0xC0) + _frame(BINARY, _DEFLATED[:9], first=0x40) + _frame(0, _DEFLATED[9:]),
    _frame(BINARY, b"x" * 130, b"\0\0\0\0") + _frame(TEXT, b""),
    _frame(TEXT, "\U0001f600".encode(), b"\xff\xff\xff\xff") + _frame(CLOSE, b""),
    frames.encode_frame(TEXT, b"server's") + frames.encode_frame(TEXT, _DEFLATED, is_compressed=True),
]
TOKENS = [
    *(b"\x81", b"\x82", b"\x01", b"\x02", b"\x00", b"\x80", b"\x88", b"\x89", b"\x8a", b"\xc1", b"\xc2", b"\x41"),
    *(b"\x80\0\0\0\0", b"\xfe", b"\xff", b"\x7e", b"\x7f", b"\x00\x7e", b"\x00\x00\xff\xff", b"\x03\xe8", b"\x03\xed"),
    *(b"\x81\x81\0\0\0\0a", b"\x81\x01a", b"\xc1\x87", _frame(PING, b"")),
    *(b"\xed\xa0\x80", b"\xf4\x90\x80\x80", b"\xc0\xaf", b"\xef\xbf\xbf", b"\xce"),
]


def _read(pieces, is_client, deflate, takes_whole):
    """All events, and in the end the code of the error or the number of bytes that wait."""
    decoder = Decoder(is_client, MOST_BYTES, deflate.decompressor(is_client) if deflate else None)
    events = []
    try:
        for piece in pieces:
            whole = decoder.take_whole(piece) if takes_whole and piece else None
            if whole is not None:
                events.append(frames.Message(whole))
                continue
            for event in decoder.feed(piece):
                events.append(event)  # one by one: what comes before an error counts
    except FrameError as error:
        return events, error.code
    assert decoder.buffered_bytes <= MOST_BYTES + 14
    return events, -decoder.buffered_bytes


def run(seconds, seed=0):
    """The number of inputs tried.

    Raises:
        AssertionError: two ways of cutting one input had different results, or a message is larger than allowed.
    """

    def check(data, generator):
        for is_client in (False, True):
            for deflate in (None, Deflate(), Deflate(True, True, 9, 9)):
                found = _read([data], is_client, deflate, takes_whole=False)
                assert _read([data], is_client, deflate, takes_whole=True) == found, "taken whole"
                pieces = [data[i : i + 1] for i in range(len(data))]
                assert _read(pieces, is_client, deflate, takes_whole=True) == found, "byte by byte"
                pieces = engine.cut_at_random(data, generator)
                assert _read(pieces, is_client, deflate, takes_whole=True) == found, f"cut into {pieces}"
                for event in found[0]:
                    assert not isinstance(event, frames.Message) or len(event.data) <= MOST_BYTES

    return engine.fuzz(check, CORPUS, TOKENS, seconds, seed)


if __name__ == "__main__":
    engine.main(run)
