import zlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from framework.frames import (
    BINARY,
    CLOSE,
    CONTINUATION,
    PING,
    TEXT,
    Close,
    Compressor,
    Decoder,
    Decompressor,
    Deflate,
    FrameError,
    Message,
    Ping,
    accept_deflate,
    accept_key,
    apply_mask,
    check_deflate,
    encode_close,
    encode_frame,
)


def decode(data, is_client=True, limit=1000, decompressor=None):
    return list(Decoder(is_client, limit, decompressor).feed(data))


def code_of(data, **options):
    with pytest.raises(FrameError) as caught:
        decode(data, **options)
    return caught.value.code


def test_key_of_the_rfc():
    assert accept_key("dGhlIHNhbXBsZSBub25jZQ==") == "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="
    for key in ("", "abc", "AAAA", "\xe4", "dGhlIHNhbXBsZSBub25jZQ"):
        with pytest.raises(ValueError):
            accept_key(key)


@pytest.mark.parametrize("size", [0, 1, 125, 126, 65535, 65536])
@pytest.mark.parametrize("is_client", [True, False])
def test_every_length_there_and_back(size, is_client):
    frame = encode_frame(BINARY, b"x" * size, is_masked=not is_client)
    assert decode(frame, is_client, 100_000) == [Message(b"x" * size)]


def test_examples_of_the_rfc():
    assert decode(bytes.fromhex("810548656c6c6f")) == [Message("Hello")]
    assert decode(bytes.fromhex("818537fa213d7f9f4d5158"), is_client=False) == [Message("Hello")]
    assert decode(bytes.fromhex("010348656c80026c6f")) == [Message("Hello")]
    assert decode(bytes.fromhex("c107f248cdc9c90700"), decompressor=Decompressor()) == [Message("Hello")]
    assert decode(bytes.fromhex("c108f348cdc9c9070000"), decompressor=Decompressor()) == [Message("Hello")]


def test_control_frames_between_fragments():
    data = encode_frame(TEXT, b"a", is_final=False) + encode_frame(PING, b"p") + encode_frame(CONTINUATION, b"b")
    assert decode(data) == [Ping(b"p"), Message("ab")]


def test_what_came_before_an_error_is_given_out():
    events = Decoder(True, 100).feed(encode_frame(TEXT, b"a") + b"\xf1\x00")
    assert next(events) == Message("a")
    with pytest.raises(FrameError):
        next(events)


@pytest.mark.parametrize(
    "data, code",
    [
        (b"\xc1\x00", 1002),  # compressed, without agreement
        (b"\xa1\x00", 1002),  # reserved bits
        (b"\x91\x00", 1002),
        (b"\x83\x00", 1002),  # unknown opcodes
        (b"\x8b\x00", 1002),
        (b"\x09\x00", 1002),  # a ping in fragments
        (b"\x89\x7e\x00\x7e" + bytes(126), 1002),  # a ping too large
        (b"\x80\x00", 1002),  # a continuation of nothing
        (b"\x01\x00\x81\x00", 1002),  # a message within a message
        (b"\x81\x7e\x00\x05Hello", 1002),  # longer than need be
        (b"\x81\x7f" + bytes(7) + b"\x05Hello", 1002),
        (b"\x82\x7f\xff" + bytes(7), 1002),
        (b"\x81\x80" + bytes(4), 1002),  # masked by a server
        (b"\x81\x01\xff", 1007),
        (b"\x01\x01\xce\x80\x01\x41", 1007),
        (b"\x88\x01\x03", 1002),
        (encode_frame(CLOSE, b"\x03\xe7"), 1002),  # 999
        (encode_frame(CLOSE, b"\x03\xed"), 1002),  # 1005
        (encode_frame(CLOSE, b"\x03\xe8\xff"), 1007),
        (b"\x82\x7e\x04\x00", 1009),  # at the head: nothing of it is kept
    ],
)
def test_broken_frames(data, code):
    assert code_of(data) == code


def test_server_wants_a_mask():
    assert code_of(b"\x81\x00", is_client=False) == 1002


def test_nothing_counts_after_a_close():
    assert decode(encode_close(1000, "bye") + encode_frame(TEXT, b"a")) == [Close(1000, "bye")]
    assert decode(encode_close()) == [Close(None, "")]
    (close,) = decode(encode_close(1001, "ä" * 100))
    assert close.reason == "ä" * 61


def test_size_counts_over_fragments_and_after_decompression():
    piece = encode_frame(BINARY, bytes(600), is_final=False)
    assert code_of(piece + encode_frame(CONTINUATION, bytes(600))) == 1009
    bomb = Compressor().compress(bytes(10_000_000))
    assert len(bomb) < 20_000
    frame = encode_frame(BINARY, bomb, is_compressed=True)
    assert code_of(frame, limit=50_000, decompressor=Decompressor()) == 1009
    assert code_of(encode_frame(BINARY, b"\xff\xff", is_compressed=True), decompressor=Decompressor()) == 1007


