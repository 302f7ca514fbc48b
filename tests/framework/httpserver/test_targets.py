import pytest

from framework import http1
from framework.httpserver.targets import Targets, resolve_target


@pytest.fixture
def targets():
    return Targets(call, call)


def call(request):
    raise AssertionError("a target is only remembered here")


def resolve(head, targets=None):
    line, method, target, _, host = http1.match_head(head).groups()
    resolved = resolve_target(line, method, target, host)
    if targets is not None:
        targets.remember(line, host, head, resolved)
    return resolved


def test_request_line_and_host_are_remembered(targets):
    target = resolve(b"GET /t?q HTTP/1.1\r\nHost: h\r\nA: b\r\n\r\n", targets)
    assert target == ("GET", "/t?q", "/t", "q", "h", "HTTP/1.1", True)
    assert targets.find(b"GET /t?q HTTP/1.1\r\nHost: h") == (*target, call)
    target = resolve(b"GET /t?q HTTP/1.0\r\nA: b\r\nHost: h\r\n\r\n", targets)
    assert target[5:] == ("HTTP/1.0", True)
    assert targets.find_old((b"GET /t?q HTTP/1.0", b"h")) == (*target, call)


def test_the_memory_is_bounded(targets):
    for number in range(5000):
        resolve(b"GET /%d HTTP/1.1\r\nHost: h%d\r\n\r\n" % (number, number), targets)
    assert 0 < len(targets) <= 2048
    long = b"GET /" + b"x" * 1000 + b" HTTP/1.1\r\nHost: h"
    resolve(long + b"\r\n\r\n", targets)
    assert targets.find(long) is None


def test_only_plain_targets_are_remembered(targets):
    for head in (
        b"OPTIONS * HTTP/1.1\r\nHost: h\r\n\r\n",
        b"GET http://h/ HTTP/1.1\r\nHost: h\r\n\r\n",
        b"GET /0 HTTP/1.0\r\n\r\n",
        b"GET /0 HTTP/1.2\r\nHost: h\r\n\r\n",
    ):
        resolve(head, targets)
    assert not len(targets)


def test_the_host_of_an_absolute_target_counts():
    assert resolve(b"GET http://a/ HTTP/1.1\r\nHost: b\r\n\r\n")[4] == "a"
    assert resolve(b"GET / HTTP/1.0\r\n\r\n")[4] == "127.0.0.1"


def test_a_part_of_the_application_is_called_if_it_names_one():
    class Parted:
        asked = ()

        def find_call(self, method, host, path):
            self.asked = method, host, path
            return print if path == "/part" else None

    application = Parted()
    targets = Targets(application, call)
    resolve(b"GET /part?q HTTP/1.1\r\nHost: h\r\n\r\n", targets)
    assert application.asked == ("GET", "h", "/part")
    assert targets.find(b"GET /part?q HTTP/1.1\r\nHost: h")[-1] is print
    resolve(b"GET /other HTTP/1.1\r\nHost: h\r\n\r\n", targets)
    assert targets.find(b"GET /other HTTP/1.1\r\nHost: h")[-1] is call
