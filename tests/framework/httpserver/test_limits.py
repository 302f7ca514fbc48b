import resource

from framework.httpserver.limits import Limits, allows_known_head, most_connections, small_head_bytes


def test_connections_leave_descriptors_for_the_process():
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    assert 0 < most_connections(Limits()) < soft
    assert most_connections(Limits(max_connections=7)) == 7


def test_small_heads_are_within_all_limits():
    assert small_head_bytes(Limits()) == 800
    assert small_head_bytes(Limits(max_target_bytes=10)) == 10
    assert small_head_bytes(Limits(max_head_bytes=20)) == 20
    assert small_head_bytes(Limits(max_header_fields=3)) == 12


def test_known_heads_are_measured():
    head = b"GET / HTTP/1.1\r\nHost: h\r\nA:\r\n\r\n"
    assert allows_known_head(Limits(), head)
    assert allows_known_head(Limits(max_header_fields=2), head)
    assert not allows_known_head(Limits(max_header_fields=1), head)
    assert not allows_known_head(Limits(max_head_bytes=len(head) - 1), head)
    assert not allows_known_head(Limits(max_target_bytes=200), head)
