"""appctl's policy and words: which program of a slot starts next, and what has to be gone before."""

import json

import pytest
from appctl import Program, Step, decide_step, describe_slot, parse_arguments

A, B = "frontend-a:frontend-a_0", "frontend-b:frontend-b_0"


def programs(first: str, second: str) -> tuple[Program, Program]:
    """Both programs of slot 0 in these states; a live one has process id 10 (a) or 20 (b)."""
    return Program(A, first, 10), Program(B, second, 20)


@pytest.mark.parametrize(
    ("first", "second", "owner_pid", "expected"),
    [
        ("RUNNING", "STOPPED", 10, Step(B)),
        ("EXITED", "RUNNING", 20, Step(A)),
        ("RUNNING", "FATAL", 10, Step(B)),
        # The other one still drains from the roll before, or is parked: it has to go first.
        ("RUNNING", "RUNNING", 10, Step(B, clear=B)),
        ("RUNNING", "RUNNING", 20, Step(A, clear=A)),
        ("STOPPING", "RUNNING", 20, Step(A, clear=A)),
        # Nobody holds the slot: what lives is about to claim it, so the dead one is started.
        ("STARTING", "EXITED", None, Step(B)),
        ("EXITED", "STARTING", None, Step(A)),
        ("EXITED", "EXITED", None, Step(A)),
        ("FATAL", "STOPPED", None, Step(A)),
        # The slot is held by a process that supervisord does not know (a release in another container).
        ("STOPPED", "STOPPED", 999, Step(A)),
        # Both live and a stranger holds the slot: one of them has to make room.
        ("RUNNING", "RUNNING", 999, Step(B, clear=B)),
    ],
)
def test_decide_step(first: str, second: str, owner_pid: int | None, expected: Step) -> None:
    assert decide_step(programs(first, second), owner_pid) == expected


def test_decide_step_never_clears_the_one_that_serves() -> None:
    states = ["STOPPED", "STARTING", "RUNNING", "BACKOFF", "STOPPING", "EXITED", "FATAL"]
    for first in states:
        for second in states:
            for owner_pid in (10, 20):
                pair = programs(first, second)
                serving = next(program for program in pair if program.pid == owner_pid)
                if serving.is_alive:
                    assert decide_step(pair, owner_pid).start != serving.name


def test_arguments_of_a_dry_run() -> None:
    asked = parse_arguments(["roll", "--dry-run"])
    assert (asked.verb, asked.dry_run, asked.no_wait) == ("roll", True, False)


def test_arguments_with_an_unknown_verb(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit, match="2"):
        parse_arguments(["restart"])
    assert "invalid choice: 'restart'" in capsys.readouterr().err


FACTS = {"state": "claimed", "pid": 10, "release": "v2", "held": False, "connections": 3, "claimed": 1767225600.5}
HEAD = "slot 0: claimed by frontend-a_0 (pid 10), release v2, "
SINCE = ", 3 connections, since 2026-01-01 00:00:00 UTC"


@pytest.mark.parametrize(
    ("states", "status", "facts", "expected"),
    [
        (("RUNNING", "STOPPED"), 200, {}, f"{HEAD}ready{SINCE}"),
        (("RUNNING", "STOPPED"), 200, {"held": True}, f"{HEAD}held{SINCE}"),
        (("RUNNING", "STOPPED"), 503, {"claimed": None}, f"{HEAD}not ready, 3 connections"),
        (("RUNNING", "STOPPING"), 200, {}, f"{HEAD}ready{SINCE}; beside it frontend-b_0 stopping"),
    ],
)
def test_status_of_a_slot(states: tuple[str, str], status: int, facts: dict[str, object], expected: str) -> None:
    body = json.dumps({**FACTS, **facts})
    assert describe_slot(0, programs(*states), 10, status, body) == expected


def test_status_of_a_slot_that_nobody_serves() -> None:
    said = describe_slot(0, programs("FATAL", "STOPPED"), None, 0, "Connection refused")
    assert said == "slot 0: nobody answers (Connection refused); frontend-a_0 fatal"
