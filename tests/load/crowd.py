"""10,000 idle connections and 10,000 waiting long polls on one frontend: what they cost it, and the others.

    python -m tests.load.crowd [--connections 10000]

Prints the bytes that the frontend holds for each idle connection and each waiting poll (PSS), what ordinary clients get
alone and beside them, and how long one event takes to all polls. Ends with exit 1 if an idle connection costs more than
2,048 bytes, a request costs a fifth more beside the crowd than alone, or the event needs more than two seconds. Both
processes need some more than 20,000 descriptors (`ulimit -n`), or fewer --connections.
"""

import argparse
import asyncio
import socket
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

from tests.benchmarks.clients import raise_file_limit, wait_together
from tests.benchmarks.servers import Server
from tests.load import beside
from tests.load.asking import Rate, ask_for, run

MOST_IDLE_BYTES = 2048
MOST_SLOWDOWN = 1.2
MOST_FAN_OUT_S = 2.0


@dataclass(frozen=True)
class Crowd:
    """Bytes for each, rates alone (before and after) and beside, and what the event took until the last answer."""

    idle_bytes: float
    poll_bytes: float
    alone: tuple[Rate, Rate]
    beside_idle: Rate
    beside_all: Rate
    fan_out_s: float
    fan_out_cpu_us: float
    recovery: beside.Recovery

    @property
    def slowdown(self) -> float:
        """CPU per request beside the crowd, as a multiple of alone."""
        return 2 * self.beside_all.cpu_us / sum(rate.cpu_us for rate in self.alone)

    @property
    def faults(self) -> list[str]:
        """What is not as it must be."""
        found = []
        if self.idle_bytes > MOST_IDLE_BYTES:
            found.append(f"{self.idle_bytes:.0f} bytes for an idle connection")
        if self.slowdown > MOST_SLOWDOWN:
            found.append(f"{self.slowdown:.2f} times the CPU for a request")
        if self.fan_out_s > MOST_FAN_OUT_S:
            found.append(f"{self.fan_out_s:.2f} s to all polls")
        return found


def hold_idle(server: Server, count: int) -> list[socket.socket]:
    """That many connections, each after one answered request."""
    held = []
    for _ in range(count):
        # From another address than all others, for an address has 28,000 ports.
        held.append(socket.create_connection(("127.0.0.1", server.command.port), 10, ("127.0.0.3", 0)))
        beside.ask(held[-1])
    return held


async def gather(server: Server, connections: int, seconds: float) -> Crowd:
    """The crowd comes, waits, and leaves; ordinary clients ask for `seconds` before, beside and behind it."""
    await ask_for(server, min(seconds, 1.0))
    before = await ask_for(server, seconds)
    start, descriptors = beside.memory_of(server), beside.descriptors_of(server)
    idle = hold_idle(server, connections)
    held = beside.memory_of(server)
    beside_idle = await ask_for(server, seconds)
    try:
        start_polls = beside.memory_of(server)
        polls = await wait_together("127.0.0.1", server.command.port, connections)
        held_polls = beside.memory_of(server)
        beside_all = await ask_for(server, seconds)
        cpu_s = server.usage().cpu_s
        outcome = await polls.wake()
        fan_out_cpu_us = (server.usage().cpu_s - cpu_s) / connections * 1e6
        polls.close()
    finally:
        for connection in idle:
            connection.close()
    # What it costs that all of them leave is no part of what others get when they have left.
    recovery = await asyncio.to_thread(beside.wait_until_back, server, descriptors)
    after = await ask_for(server, seconds)
    per_idle, per_poll = (held - start) / connections, (held_polls - start_polls) / connections
    return Crowd(
        per_idle, per_poll, (before, after), beside_idle, beside_all, outcome.seconds, fan_out_cpu_us, recovery
    )


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.load.crowd")
    parser.add_argument("--connections", type=int, default=10_000, help="idle ones, and polls")
    parser.add_argument("--seconds", type=float, default=5, help="for each rate")
    options = parser.parse_args()
    raise_file_limit()
    with tempfile.TemporaryDirectory(prefix="crowd") as name, beside.frontend(Path(name)) as server:
        crowd = run(gather(server, options.connections, options.seconds))
    print(f"alone, before: {crowd.alone[0]}")
    print(f"beside {options.connections:,} idle connections: {crowd.beside_idle}")
    print(f"beside those and as many waiting long polls: {crowd.beside_all}")
    print(f"alone, after: {crowd.alone[1]}; {crowd.recovery}")
    print(f"{crowd.idle_bytes:,.0f} bytes for an idle connection, {crowd.poll_bytes:,.0f} for a waiting long poll")
    print(f"one event to all of them: {crowd.fan_out_s:.2f} s, {crowd.fan_out_cpu_us:.0f} us of CPU each")
    if crowd.faults:
        sys.exit("\n".join(crowd.faults))


if __name__ == "__main__":
    main()
