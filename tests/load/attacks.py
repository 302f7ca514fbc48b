"""A polite client beside each attack that other servers fail: its p99, the server's memory, and how it comes back.

    python -m tests.load.attacks [NAME ...] [--seconds 10]

Prints a line for each attack: what the polite client saw, how much the server grew, and how long it took after the
attack until a new connection was answered, and until all descriptors were back (what the attackers have sent is read
first, and the kernel may hold hundreds of megabytes of it). Ends with exit 1 if the p99 is 100 ms or more, a request
failed, it grew by 20 MB or more, a new connection had to wait for 2 s, or descriptors were missing after a minute.
"""

import argparse
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

from tests.benchmarks.clients import raise_file_limit
from tests.benchmarks.servers import ROOT, Server
from tests.load import beside
from tests.load.attackers import ATTACKS

MOST_P99_MS = 100.0
MOST_GROWTH_MB = 20.0
MOST_RECOVERY_S = 2.0
DESCRIPTORS = 1024  # less than `idle` has connections


@dataclass(frozen=True)
class Outcome:
    """What became of a server beside an attack."""

    name: str
    manners: beside.Manners
    watch: beside.MemoryWatch
    recovery: beside.Recovery

    @property
    def faults(self) -> list[str]:
        """What is not as it must be."""
        found = []
        if self.manners.p99_ms >= MOST_P99_MS:
            found.append(f"p99 {self.manners.p99_ms:.0f} ms")
        if self.manners.errors:
            found.append(f"{self.manners.errors} errors")
        if self.watch.grown_mb >= MOST_GROWTH_MB:
            found.append(f"grown by {self.watch.grown_mb:.0f} MB")
        if self.recovery.answered_s >= MOST_RECOVERY_S:
            found.append(f"a new connection waited for {self.recovery.answered_s:.1f} s")
        if not self.recovery.is_complete:
            found.append("descriptors are missing")
        return found

    def __str__(self) -> str:
        return f"{self.name}: {self.manners}; {self.watch}; {self.recovery}"


def attack(server: Server, name: str, seconds: float, connections: int = 0) -> Outcome:
    """What a polite client sees beside the attack, after a second for the attackers to begin."""
    port = server.command.port
    beside.be_polite(port, 0.5)
    descriptors = beside.descriptors_of(server)
    command = [sys.executable, "-m", "tests.load.attackers", name, str(port)]
    with beside.MemoryWatch(server) as watch:
        attackers = subprocess.Popen([*command, str(connections or ATTACKS[name].connections)], cwd=ROOT)
        try:
            time.sleep(min(1.0, seconds))
            manners = beside.be_polite(port, seconds)
            assert attackers.poll() is None, f"{name}: the attackers have ended"
        finally:
            attackers.kill()
            attackers.wait()
        recovery = beside.wait_until_back(server, descriptors)
    return Outcome(name, manners, watch, recovery)


def exhaust(server: Server, connections: int) -> Outcome:
    """What happens when the process may have fewer descriptors than it thought: who is connected is served on, nothing
    spins, and it comes back when there are some again.
    """
    port = server.command.port
    with beside.connect(port) as kept:
        beside.ask(kept)
        descriptors = beside.descriptors_of(server)
        subprocess.run(["prlimit", f"--pid={server.pid}", f"--nofile={descriptors + 20}:"], check=True)
        held = []
        with beside.MemoryWatch(server) as watch:
            times = []
            cpu_s = server.usage().cpu_s
            for _ in range(connections):
                held.append(beside.connect(port))
            for _ in range(200):
                began = time.perf_counter()
                beside.ask(kept)
                times.append(time.perf_counter() - began)
                time.sleep(beside.EVERY_S)
            cpu_s = server.usage().cpu_s - cpu_s
            for connection in held:
                connection.close()
            recovery = beside.wait_until_back(server, descriptors)
    subprocess.run(["prlimit", f"--pid={server.pid}", f"--nofile={DESCRIPTORS}:"], check=True)
    times.sort()
    manners = beside.Manners(len(times), 0, times[100] * 1e3, times[198] * 1e3, times[-1] * 1e3)
    print(f"exhausted: {cpu_s:.2f} s of CPU for {sum(times) + 200 * beside.EVERY_S:.1f} s without descriptors")
    return Outcome("exhausted", manners, watch, recovery)


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.load.attacks")
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"of {', '.join(ATTACKS)}, exhausted; all without")
    parser.add_argument("--seconds", type=float, default=10, help="for each")
    options = parser.parse_args()
    raise_file_limit()
    faults = []
    with tempfile.TemporaryDirectory(prefix="attacks") as name:
        for each in options.names or [*ATTACKS, "exhausted"]:
            with beside.frontend(Path(name), DESCRIPTORS) as server:
                outcome = exhaust(server, 200) if each == "exhausted" else attack(server, each, options.seconds)
            print(outcome, flush=True)
            faults += [f"{each}: {fault}" for fault in outcome.faults]
    if faults:
        sys.exit("\n".join(faults))


if __name__ == "__main__":
    main()
