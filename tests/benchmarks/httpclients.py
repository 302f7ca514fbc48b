"""Our client beside aiohttp's: `python -m tests.benchmarks.httpclients` fetches the same small answers with both.

Each client runs in a process of its own, several times in turn, so that neither profits from a warm or a quiet
machine. What counts is the ratio of the best rounds; a server of ours in a third process answers both.
"""

import argparse
import asyncio
import json
import subprocess
import sys
import time

import aiohttp
import uvloop

from framework.httpclient import AsyncHTTPClient
from tests.support.serve import server_process


async def fetch_ours(url: str, count: int, concurrency: int) -> None:
    client = AsyncHTTPClient(force_instance=True, max_clients=concurrency)

    async def run(share: int) -> None:
        for _ in range(share):
            response = await client.fetch(url)
            assert response.body == b"Hello, world"

    await asyncio.gather(*[run(count // concurrency) for _ in range(concurrency)])
    client.close()


async def fetch_aiohttp(url: str, count: int, concurrency: int) -> None:
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=concurrency)) as session:

        async def run(share: int) -> None:
            for _ in range(share):
                async with session.get(url) as response:
                    assert await response.read() == b"Hello, world"

        await asyncio.gather(*[run(count // concurrency) for _ in range(concurrency)])


CLIENTS = {"ours": fetch_ours, "aiohttp": fetch_aiohttp}


def measure(name: str, url: str, count: int, concurrency: int) -> dict[str, float]:
    """Seconds of wall time and of processor time that this process takes for all requests."""
    uvloop.run(CLIENTS[name](url, concurrency, concurrency))  # imports and caches are not what is measured
    wall_s, cpu_s = time.perf_counter(), time.process_time()
    uvloop.run(CLIENTS[name](url, count, concurrency))
    return {"wall_s": time.perf_counter() - wall_s, "cpu_s": time.process_time() - cpu_s}


def run_round(name: str, options: argparse.Namespace, port: int) -> dict[str, float]:
    """What `measure` says, in a new process."""
    arguments = [f"--only={name}", f"--port={port}", f"--count={options.count}", f"--concurrency={options.concurrency}"]
    command = [sys.executable, "-m", "tests.benchmarks.httpclients", *arguments]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    return dict(json.loads(done.stdout))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--count", type=int, default=20_000)
    parser.add_argument("--concurrency", type=int, default=50)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--only", choices=CLIENTS)
    parser.add_argument("--port", type=int)
    options = parser.parse_args()
    if options.only:
        url = f"http://127.0.0.1:{options.port}/"
        print(json.dumps(measure(options.only, url, options.count, options.concurrency)))
        return
    best: dict[str, dict[str, float]] = {}
    with server_process() as server:
        for _ in range(options.rounds):
            for name in CLIENTS:
                round_ = run_round(name, options, server.port)
                held = best.setdefault(name, round_)
                best[name] = {unit: min(held[unit], round_[unit]) for unit in round_}
    for name, times in best.items():
        per_request = {unit: times[unit] / options.count * 1e6 for unit in times}
        print(f"{name:8} wall {per_request['wall_s']:6.1f} µs  processor {per_request['cpu_s']:6.1f} µs  a request")
    for unit in ("wall_s", "cpu_s"):
        print(f"ours / aiohttp, {unit}: {best['ours'][unit] / best['aiohttp'][unit]:.2f}")


if __name__ == "__main__":
    main()
