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


def test_short_heads_are_remembered_as_a_whole():
    target = resolve(b"GET /s HTTP/1.1\r\nHost: h\r\n\r\n")
    head = b"GET /s HTTP/1.1\r\nHost: h\r\nAccept: */*\r\n\r\n"
    assert targets.find_short_head(head) is None
    targets.remember_short_head(head, target)
    assert targets.find_short_head(head) is target


def test_what_proxies_say_is_not_remembered():
    target = resolve(b"GET /s HTTP/1.1\r\nHost: h\r\n\r\n")
    for line in (b"X-Forwarded-For: 192.0.2.5", b"X-Real-IP: 192.0.2.5", b"X-Scheme: https", b"X-Request-ID: r"):
        head = b"GET /s HTTP/1.1\r\nHost: h\r\n" + line + b"\r\n\r\n"
        targets.remember_short_head(head, target)
        assert targets.find_short_head(head) is None


def test_the_memory_for_short_heads_is_bounded():
    target = resolve(b"GET /s HTTP/1.1\r\nHost: h\r\n\r\n")
    heads = [b"GET /s HTTP/1.1\r\nHost: h\r\nA: %d\r\n\r\n" % number for number in range(5000)]
    for head in heads:
        targets.remember_short_head(head, target)
    assert 0 < sum(targets.find_short_head(head) is not None for head in heads) <= 2048
