"""Claim, release, park, hold, resume; the control socket. Why a deploy loses no request.

nginx knows a fixed list of names, `FRONTENDS_DIR/0.sock … N-1.sock`. Which process answers at a name is decided by the
frontends alone, and the name is never without one:

    claim     bind a private name, listen, rename() over `i.sock`: from that instant new connections come here
    release   go on accepting until nobody can still be on the way, close the listener, finish what is open
    park      stay warm afterwards: a rollback is a claim, without a boot
    hold      start no new request, let the kernel queue them; resume goes on (a restore, a blocking migration)

    policy    what to do, as pure functions: after a look at the path, after a drain, next in a roll
    hooks     who wants to know that the slot is released: long polls that end early, websockets that move
    slot      one process's part in one slot: its state, its listeners, its files
    control   the private socket that speaks HTTP, and how to ask it

Every claim is a server of its own (`make_server`), so that a process can claim again while it still drains: what was
accepted before and what comes now do not share a state.

What lost: passing descriptors (a process more, and nothing survives the container), SO_REUSEPORT (the kernel resets the
handshakes of a listener that closes), reloading nginx (it closes idle connections: 47 of 1290 requests, measured).
"""

from framework.slots.control import Answer, ControlApplication, ask
from framework.slots.hooks import is_releasing, on_release
from framework.slots.policy import Drained, RollStep, Seen, State, after_drain, next_roll_step, on_path_seen
from framework.slots.slot import Server, Slot, SlotError, SlotSettings, sweep

__all__ = [
    "Answer",
    "ControlApplication",
    "Drained",
    "RollStep",
    "Seen",
    "Server",
    "Slot",
    "SlotError",
    "SlotSettings",
    "State",
    "after_drain",
    "ask",
    "is_releasing",
    "next_roll_step",
    "on_path_seen",
    "on_release",
    "sweep",
]
