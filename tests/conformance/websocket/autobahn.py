"""Autobahn's fuzzing client and server against both sides of our websockets.

    python -m tests.conformance.websocket.autobahn --wstest PATH [--cases 1.* 2.*] [--side server] [--minutes 60]

`wstest` is in PyPI's autobahntestsuite, which needs Python 2.7 (`python2.7 -m pip install virtualenv`, then in such an
environment `pip install autobahntestsuite`): it is no part of `make test` for that. Prints how many cases behaved how,
and those that failed: every case must be OK, NON-STRICT or INFORMATIONAL. Sections 12 and 13, about compression, take
most of the time.
"""

import argparse
import asyncio
import contextlib
import json
import subprocess
import sys
import tempfile
from collections import Counter
from pathlib import Path

from framework.ioloop import new_event_loop
from framework.web import Application
from framework.websocket import WebSocketError, WebSocketHandler, websocket_connect
from tests.support.front import free_port, wait_for_port

GOOD = frozenset(("OK", "NON-STRICT", "INFORMATIONAL"))
MOST_BYTES = 64 * 1024 * 1024  # cases of section 9 send messages of 16 MB


class Echo(WebSocketHandler):
    """Says what it is told, compressed if the client offers it."""

    def get_compression_options(self):
        return {"compression_level": 1}

    async def on_message(self, message):
        await self.write_message(message)


def make_application():
    return Application([("/", Echo)], websocket_max_message_size=MOST_BYTES, log_function=lambda handler: None)


async def serve(port):
    """The echo server, until it is ended."""
    make_application().listen(port, "127.0.0.1")
    await asyncio.Event().wait()


async def echo_cases(port):
    """Our client, through all cases of a fuzzing server."""
    at = f"ws://127.0.0.1:{port}"
    options = {"compression_options": {}, "max_message_size": MOST_BYTES}
    connection = await websocket_connect(f"{at}/getCaseCount", **options)
    count = int(await connection.read_message())
    for number in range(1, count + 1):
        with contextlib.suppress(WebSocketError, OSError):
            connection = await websocket_connect(f"{at}/runCase?case={number}&agent=squall", **options)
            while (message := await connection.read_message()) is not None:
                await connection.write_message(message, binary=isinstance(message, bytes))
    connection = await websocket_connect(f"{at}/updateReports?agent=squall", **options)
    await connection.read_message()


def judge(index):
    """How many cases behaved and closed how, and those that failed, from Autobahn's index.json."""
    counts, failed = Counter(), []
    for cases in index.values():
        for name, case in cases.items():
            counts[case["behavior"]] += 1
            if case["behavior"] not in GOOD or case["behaviorClose"] not in GOOD:
                failed.append(f"{name}: {case['behavior']}, close {case['behaviorClose']}")
    return counts, sorted(failed)


def run_server_side(wstest, cases, folder, seconds):
    """Autobahn's client against our server."""
    port = free_port()
    command = [sys.executable, "-m", "tests.conformance.websocket.autobahn", "--serve", str(port)]
    with subprocess.Popen(command) as process:
        try:
            wait_for_port(port)
            spec = {
                "outdir": str(folder),
                "servers": [{"agent": "squall", "url": f"ws://127.0.0.1:{port}/", "options": {"version": 18}}],
                "cases": cases,
                "exclude-cases": [],
                "exclude-agent-cases": {},
            }
            (folder / "spec.json").write_text(json.dumps(spec))
            fuzz(wstest, "fuzzingclient", folder, seconds)
        finally:
            process.kill()


def run_client_side(wstest, cases, folder, seconds):
    """Our client against Autobahn's server."""
    port = free_port()
    spec = {
        "url": f"ws://127.0.0.1:{port}",
        "outdir": str(folder),
        "cases": cases,
        "exclude-cases": [],
        "exclude-agent-cases": {},
    }
    (folder / "spec.json").write_text(json.dumps(spec))
    # Without a page of its own, which would always be on port 8080.
    command = [wstest, "-m", "fuzzingserver", "-s", str(folder / "spec.json"), "-u", "0"]
    with subprocess.Popen(command, cwd=folder) as process:
        try:
            wait_for_port(port)
            run_on_our_loop(asyncio.wait_for(echo_cases(port), seconds))
        finally:
            process.terminate()


def run_on_our_loop(work):
    """As asyncio.run, on the loop that frontends run on."""
    with asyncio.Runner(loop_factory=new_event_loop) as runner:
        runner.run(work)


def fuzz(wstest, mode, folder, seconds):
    subprocess.run([wstest, "-m", mode, "-s", str(folder / "spec.json")], cwd=folder, timeout=seconds, check=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--wstest", default="wstest", help="Autobahn's program")
    parser.add_argument("--cases", nargs="+", default=["*"], help="patterns of case numbers")
    parser.add_argument("--side", choices=("server", "client"), default="server", help="which side of ours is tested")
    parser.add_argument("--minutes", type=float, default=60, help="give up after this long")
    parser.add_argument("--serve", type=int, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.serve:
        run_on_our_loop(serve(given.serve))
        return
    with tempfile.TemporaryDirectory(prefix="autobahn") as name:
        run = run_server_side if given.side == "server" else run_client_side
        run(given.wstest, given.cases, Path(name), given.minutes * 60)
        counts, failed = judge(json.loads((Path(name) / "index.json").read_text()))
    print(f"{given.side}: {sum(counts.values())} cases: {dict(counts)}")
    if failed:
        sys.exit("\n".join(failed))


if __name__ == "__main__":
    main()
