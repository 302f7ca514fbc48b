"""The guard's policy: whom it kills, whom it starts, and when it gives the container up."""

import pytest
from guard import Ping, decide_kills, decide_starts, find_sibling, is_fatal_for_all, parse_fields


@pytest.mark.parametrize(
    ("ping", "heard_s", "expected"),
    [
        (Ping(0, 10, True), {10: 0.0}, []),
        (Ping(0, 10, False), {10: 95.0}, []),
        (Ping(0, 10, False), {10: 90.0}, [10]),
        (Ping(0, 10, False), {10: 1.0}, [10]),
        # First seen, and silent: it gets its ten seconds.
        (Ping(0, 10, False), {}, []),
        # Nobody listens: the process is gone, and supervisord knows.
        (Ping(0, None, False), {10: 1.0}, []),
    ],
)
def test_decide_kills(ping: Ping, heard_s: dict[int, float], expected: list[int]) -> None:
    assert decide_kills([ping], heard_s, now_s=100.0) == expected


def test_decide_kills_spares_the_others() -> None:
    pings = [Ping(0, 10, True), Ping(1, 11, False), Ping(2, 12, False)]
    assert decide_kills(pings, {10: 100.0, 11: 80.0, 12: 99.0}, now_s=100.0) == [11]


@pytest.mark.parametrize(
    ("first", "second", "is_started"),
    [
        ("RUNNING", "STOPPED", False),
        ("EXITED", "RUNNING", False),
        ("EXITED", "STOPPED", True),
        ("EXITED", "EXITED", True),
        ("STOPPED", "EXITED", True),
        ("BACKOFF", "STOPPED", False),
        # Failed for good is another event's business.
        ("FATAL", "STOPPED", False),
    ],
)
def test_decide_starts(first: str, second: str, is_started: bool) -> None:
    states = {"frontend-a:frontend-a_0": first, "frontend-b:frontend-b_0": second}
    assert decide_starts(states, 1) == (["frontend-a:frontend-a_0"] if is_started else [])


@pytest.mark.parametrize(
    ("name", "states", "expected"),
    [
        ("frontend-b:frontend-b_1", {"frontend-a:frontend-a_1": "RUNNING"}, False),
        ("frontend-a:frontend-a_1", {"frontend-b:frontend-b_1": "STARTING"}, False),
        ("frontend-b:frontend-b_1", {"frontend-a:frontend-a_1": "EXITED"}, True),
        ("frontend-a:frontend-a_1", {"frontend-b:frontend-b_1": "STOPPED"}, True),
        ("frontend-a:frontend-a_1", {"frontend-b:frontend-b_2": "RUNNING"}, True),
        ("worker:worker", {"frontend-a:frontend-a_0": "RUNNING"}, True),
    ],
)
def test_is_fatal_for_all(name: str, states: dict[str, str], expected: bool) -> None:
    assert is_fatal_for_all(name, states) is expected


def test_sibling_of_a_program_without_one() -> None:
    assert find_sibling("worker:worker") is None


def test_fields_of_an_event() -> None:
    head = "ver:3.0 server:supervisor serial:21 pool:guard poolserial:10 eventname:TICK_5 len:15\n"
    assert parse_fields(head)["eventname"] == "TICK_5"
