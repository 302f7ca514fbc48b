from framework import http1
from framework.httpserver import targets


def resolve(head):
    line, method, target, _, host = http1.match_head(head).groups()
    return targets.resolve_target(line, method, target, host, head)


def test_request_line_and_host_are_remembered():
    target = resolve(b"GET /t?q HTTP/1.1\r\nHost: h\r\nA: b\r\n\r\n")
    assert target == ("GET", "/t?q", "/t", "q", "h", "HTTP/1.1", True)
    assert targets.known_targets[b"GET /t?q HTTP/1.1\r\nHost: h"] == target
    target = resolve(b"GET /t?q HTTP/1.0\r\nA: b\r\nHost: h\r\n\r\n")
    assert target[5:] == ("HTTP/1.0", True)
    assert targets.known_old_targets[b"GET /t?q HTTP/1.0", b"h"] == target


def test_the_memory_is_bounded():
    for number in range(5000):
        resolve(b"GET /%d HTTP/1.1\r\nHost: h%d\r\n\r\n" % (number, number))
    assert 0 < len(targets.known_targets) <= 2048
    long = b"GET /" + b"x" * 1000 + b" HTTP/1.1\r\nHost: h"
    resolve(long + b"\r\n\r\n")
    assert long not in targets.known_targets


def test_only_plain_targets_are_remembered():
    targets.known_targets.clear()
    for head in (
        b"OPTIONS * HTTP/1.1\r\nHost: h\r\n\r\n",
        b"GET http://h/ HTTP/1.1\r\nHost: h\r\n\r\n",
        b"GET /0 HTTP/1.0\r\n\r\n",
        b"GET /0 HTTP/1.2\r\nHost: h\r\n\r\n",
    ):
        resolve(head)
    assert not targets.known_targets


def test_the_host_of_an_absolute_target_counts():
    assert resolve(b"GET http://a/ HTTP/1.1\r\nHost: b\r\n\r\n")[4] == "a"
    assert resolve(b"GET / HTTP/1.0\r\n\r\n")[4] == "127.0.0.1"
