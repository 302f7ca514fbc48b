"""The load generators, `ab` and `wrk`: their command lines, and what their output says."""

import re
import resource
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

from tests.benchmarks.accounting import Usage

SCRIPTS = Path(__file__).parent / "scripts"


class LoadError(Exception):
    """A load generator failed, or said something else than what it always says."""


@dataclass(frozen=True)
class Load:
    """One way to ask: by which tool, on how many connections; `requests` in place of a duration is for ab alone."""

    name: str
    tool: str
    connections: int
    is_kept: bool = True
    script: str = ""
    title: str = ""
    requests: int = 0


LOADS = {
    load.name: load
    for load in (
        Load("ab", "ab", 25, is_kept=False, title="ab -c 25, a connection for each request"),
        Load("ab-k", "ab", 25, title="ab -k -c 25"),
        Load("wrk25", "wrk", 25, title="wrk -c 25"),
        Load("wrk256", "wrk", 256, title="wrk -c 256"),
        Load("browser", "wrk", 25, script="browser.lua", title="wrk -c 25, ten headers of a browser, one differs"),
        Load("pipelined", "wrk", 25, script="pipelined.lua", title="wrk -c 25, 16 requests at once"),
        Load("numbered", "wrk", 25, script="numbered.lua", title="wrk -c 25, another target each time"),
        Load("echo", "websocket", 25, title="25 websockets"),
        Load("fan-out", "long-poll", 5000, title="5,000 long polls"),
        Load("crowd", "long-poll", 10_000, title="10,000 long polls"),
        Load("ab-100k", "ab", 25, is_kept=False, title="ab -n 100000 -c 25, once", requests=100_000),
    )
}


@dataclass(frozen=True)
class Target:
    """What to ask for. `body` is a file to POST."""

    url: str
    headers: Mapping[str, str] = field(default_factory=dict)
    body: Path | None = None


@dataclass(frozen=True)
class Outcome:
    """What a load generator counted, and its own CPU time. The server's is added by whoever watched it."""

    requests: int
    seconds: float
    failed: int
    p50_ms: float
    p99_ms: float
    cpu_s: float = 0.0
    system_s: float = 0.0
    load_cpu_s: float = 0.0
    # The part of it in which the machine was quiet, where somebody looked; 0: the CPU time is that of all of it.
    quiet: float | None = None

    @property
    def rate(self) -> float:
        """Requests per second."""
        return self.requests / self.seconds if self.seconds else 0.0

    @property
    def cpu_us(self) -> float:
        """Microseconds of the server's CPU time for one request."""
        return self.per_request_us(self.cpu_s)

    def per_request_us(self, seconds: float) -> float:
        """Microseconds for one request, of what all took together."""
        return seconds / self.requests * 1e6 if self.requests else 0.0

    def with_cpu(self, usage: Usage) -> "Outcome":
        """The same, with the CPU time that the server took."""
        return replace(self, cpu_s=usage.cpu_s, system_s=usage.system_s)


def format_command(load: Load, target: Target, seconds: float) -> list[str]:
    """The command line."""
    headers = [f"{name}: {value}" for name, value in target.headers.items()]
    if load.tool == "ab":
        # -t alone would stop at 50,000 requests.
        for_a_time = ["-t", f"{max(1, round(seconds))}", "-n", "100000000"]
        amount = ["-n", str(load.requests)] if load.requests else for_a_time
        post = ["-p", str(target.body), "-T", "application/octet-stream"] if target.body else []
        kept = ["-k"] if load.is_kept else []
        fields = [part for header in headers for part in ("-H", header)]
        return ["ab", "-q", "-r", *kept, "-c", str(load.connections), *amount, *post, *fields, target.url]
    script = "post.lua" if target.body else load.script
    scripts = ["-s", str(SCRIPTS / script)] if script else []
    fields = [part for header in headers for part in ("-H", header)]
    wrk = ["wrk", "-t", "1", "-c", str(load.connections), "-d", f"{max(1, round(seconds))}s", "--latency", *scripts]
    return [*wrk, *fields, target.url, *(["--", str(target.body)] if target.body else [])]


def run(load: Load, target: Target, seconds: float) -> Outcome:
    """The outcome of one load.

    Raises:
        LoadError: the tool failed, or can't be understood, or nothing was answered.
    """
    command = format_command(load, target, seconds)
    limit_s = 600 if load.requests else seconds + 60
    before_s = _measure_children()
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=limit_s)
    except (OSError, subprocess.TimeoutExpired) as error:
        raise LoadError(f"{load.tool}: {error}") from error
    if done.returncode:
        raise LoadError(f"{load.tool}: exit {done.returncode}: {(done.stdout + done.stderr).strip()[-400:]}")
    outcome = parse_ab(done.stdout) if load.tool == "ab" else parse_wrk(done.stdout)
    # A server that is gone refuses connections faster than any server answers: that is no figure.
    if outcome.failed >= outcome.requests:
        raise LoadError(f"{load.tool}: {outcome.failed} failures in {outcome.requests} requests")
    return replace(outcome, load_cpu_s=_measure_children() - before_s)


def _measure_children() -> float:
    """Seconds of CPU time of the children that have ended and were waited for."""
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


def parse_ab(text: str) -> Outcome:
    """What ab printed. Answers other than 2xx count as failed; bodies that differ in length (ab's "Length") do too.

    Raises:
        LoadError: a line that ab always prints is missing.
    """
    percentiles = dict(re.findall(r"^ +(50|99)% +(\d+)", text, re.MULTILINE))
    non_2xx = re.search(r"^Non-2xx responses: +(\d+)", text, re.MULTILINE)
    return Outcome(
        requests=int(_need(r"^Complete requests: +(\d+)", text, "ab")),
        seconds=float(_need(r"^Time taken for tests: +([\d.]+) seconds", text, "ab")),
        failed=int(_need(r"^Failed requests: +(\d+)", text, "ab")) + (int(non_2xx.group(1)) if non_2xx else 0),
        p50_ms=float(percentiles.get("50", 0)),
        p99_ms=float(percentiles.get("99", 0)),
    )


_UNIT_MS = {"us": 1e-3, "ms": 1.0, "s": 1e3, "m": 6e4, "h": 3.6e6}


def parse_wrk(text: str) -> Outcome:
    """What `wrk --latency` printed. Socket errors and answers that are neither 2xx nor 3xx count as failed.

    Raises:
        LoadError: a line that wrk always prints is missing.
    """
    done = re.search(r"(\d+) requests in ([\d.]+)(us|ms|s|m|h),", text)
    if done is None:
        raise LoadError(f"wrk: expected 'N requests in …', got {text.strip()[-200:]!r}")
    latency = {p: float(n) * _UNIT_MS[u] for p, n, u in re.findall(r"^ +(50|99)% +([\d.]+)(us|ms|s|m|h)", text, re.M)}
    errors = re.search(r"Socket errors: connect (\d+), read (\d+), write (\d+), timeout (\d+)", text)
    other = re.search(r"Non-2xx or 3xx responses: (\d+)", text)
    failed = sum(map(int, errors.groups())) if errors else 0
    return Outcome(
        int(done.group(1)),
        float(done.group(2)) * _UNIT_MS[done.group(3)] / 1e3,
        failed + (int(other.group(1)) if other else 0),
        latency.get("50", 0.0),
        latency.get("99", 0.0),
    )


def _need(pattern: str, text: str, tool: str) -> str:
    found = re.search(pattern, text, re.MULTILINE)
    if found is None:
        raise LoadError(f"{tool}: expected a line like {pattern!r}, got {text.strip()[-200:]!r}")
    return found.group(1)
