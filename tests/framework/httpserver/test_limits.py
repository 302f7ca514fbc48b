import resource

from framework.httpserver.limits import Limits, most_connections, small_head_bytes


def test_connections_leave_descriptors_for_the_process():
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    assert 0 < most_connections(Limits()) < soft
    assert most_connections(Limits(max_connections=7)) == 7


def test_small_heads_are_within_all_limits():
    assert small_head_bytes(Limits()) == 800
    assert small_head_bytes(Limits(max_target_bytes=10)) == 10
    assert small_head_bytes(Limits(max_head_bytes=20)) == 20
    assert small_head_bytes(Limits(max_header_fields=3)) == 12
