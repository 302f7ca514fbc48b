"""BENCHMARKS.md and its charts, from a real run: `python -m tests.benchmarks.publish build/bench/peers/results.json`.

Every figure on that page comes from the run; only the reasons below are written by hand, and each is shown only where
the run missed its target.
"""

import json
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tests.benchmarks import history
from tests.benchmarks.loads import LOADS
from tests.benchmarks.peers.jobs import JOBS
from tests.benchmarks.report import draw_charts, format_number, format_peers
from tests.benchmarks.results import Results
from tests.benchmarks.targets import judge, list_ratios

ROOT = Path(__file__).parents[2]
CHARTS = "docs/benchmarks"
# Who is less than this ahead is as good as we are, on a machine that does other things as well.
NOISE = 0.05

METHOD = """## Method

`make bench-peers` does all of it, in a container with everyone's pinned packages, in one run on one machine. Each
contestant is one process, set up as its own documentation advises for production, and pinned to one core; the load
comes from the other. Before anything is measured, everyone's answer is compared byte by byte with what it must be. Then
all take turns, round by round, after a warm-up: a noisy minute hits everybody. A figure is the median of the rounds,
± half the distance from the lowest to the highest. The figure to trust is CPU time per request, which the kernel counts
for each process: what else the machine does makes a server slower, but hardly dearer. A ratio is the median of the
rounds' own ratios.

Squall runs with all that production has on: limits, time-outs, strict parsing, metrics, and the access log, which the
others have off. `constant on uvloop` and `nginx constant` are no contestants but limits: the first answers whatever
arrives with the same bytes, without looking at it.
"""

# From `make profile`, and from what the same loads cost the limits.
REASONS = {
    "hello, CPU: squall / constant on uvloop": (
        "write(2) is 61 % of the profile and read(2) 12 %, and the constant answer has both as well. The 3 µs "
        "above it are the head's pattern, the route, the handler, the entity tag, the line of the access log and "
        "the metrics."
    ),
    "hello, requests per CPU second: squall / tornado": (
        "As above: the kernel has three quarters of our time, and a twelfth of Tornado's would leave 2 µs above "
        "the constant answer."
    ),
    "hello without keep-alive (ab): squall / tornado": (
        "The kernel opens and closes a connection for each request: even the constant answer, which reads no "
        "HTTP, is only 4.1 × Tornado. Ours are accept(2), the connection's object and its time-outs: 15 µs "
        "together."
    ),
    "hello: squall / starlette, aiohttp, sanic, blacksheep": (
        "aiohttp is the closest of them: its parser is written in C, so a request costs it little but two system "
        "calls and a task. The kernel's share, most of ours, can't be saved."
    ),
    "hello with a browser's headers: squall / the best of them": (
        "socketify is a server in C++ that never makes a Python object of a header. One pattern over ten header "
        "fields costs us 2 µs."
    ),
    "stack, kept: squall / uvicorn bare in ours": (
        "nginx with a backend that costs nothing takes 31 of our 35 µs; noise decides on which side of the target"
        " a run ends."
    ),
    "stack, ab: squall / free backend": (
        "nginx, ApacheBench and the frontends share two cores here, and a connection for each request costs nginx"
        " more than the answer: what a backend of nothing leaves free goes to nginx."
    ),
    "row: squall / the best peer with its best driver": (
        "The driver: asyncmy reads MySQL's protocol in Cython on the loop; PyMySQL reads it in Python, on a "
        "thread which a query is handed to and back from. With the same driver we are far ahead, as the line for "
        "Tornado shows."
    ),
    "memory of a frontend after its start": (
        "PyMySQL brings cryptography and OpenSSL's bindings with it, 19 MB when imported alone; interpreter, loop"
        " and framework take the rest."
    ),
}


def list_missed(results: Results) -> str:
    """The targets that the run missed, each with what limits it."""
    lines = [
        f"- **{one.target.name}**: {format_number(one.found)} {one.target.unit}. "
        + REASONS.get(one.target.name, "No reason is known yet.")
        for one in judge(results)
        if one.holds is False
    ]
    return "\n".join(lines) + "\n" if lines else "No target was missed.\n"


def list_ahead(results: Results) -> str:
    """Who needs less CPU per request than we do, and where; the limits are no contestants."""
    lines = []
    for job in JOBS.values():
        for load in results.loads(job.name):
            ours = results.value(job.name, load, "squall", "cpu_us")
            for name in results.names(job.name, load):
                ratio = results.value(job.name, load, name, "cpu_us") / ours
                if "constant" not in name and "squall" not in name and ratio < 1 - NOISE:
                    title = LOADS[load].title
                    lines.append(f"- {name}, {job.title}, {title}: {ratio:.2f} of our CPU time per request")
    return "\n".join(lines) + "\n" if lines else "Nobody, in any job under any load of this run.\n"


def format_page(results: Results, charts: list[str]) -> str:
    """The whole of BENCHMARKS.md."""
    parts = [
        "# Benchmarks\n",
        f"Written by `make bench-peers ARGS=--publish` from one run: {results.rounds} rounds of {results.seconds:g} s, "
        "medians. Squall's own rows are bold.\n",
        "## Where targets were missed, and why\n",
        list_missed(results),
        "## Who is ahead of us\n",
        list_ahead(results),
        format_peers(results, charts, f"{CHARTS}/"),
        METHOD,
    ]
    return "\n".join(parts)


def publish(raw: Mapping[str, Any], root: Path) -> str:
    """Write the page, its charts and the baseline below the root; what was written comes back."""
    results = Results(raw)
    folder = root / CHARTS
    folder.mkdir(parents=True, exist_ok=True)
    charts = draw_charts(results, folder)
    for name in charts:
        (folder / f"{name}.png").unlink()  # the page shows the SVG, and one of both is enough to keep
    (root / "BENCHMARKS.md").write_text(format_page(results, charts))
    history.write_baseline("peers", list_ratios(results), root / history.BASELINE.relative_to(ROOT))
    return f"BENCHMARKS.md, {CHARTS} and the baseline have been written"


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit("python -m tests.benchmarks.publish RESULTS.json")
    print(publish(json.loads(Path(sys.argv[1]).read_text()), ROOT))
