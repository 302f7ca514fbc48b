"""The guard: a supervisord event listener for what supervisord itself does not see.

- A frontend that holds a slot and does not answer on its control socket for 10 s is killed; supervisord starts
  another.
- A slot whose two programs have both ended (somebody drained the only one) gets one of them back.
- A program that failed for good (FATAL) ends the container, so that the engine starts it afresh, unless the other
  program of its slot serves: then it was a new release that failed, and the old one must not die with it.

`decide_kills`, `decide_starts` and `is_fatal_for_all` are the policy, pure and tested as tables; `Guard` carries
it out.
What it refuses to know: HTTP requests, nginx, the database. A slow database is no reason to kill a frontend.
"""

import os
import signal
import sys
import time
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from xmlrpc.client import Fault

import control

SILENCE_S = 10.0
PING_TIMEOUT_S = 2.0
_ENDED = {"EXITED", "STOPPED"}
_ALIVE = {"STARTING", "RUNNING", "BACKOFF"}


@dataclass(frozen=True)
class Ping:
    """What a slot's control socket gave: the listener's process id (None: nobody), and whether it answered."""

    slot: int
    pid: int | None
    is_answered: bool


def decide_kills(pings: list[Ping], heard_s: Mapping[int, float], now_s: float) -> list[int]:
    """Process ids of the frontends silent for SILENCE_S seconds; `heard_s`: when each was last heard or first seen."""
    return [
        ping.pid
        for ping in pings
        if ping.pid is not None and not ping.is_answered and now_s - heard_s.get(ping.pid, now_s) >= SILENCE_S
    ]


def decide_starts(states: Mapping[str, str], slots: int) -> list[str]:
    """Names of the programs to start: the first of each slot whose two programs have both ended without failing."""
    starts = []
    for slot in range(slots):
        pair = [f"frontend-{half}:frontend-{half}_{slot}" for half in "ab"]
        if all(states.get(name) in _ENDED for name in pair):
            starts.append(pair[0])
    return starts


def find_sibling(name: str) -> str | None:
    """The other program of the slot, `frontend-a:frontend-a_3` of `frontend-b:frontend-b_3`; None if it has none."""
    if name.startswith("frontend-a:"):
        return name.replace("frontend-a", "frontend-b")
    if name.startswith("frontend-b:"):
        return name.replace("frontend-b", "frontend-a")
    return None


def is_fatal_for_all(name: str, states: Mapping[str, str]) -> bool:
    """True if the container cannot go on without the program that failed for good."""
    sibling = find_sibling(name)
    return sibling is None or states.get(sibling) not in _ALIVE


@dataclass
class Guard:
    """Carries the policy out, once per event."""

    slots: int
    heard_s: dict[int, float] = field(default_factory=dict)

    def tick(self) -> None:
        """Ping every slot, kill the silent, start the missing."""
        now_s = time.monotonic()
        with ThreadPoolExecutor(max_workers=min(self.slots, 16)) as pool:
            pings = list(pool.map(ping, range(self.slots)))
        for seen in pings:
            if seen.pid is not None and (seen.is_answered or seen.pid not in self.heard_s):
                self.heard_s[seen.pid] = now_s
        for pid in decide_kills(pings, self.heard_s, now_s):
            log(f"pid {pid} has not answered for {SILENCE_S:.0f} s: killing it")
            kill(pid, signal.SIGKILL)
        # A process that is gone is forgotten, or its number would carry an old date when it comes again.
        self.heard_s = {pid: heard for pid, heard in self.heard_s.items() if any(seen.pid == pid for seen in pings)}
        for name in decide_starts(read_states(), self.slots):
            log(f"{name}: nobody serves its slot: starting it")
            control.supervisor().supervisor.startProcess(name, False)

    def fatal(self, name: str) -> None:
        """End the container if the failed program cannot be done without."""
        if is_fatal_for_all(name, read_states()):
            log(f"{name} failed for good: ending the container, so that the engine starts it afresh")
            kill(os.getppid(), signal.SIGTERM)
        else:
            log(f"{name} failed for good; the other program of its slot serves")


def ping(slot: int) -> Ping:
    """Who holds the slot, and whether it answers in time."""
    path = control.slot_socket(slot)
    pid = control.find_owner(path)
    if pid is None:
        return Ping(slot, None, False)
    try:
        control.ask(path, "GET", "/healthz", PING_TIMEOUT_S)
    except OSError:
        return Ping(slot, pid, False)
    return Ping(slot, pid, True)


def read_states() -> dict[str, str]:
    """State of every program by its full name."""
    return {
        f"{info['group']}:{info['name']}": str(info["statename"])
        for info in control.supervisor().supervisor.getAllProcessInfo()
    }


def kill(pid: int, number: signal.Signals) -> None:
    try:
        os.kill(pid, number)
    except ProcessLookupError:
        pass  # gone by itself meanwhile


def log(line: str) -> None:
    print(f"guard: {line}", file=sys.stderr, flush=True)


def parse_fields(line: str) -> dict[str, str]:
    """The fields of an event's header or payload: `a:1 b:2`."""
    return dict(word.split(":", 1) for word in line.split() if ":" in word)


def main() -> None:
    """Answer supervisord's events until it goes."""
    guard = Guard(int(Path(os.environ.get("FRONTENDS_DIR", "/run/frontends"), "slots").read_text()))
    while True:
        print("READY", flush=True)
        head = sys.stdin.readline()
        if not head:
            return
        fields = parse_fields(head)
        payload = parse_fields(sys.stdin.read(int(fields["len"])))
        try:
            if fields["eventname"] == "PROCESS_STATE_FATAL":
                guard.fatal(f"{payload['groupname']}:{payload['processname']}")
            else:
                guard.tick()
        except OSError as error:
            log(f"supervisord does not answer: {error}")
        except Fault as fault:  # it ends, and takes no more orders; we end with it
            log(f"supervisord refuses: {fault.faultString}")
        print("RESULT 2\nOK", end="", flush=True)


if __name__ == "__main__":
    main()
