"""What a frontend does next, and what a roll does next: pure functions of what has been seen."""

from enum import StrEnum


class State(StrEnum):
    """Where a frontend stands. The path points at it in CLAIMED only."""

    WARMING = "warming"  # imports, templates, a database ping; not ready
    READY = "ready"  # warm, may claim
    CLAIMED = "claimed"  # its socket has the slot's name
    DRAINING = "draining"  # released; what is open is being answered
    PARKED = "parked"  # drained and warm, may claim again
    STOPPED = "stopped"  # drained and on its way out


MAY_CLAIM = frozenset({State.READY, State.CLAIMED, State.DRAINING, State.PARKED})


class Seen(StrEnum):
    """What a look at the slot's path asks for."""

    KEEP = "keep"
    RELEASE = "release"
    RECLAIM = "reclaim"


Identity = tuple[int, int]
"""(device, inode) of a socket file. The inode is not used again while its socket is open."""


def on_path_seen(state: State, own: Identity | None, found: Identity | None, missing_before: bool) -> Seen:
    """What to do after a look at the path; `found` is None when there is no such file.

    A path that is missing twice in a row was deleted, by a hand or a cleaner, and nobody can connect: claim it again.
    Once is not enough, somebody may just be rearranging.
    """
    if state is not State.CLAIMED or own == found:
        return Seen.KEEP
    if found is not None:
        return Seen.RELEASE
    return Seen.RECLAIM if missing_before else Seen.KEEP


class Drained(StrEnum):
    """What becomes of a frontend that has drained."""

    EXIT = "exit"
    PARK = "park"


def after_drain(is_stopping: bool, own_release: str, successor_release: str | None, park_s: float) -> Drained:
    """Stay warm only where a rollback could want it: another release has taken over, and nobody asked for a stop.

    After a roll of the same release there is nothing to go back to; without a known release (development) neither.
    """
    if is_stopping or park_s <= 0 or successor_release is None or successor_release == own_release:
        return Drained.EXIT
    return Drained.PARK


class RollStep(StrEnum):
    """What a roll of one slot does next."""

    START = "start the new one"
    WAIT_READY = "wait until the new one is ready"
    CLAIM = "let the new one claim"
    RELEASE = "release the old one"
    WAIT_DRAINED = "wait until the old one has drained"
    STOP_NEW = "stop the new one and leave the slot as it is"
    DONE = "done"


def next_roll_step(old: State | None, new: State | None, waited_s: float, limit_s: float) -> RollStep:
    """What replacing the frontend of one slot does next, from the states of both; None: not there.

    The old one is released only after the new one has claimed, so the slot's name is never without a live listener. A
    new one that is not ready within `limit_s` is given up, and nothing has changed.
    """
    if new is State.CLAIMED:
        if old is State.CLAIMED:
            return RollStep.RELEASE
        return RollStep.WAIT_DRAINED if old is State.DRAINING else RollStep.DONE
    if waited_s > limit_s:
        return RollStep.STOP_NEW
    if new is None:
        return RollStep.START
    if new in (State.READY, State.PARKED):
        return RollStep.CLAIM
    return RollStep.WAIT_READY
