import resource

from framework.httpserver.limits import Limits, most_connections


def test_connections_leave_descriptors_for_the_process():
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    assert 0 < most_connections(Limits()) < soft
    assert most_connections(Limits(max_connections=7)) == 7
