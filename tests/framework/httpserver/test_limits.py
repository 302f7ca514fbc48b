import resource

from framework import http1
from framework.httpserver.limits import Limits, most_connections, plain_head_bytes, small_head_bytes


def test_connections_leave_descriptors_for_the_process():
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    assert 0 < most_connections(Limits()) < soft
    assert most_connections(Limits(max_connections=7)) == 7


def test_small_heads_are_within_all_limits():
    assert small_head_bytes(Limits()) == 800
    assert small_head_bytes(Limits(max_target_bytes=10)) == 10
    assert small_head_bytes(Limits(max_head_bytes=20)) == 20
    assert small_head_bytes(Limits(max_header_fields=3)) == 12


def test_plain_heads_have_no_more_fields_than_the_usual_limit():
    assert plain_head_bytes(Limits()) == 65_536
    assert plain_head_bytes(Limits(max_head_bytes=900)) == 900
    assert plain_head_bytes(Limits(max_header_fields=199)) == 796
    assert plain_head_bytes(Limits(max_target_bytes=200)) == 200
    most = b"GET / HTTP/1.1\r\nHost: h\r\n" + b"A:\r\n" * 70 + b"\r\n"
    assert http1.match_plain_request(most) is None
