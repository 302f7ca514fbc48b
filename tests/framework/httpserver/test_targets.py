from framework.httpserver import targets


def resolve(method, target, version=b"1.1"):
    line = b"%b %b HTTP/%b" % (method, target, version)
    return line, targets.resolve_start_line(line, method, target)


def test_start_line_is_remembered():
    line, parts = resolve(b"GET", b"/t?q")
    assert parts == ("GET", "/t?q", "/t", "q", None)
    assert targets.known_start_lines[line] == parts


def test_memories_are_bounded():
    for number in range(5000):
        resolve(b"GET", b"/%d" % number)
        targets.resolve_host(b"h%d" % number)
    resolve(b"GET", b"/" + b"x" * 1000)
    targets.resolve_host(b"x" * 1000)
    for memory in (targets.known_start_lines, targets.known_hosts):
        assert 0 < len(memory) <= 2048
        assert all(len(key) <= 256 for key in memory)


def test_only_plain_start_lines_are_remembered():
    for method, target, version in [
        (b"OPTIONS", b"*", b"1.1"),
        (b"GET", b"http://h/", b"1.1"),
        (b"GET", b"/0", b"1.0"),
    ]:
        assert resolve(method, target, version)[0] not in targets.known_start_lines
