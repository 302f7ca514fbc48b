"""appctl: replace, hold and show the frontends of this container. One verb each; --dry-run only says what it would do.

    roll      replace the process of every slot, one slot after the other, without losing a request
    hold      stop starting new requests; the kernel queues them
    resume    go on
    status    one line per slot
    health    exit 0 if every slot is served and ready (the container's health check)

Policy is pure (`decide_step`), and tested as a table; `roll` carries it out. What lost: `supervisorctl restart
group:*`, which stops all before it starts any.
"""

import argparse
import json
import os
import sys
import time
from dataclasses import dataclass
from pathlib import Path

import control
import statics

START_DEADLINE_S = 60.0
DRAIN_DEADLINE_S = float(os.environ.get("DRAIN_DEADLINE_S", "60")) + 15.0
STATIC_SOURCE, STATIC_STORE = Path("app/static"), Path("/srv/statics")
POLL_S = 0.05  # supervisord tells no one who is not its child; a twentieth of a second is never seen

_ALIVE = {"STARTING", "RUNNING", "BACKOFF", "STOPPING"}


class RollError(Exception):
    """The roll stopped; what served before still serves."""


@dataclass(frozen=True)
class Program:
    """One of the two programs of a slot, as supervisord sees it."""

    name: str
    state: str
    pid: int

    @property
    def is_alive(self) -> bool:
        return self.state in _ALIVE


@dataclass(frozen=True)
class Step:
    """What to do next in a slot: start `start`, after having stopped or seen off `clear` if it is named."""

    start: str
    clear: str | None = None


def decide_step(programs: tuple[Program, Program], owner_pid: int | None) -> Step:
    """The program to start so that the slot gets a new process, and the one that is in its way, if any.

    The one that serves is never in the way. One that lives without serving drains, or is parked by an earlier deploy.
    """
    first, second = programs
    is_second_serving = second.is_alive and (second.pid == owner_pid or not first.is_alive)
    idle = second if first.is_alive and not is_second_serving else first
    return Step(idle.name, idle.name if idle.is_alive else None)


def read_programs(slot: int) -> tuple[Program, Program]:
    """Both programs of the slot, as supervisord reports them now."""
    rpc = control.supervisor().supervisor
    found = [rpc.getProcessInfo(f"frontend-{half}:frontend-{half}_{slot}") for half in "ab"]
    first, second = (Program(f"{p['group']}:{p['name']}", str(p["statename"]), int(p["pid"])) for p in found)
    return first, second


def read_program(name: str) -> Program:
    """The named program, as supervisord reports it now."""
    info = control.supervisor().supervisor.getProcessInfo(name)
    return Program(name, str(info["statename"]), int(info["pid"]))


def count_slots() -> int:
    """Number of slots of this container, as the entrypoint chose it."""
    return int(Path(os.environ.get("FRONTENDS_DIR", "/run/frontends"), "slots").read_text())


def wait_until_gone(name: str, deadline_s: float) -> bool:
    """True once the program does not live any more; False if it still does after `deadline_s` seconds."""
    end = time.monotonic() + deadline_s
    while read_program(name).is_alive:
        if time.monotonic() > end:
            return False
        time.sleep(POLL_S)
    return True


def wait_for_claim(slot: int, name: str) -> int:
    """Process id of the program once it holds the slot.

    Raises:
        RollError: if it dies, or does not get ready in time.
    """
    end = time.monotonic() + START_DEADLINE_S
    while time.monotonic() < end:
        program = read_program(name)
        if program.state in {"FATAL", "BACKOFF", "EXITED"}:
            if program.state == "BACKOFF":
                control.supervisor().supervisor.stopProcess(name)
            raise RollError(f"slot {slot}: the new process does not start (see its log); the old one still serves")
        if program.pid and control.find_owner(control.slot_socket(slot)) == program.pid:
            return program.pid
        time.sleep(POLL_S)
    control.supervisor().supervisor.stopProcess(name)
    raise RollError(f"slot {slot}: no new process was ready in {START_DEADLINE_S:.0f} s; the old one still serves")


def roll_slot(slot: int, is_dry_run: bool) -> str | None:
    """Give the slot a new process; the name of the program that drains now, if there is one.

    Raises:
        RollError: if the new process does not come to serve.
    """
    owner = control.find_owner(control.slot_socket(slot))
    programs = read_programs(slot)
    step = decide_step(programs, owner)
    if is_dry_run:
        say(f"slot {slot}: would start {step.start}" + (f" after {step.clear} is gone" if step.clear else ""))
        return None
    if step.clear is not None and not wait_until_gone(step.clear, DRAIN_DEADLINE_S):
        control.supervisor().supervisor.stopProcess(step.clear)
    began = time.monotonic()
    control.supervisor().supervisor.startProcess(step.start, False)
    pid = wait_for_claim(slot, step.start)
    say(f"slot {slot}: pid {owner or '-'} -> {pid} in {time.monotonic() - began:.1f} s")
    return next((program.name for program in programs if program.name != step.start and program.is_alive), None)


