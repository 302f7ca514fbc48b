from framework.errors import FrameworkError, ProtocolError


def test_protocol_error_is_a_400_unless_told_otherwise():
    assert ProtocolError("Host: expected one, got two").status == 400
    assert ProtocolError("head: expected at most 16384 bytes", 431).status == 431


def test_protocol_error_is_caught_by_the_root():
    assert issubclass(ProtocolError, FrameworkError)
