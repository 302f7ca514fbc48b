from framework.httpserver import targets


def test_target_is_remembered():
    assert targets.resolve_target(b"GET", b"/t?q") == ("/t?q", "/t", "q", None)
    assert targets.known_targets[b"/t?q"] == ("/t?q", "/t", "q", None)


def test_memory_for_targets_is_bounded():
    for number in range(5000):
        targets.resolve_target(b"GET", b"/%d" % number)
    targets.resolve_target(b"GET", b"/" + b"x" * 1000)
    assert len(targets.known_targets) <= 2048
    assert all(len(target) <= 256 for target in targets.known_targets)


def test_targets_that_depend_on_the_method_are_not_remembered():
    targets.resolve_target(b"OPTIONS", b"*")
    targets.resolve_target(b"GET", b"http://h/")
    assert b"*" not in targets.known_targets and b"http://h/" not in targets.known_targets
