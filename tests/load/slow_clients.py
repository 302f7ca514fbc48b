"""slowhttptest's three attacks, 4,000 connections each, and what ordinary clients see meanwhile.

    python -m tests.load.slow_clients [heads] [bodies] [reading] [--seconds 30] [--through nginx]

Needs `slowhttptest` (Debian's package). Slow heads (slowloris), slow bodies, slow reading, against one frontend by TCP,
or against the configured nginx before one; a tenth of the connections comes each second. Prints for each what a polite
client saw, and what it cost the frontend. Ends with exit 1 if the p99 is 100 ms or more, a request failed, or the
frontend grew by 60 MB or more (4,000 files under way are 13 KB each).
"""

import argparse
import contextlib
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from tests.benchmarks.clients import raise_file_limit
from tests.benchmarks.servers import Command, Server
from tests.load import beside
from tests.support.front import draw, free_port, wait_for_port

MOST_P99_MS = 100.0
MOST_GROWTH_MB = 60.0
ATTACKS = {
    "heads": ("-H", "-i", "5"),
    "bodies": ("-B", "-i", "5", "-s", "100000"),
    # Windows of a few bytes, and some bytes each five seconds.
    "reading": ("-X", "-w", "10", "-y", "20", "-n", "5", "-z", "32", "-k", "3"),
}
TARGETS = {"heads": "/", "bodies": "/post", "reading": "/static/big.bin"}


@contextlib.contextmanager
def before_nginx(folder: Path) -> Iterator[tuple[Server, int]]:
    """A frontend on a slot's socket and the port of the configured nginx before it."""
    port = free_port()
    drawn = draw(folder, NGINX_LISTEN=f"127.0.0.1:{port}", SLOTS="1")
    if drawn.returncode:
        raise RuntimeError(drawn.stderr)
    path = str(folder / "frontends" / "0.sock")
    python = [sys.executable, "-m", "tests.load.served", "--unix", path]
    (folder / "big.bin").write_bytes(bytes(1 << 20))
    frontend = Command("frontend", python, port, path, {"BENCH_STATIC": str(folder), "BENCH_ROUTES": "1"}, 0)
    # Root's workers would run as nobody, who may not enter the folder.
    user = "user root;" if os.getuid() == 0 else ""
    nginx = ["nginx", "-c", str(folder / "source/nginx.conf"), "-g", f"daemon off; {user}"]
    with Server(frontend, folder) as server, subprocess.Popen(nginx, stderr=subprocess.DEVNULL) as process:
        try:
            wait_for_port(port)
            yield server, port
        finally:
            process.terminate()


def attack(
    server: Server, port: int, name: str, connections: int, seconds: float
) -> tuple[beside.Manners, beside.MemoryWatch]:
    """What a polite client saw beside the attack, and what it cost the frontend."""
    options = ["-c", str(connections), "-r", str(connections // 10), "-l", str(int(seconds) + 5), "-p", "5"]
    options += ["-t", "POST" if name == "bodies" else "GET"]
    command = ["slowhttptest", *ATTACKS[name], *options, "-u", f"http://127.0.0.1:{port}{TARGETS[name]}"]
    beside.be_polite(port, 0.5)
    with beside.MemoryWatch(server) as watch:
        attackers = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        try:
            time.sleep(1)
            manners = beside.be_polite(port, seconds)
        finally:
            attackers.terminate()
            attackers.wait()
    return manners, watch


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.load.slow_clients")
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"of {', '.join(ATTACKS)}; all without")
    parser.add_argument("--connections", type=int, default=4000)
    parser.add_argument("--seconds", type=float, default=30, help="for each attack")
    parser.add_argument("--through", choices=("nginx",), help="attack the nginx before the frontend")
    options = parser.parse_args()
    raise_file_limit()
    faults = []
    for name in options.names or ATTACKS:
        with tempfile.TemporaryDirectory(prefix="slow") as folder, contextlib.ExitStack() as stack:
            if options.through:
                server, port = stack.enter_context(before_nginx(Path(folder)))
            else:
                server = stack.enter_context(beside.frontend(Path(folder)))
                port = server.command.port
            manners, watch = attack(server, port, name, options.connections, options.seconds)
            descriptors = beside.descriptors_of(server)
        print(f"slow {name}: {manners}; {watch}; {descriptors} descriptors at the end", flush=True)
        if manners.p99_ms >= MOST_P99_MS or manners.errors or watch.grown_mb >= MOST_GROWTH_MB:
            faults.append(name)
    if faults:
        sys.exit(f"not as it should be: {', '.join(faults)}")


if __name__ == "__main__":
    main()