def roll(is_dry_run: bool, is_waiting: bool) -> int:
    """Exit status of a roll over all slots."""
    if STATIC_SOURCE.is_dir() and not is_dry_run:
        # Before the first new process: its pages name files that nginx must have by then.
        statics.publish(STATIC_SOURCE, STATIC_STORE)
    draining = [roll_slot(slot, is_dry_run) for slot in range(count_slots())]
    if is_waiting:
        for name in filter(None, draining):
            if not wait_until_gone(name, DRAIN_DEADLINE_S):
                say(f"{name} still lives after its deadline; supervisord ends it")
                control.supervisor().supervisor.stopProcess(name)
    return 0


def tell_all(action: str, is_dry_run: bool) -> int:
    """Exit status of asking every slot for `action` (hold or resume)."""
    failures = 0
    for slot in range(count_slots()):
        if is_dry_run:
            say(f"slot {slot}: would {action}")
            continue
        try:
            status, body = control.ask(control.slot_socket(slot), "POST", f"/{action}")
        except OSError as error:
            status, body = 0, str(error)
        say(f"slot {slot}: {action} " + ("ok" if status == 200 else f"failed: {status} {body.strip()}"))
        failures += status != 200
    return 1 if failures else 0


def describe_slot(slot: int, programs: tuple[Program, Program], owner: int | None, status: int, body: str) -> str:
    """One line about a slot, from what its frontend answered to GET /ready: status 0 and a reason if it did not."""
    idle = [f"{program.name.split(':')[1]} {program.state.lower()}" for program in programs if program.pid != owner]
    beside = ", ".join(word for word in idle if not word.endswith((" stopped", " exited")))
    if not status:
        return f"slot {slot}: nobody answers ({body})" + (f"; {beside}" if beside else "")
    facts = json.loads(body)
    holder = next((program.name.split(":")[1] for program in programs if program.pid == owner), "another program")
    words = [f"{facts['state']} by {holder} (pid {facts['pid']})", f"release {facts['release']}"]
    words.append("held" if facts["held"] else "ready" if status == 200 else "not ready")
    words.append(f"{facts['connections']} connections")
    if facts.get("claimed"):
        words.append(f"since {time.strftime('%Y-%m-%d %H:%M:%S', time.gmtime(facts['claimed']))} UTC")
    return f"slot {slot}: " + ", ".join(words) + (f"; beside it {beside}" if beside else "")


def show_status() -> int:
    """Exit status 0; prints who holds each slot, and what that frontend says of itself."""
    for slot in range(count_slots()):
        try:
            status, body = control.ask(control.slot_socket(slot), "GET", "/ready")
        except OSError as error:
            status, body = 0, str(error)
        say(describe_slot(slot, read_programs(slot), control.find_owner(control.slot_socket(slot)), status, body))
    return 0


def check_health() -> int:
    """Exit status 0 if every slot is held by a process that answers; 1 and a sentence otherwise."""
    for slot in range(count_slots()):
        try:
            status, body = control.ask(control.slot_socket(slot), "GET", "/healthz")
        except OSError as error:
            say(f"slot {slot}: {error}")
            return 1
        if status != 200:
            say(f"slot {slot}: {status} {body.strip()[:200]}")
            return 1
    return 0


def say(line: str) -> None:
    print(line, flush=True)


def parse_arguments(arguments: list[str]) -> argparse.Namespace:
    """The verb and its flags; exits with usage if they are not understood."""
    parser = argparse.ArgumentParser(prog="appctl", description="Replace, hold, show the frontends of this container.")
    parser.add_argument("verb", choices=["roll", "hold", "resume", "status", "health"])
    parser.add_argument("--dry-run", action="store_true", help="only say what would be done")
    parser.add_argument("--no-wait", action="store_true", help="roll: do not wait until the old processes are gone")
    return parser.parse_args(arguments)


def main(arguments: list[str]) -> int:
    """Exit status of the verb."""
    asked = parse_arguments(arguments)
    try:
        if asked.verb == "roll":
            return roll(asked.dry_run, not asked.no_wait)
        if asked.verb in {"hold", "resume"}:
            return tell_all(asked.verb, asked.dry_run)
        return show_status() if asked.verb == "status" else check_health()
    except RollError as error:
        say(f"appctl: {error}")
    except OSError as error:
        say(f"appctl: supervisord does not answer: {error}")
    return 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
