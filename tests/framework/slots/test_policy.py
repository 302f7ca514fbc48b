"""What a frontend and a roll do next, as tables."""

import pytest

from framework.slots.policy import Drained, RollStep, Seen, State, after_drain, next_roll_step, on_path_seen

OWN, OTHER = (1, 10), (1, 11)


@pytest.mark.parametrize(
    ("state", "found", "missing_before", "seen"),
    [
        (State.CLAIMED, OWN, False, Seen.KEEP),
        (State.CLAIMED, OTHER, False, Seen.RELEASE),
        (State.CLAIMED, None, False, Seen.KEEP),
        (State.CLAIMED, None, True, Seen.RECLAIM),
        (State.DRAINING, OTHER, False, Seen.KEEP),
        (State.PARKED, None, True, Seen.KEEP),
    ],
)
def test_on_path_seen(state: State, found: tuple[int, int] | None, missing_before: bool, seen: Seen) -> None:
    assert on_path_seen(state, OWN, found, missing_before) is seen


@pytest.mark.parametrize(
    ("is_stopping", "own", "successor", "park_s", "decision"),
    [
        (False, "1", "2", 300.0, Drained.PARK),
        (False, "1", "1", 300.0, Drained.EXIT),
        (False, "1", None, 300.0, Drained.EXIT),
        (False, "1", "2", 0.0, Drained.EXIT),
        (True, "1", "2", 300.0, Drained.EXIT),
    ],
)
def test_after_drain(is_stopping: bool, own: str, successor: str | None, park_s: float, decision: Drained) -> None:
    assert after_drain(is_stopping, own, successor, park_s) is decision


@pytest.mark.parametrize(
    ("old", "new", "waited_s", "step"),
    [
        (State.CLAIMED, None, 0, RollStep.START),
        (State.CLAIMED, State.WARMING, 1, RollStep.WAIT_READY),
        (State.CLAIMED, State.READY, 1, RollStep.CLAIM),
        (State.CLAIMED, State.CLAIMED, 1, RollStep.RELEASE),
        (State.DRAINING, State.CLAIMED, 1, RollStep.WAIT_DRAINED),
        (State.PARKED, State.CLAIMED, 1, RollStep.DONE),
        (None, State.CLAIMED, 1, RollStep.DONE),
        (State.CLAIMED, State.WARMING, 61, RollStep.STOP_NEW),
        (State.CLAIMED, State.PARKED, 1, RollStep.CLAIM),
    ],
)
def test_next_roll_step(old: State | None, new: State | None, waited_s: float, step: RollStep) -> None:
    assert next_roll_step(old, new, waited_s, 60) is step
