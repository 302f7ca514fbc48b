import pytest

from framework.errors import ProtocolError
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
    incoming = IncomingBody(HTTPRequest("POST", "/"), 5, Limits())
    assert incoming.take(b"xx12", 2) == (4, None)
    assert not incoming.is_done
    assert incoming.take(b"345next", 0) == (3, None)
    assert incoming.is_done and incoming.request.body == b"12345"


def test_receiver_gets_the_pieces():
    incoming = IncomingBody(HTTPRequest("POST", "/"), None, Limits())
    incoming.receiver = Receiver()
    position, _ = incoming.take(b"3\r\nabc\r\n2\r\nd", 0)
    assert position == 12
    incoming.take(b"e\r\n0\r\n\r\n", 0)
    assert incoming.is_done and b"".join(incoming.receiver.pieces) == b"abcde" and incoming.request.body == b""


@pytest.mark.parametrize("length", [11, None])
def test_body_larger_than_allowed(length):
    incoming = IncomingBody(HTTPRequest("POST", "/"), length, Limits())
    incoming.max_body_bytes = 10
    with pytest.raises(ProtocolError) as raised:
        incoming.check_size()
        incoming.take(b"b\r\n", 0)
    assert raised.value.status == 413