@given(st.lists(st.binary(max_size=300), max_size=6), st.integers(1, 40), st.booleans())
def test_messages_survive_compression_and_any_cut(messages, step, keeps_context):
    compressor = Compressor(9, keeps_context)
    data = b"".join(encode_frame(BINARY, compressor.compress(m), True, is_compressed=True) for m in messages)
    decoder = Decoder(False, 1000, Decompressor(9, keeps_context))
    got = [event.data for at in range(0, len(data), step) for event in decoder.feed(data[at : at + step])]
    assert got == messages
    assert decoder.buffered_bytes == 0


@given(st.binary(max_size=200), st.integers(1, 7))
def test_any_bytes_are_events_or_an_error_however_they_are_cut(data, step):
    def run(pieces):
        decoder = Decoder(False, 1000, Decompressor())
        events = []
        try:
            for piece in pieces:
                for event in decoder.feed(piece):
                    events.append(event)
        except FrameError as error:
            events.append(error.code)
        return events

    assert run([data]) == run([data[at : at + step] for at in range(0, len(data), step)])


@pytest.mark.parametrize("is_client", [True, False])
@pytest.mark.parametrize("size", [1, 125, 126, 1000, 65535])
@pytest.mark.parametrize("opcode, kind", [(TEXT, str), (BINARY, bytes)])
def test_whole_messages_are_taken_at_once(is_client, size, opcode, kind):
    (message,) = decode(encode_frame(opcode, b"x" * size), limit=100_000)
    frame = encode_frame(opcode, b"x" * size, is_masked=not is_client)
    taken = Decoder(is_client, 100_000).take_whole(frame)
    assert taken == message.data
    assert type(taken) is kind
    for other in (frame[:-1], frame + b"x", b"\x01" + frame[1:], b"\x80" + frame[1:], b"\xc1" + frame[1:]):
        assert Decoder(is_client, 100_000, Decompressor()).take_whole(other) is None
    assert Decoder(is_client, size - 1).take_whole(frame) is None
    assert Decoder(not is_client, 100_000).take_whole(frame) is None


def test_nothing_is_taken_out_of_turn():
    message = encode_frame(TEXT, b"a")
    for before in (b"\x01", encode_frame(TEXT, b"a", is_final=False), encode_close()):
        decoder = Decoder(True, 100)
        list(decoder.feed(before))
        assert decoder.take_whole(message) is None
    assert Decoder(True, 100).take_whole(encode_frame(TEXT, b"\xff")) is None


_whole = st.builds(
    encode_frame, st.integers(0, 15), st.binary(max_size=200), st.booleans(), st.booleans(), st.booleans()
)


@given(st.one_of(_whole, st.binary(max_size=20)), st.booleans())
def test_what_is_taken_at_once_is_what_feeding_gives(data, is_client):
    taken = Decoder(is_client, 150, Decompressor()).take_whole(data)
    if taken is not None:
        assert decode(data, is_client, 150, Decompressor()) == [Message(taken)]


@given(st.binary(max_size=50), st.binary(min_size=4, max_size=4))
def test_mask_is_exclusive_or(data, mask):
    assert apply_mask(data, mask) == bytes(byte ^ mask[at % 4] for at, byte in enumerate(data))


@pytest.mark.parametrize(
    "offer, agreed",
    [
        ("permessage-deflate", Deflate()),
        ("permessage-deflate; client_max_window_bits", Deflate()),
        ("permessage-deflate; client_max_window_bits=10", Deflate(client_max_window_bits=10)),
        ('permessage-deflate; server_max_window_bits="9"', Deflate(server_max_window_bits=9)),
        ("permessage-deflate; server_max_window_bits=8, permessage-deflate", Deflate()),
        ("x-other, permessage-deflate; server_no_context_takeover", Deflate(server_no_context_takeover=True)),
        ("permessage-deflate; server_max_window_bits=16", None),
        ("permessage-deflate; server_max_window_bits", None),
        ("permessage-deflate; server_max_window_bits=09", None),
        ("permessage-deflate; unknown", None),
        ("permessage-deflate; server_no_context_takeover=1", None),
        ("permessage-deflate; client_max_window_bits; client_max_window_bits", None),
        ("permessage-deflate;", None),
        ("", None),
    ],
)
def test_offers(offer, agreed):
    assert accept_deflate(offer) == agreed


def test_answers():
    agreed = Deflate(True, True, 9, 10)
    assert check_deflate(agreed.header()) == agreed
    assert check_deflate("") is None
    for answer in ("x-other", "permessage-deflate; y", "permessage-deflate, permessage-deflate"):
        with pytest.raises(ValueError):
            check_deflate(answer)


def test_both_sides_understand_each_other():
    agreed = Deflate(True, False, 9, 10)
    text = b"what is said twice is said twice " * 20
    for is_client in (True, False):
        compressor, decompressor = agreed.compressor(is_client), agreed.decompressor(not is_client)
        for _ in range(3):
            assert decompressor.decompress(compressor.compress(text), True, 10_000) == text
    assert zlib.ZLIB_VERSION
