import pytest

from framework.errors import ProtocolError
from framework.httpserver.bodies import Bodies
from framework.httpserver.incoming import IncomingBody
from framework.httpserver.limits import Limits
from framework.request import HTTPRequest


class Receiver:
    def __init__(self):
        self.pieces = []

    def data_received(self, chunk):
        self.pieces.append(chunk)

    def body_complete(self):
        self.pieces.append(None)

    def connection_lost(self):
        self.pieces.append("lost")


def test_body_is_buffered_over_several_reads():
    incoming = IncomingBody(HTTPRequest("POST", "/"), 5, Bodies(Limits()))
    assert incoming.take(b"xx12", 2) == (4, None)
    assert not incoming.is_done
    assert incoming.take(b"345next", 0) == (3, None)
    assert incoming.is_done and incoming.request.body == b"12345"


def test_receiver_gets_the_pieces():
    incoming = IncomingBody(HTTPRequest("POST", "/"), None, Bodies(Limits()))
    incoming.receiver = Receiver()
    position, _ = incoming.take(b"3\r\nabc\r\n2\r\nd", 0)
    assert position == 12
    incoming.take(b"e\r\n0\r\n\r\n", 0)
    assert incoming.is_done and b"".join(incoming.receiver.pieces) == b"abcde" and incoming.request.body == b""


@pytest.mark.parametrize("length", [11, None])
def test_body_larger_than_allowed(length):
    incoming = IncomingBody(HTTPRequest("POST", "/"), length, Bodies(Limits()))
    incoming.max_body_bytes = 10
    with pytest.raises(ProtocolError) as raised:
        incoming.check_size()
        incoming.take(b"b\r\n", 0)
    assert raised.value.status == 413


@pytest.mark.parametrize("length", [6, None])
def test_body_that_receiver_takes_is_not_buffered(length):
    bodies = Bodies(Limits(max_buffered_bytes=5, body_memory_bytes=0))
    incoming = IncomingBody(HTTPRequest("POST", "/"), length, bodies)
    incoming.receiver = Receiver()
    incoming.check_size()
    incoming.take(b"12" if length else b"6\r\n12", 0)
    assert bodies.buffered_bytes == bodies.files == 0


def test_body_that_is_all_there_is_not_buffered():
    bodies = Bodies(Limits(max_buffered_bytes=0))
    incoming = IncomingBody(HTTPRequest("POST", "/"), None, bodies)
    incoming.take(b"3\r\nabc\r\n0\r\n\r\n", 0)
    assert incoming.request.body == b"abc"


def test_announced_body_is_refused_before_it_is_read_but_reserves_nothing():
    bodies = Bodies(Limits(max_buffered_bytes=10))
    incoming = [IncomingBody(HTTPRequest("POST", "/"), length, bodies) for length in (10, 10, 9)]
    for body in incoming:
        body.check_size()
    incoming[0].take(b"12", 0)
    incoming[1].take(b"", 0)
    with pytest.raises(ProtocolError) as raised:
        incoming[2].check_size()
    assert raised.value.status == 503


def test_end_gives_back_what_was_buffered():
    bodies = Bodies(Limits(body_memory_bytes=3))
    incoming = IncomingBody(HTTPRequest("POST", "/"), 10, bodies)
    incoming.end()
    incoming.take(b"12345", 0)
    assert (bodies.buffered_bytes, bodies.files) == (5, 1)
    for _ in range(2):
        incoming.end()
        assert (bodies.buffered_bytes, bodies.files) == (0, 0)


def test_body_in_a_file_becomes_the_request_s():
    incoming = IncomingBody(HTTPRequest("POST", "/"), 10, Bodies(Limits(body_memory_bytes=3)))
    for piece in (b"12345", b"678", b"90"):
        incoming.take(piece, 0)
    assert incoming.is_done and incoming.request.body == b"1234567890"
