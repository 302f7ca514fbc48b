"""BENCHMARKS.md and its charts, from a real run: `python -m tests.benchmarks.publish build/bench/peers/results.json`.

Every figure on that page comes from the run, those of the reasons too (`reasons.py`); a reason is shown only where the
run missed its target.
"""

import json
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tests.benchmarks import history
from tests.benchmarks.loads import LOADS
from tests.benchmarks.peers.jobs import JOBS
from tests.benchmarks.reasons import explain
from tests.benchmarks.report import draw_charts, format_found, format_number, format_peers
from tests.benchmarks.results import Results
from tests.benchmarks.targets import judge, list_ratios

ROOT = Path(__file__).parents[2]
CHARTS = "docs/benchmarks"
# Who is less than this ahead is as good as we are, on a machine that does other things as well.
NOISE = 0.05

METHOD = """## Method

`make bench-peers` does all of it, in a container with everyone's pinned packages, in one run on one machine. The
container has a network of its own, loopback alone: on the host's, every packet would pass the tables of the engine's
NAT, and each figure would hold the same piece of firewall. Each contestant is one process, set up as its own
documentation advises for production, and pinned to one core; the load generator and the database have the other. Before
anything is measured, everyone's answer is compared byte by byte with what it must be. Then all take turns, round by
round, after a warm-up: a noisy minute hits everybody. Who has not its turn is stopped (SIGSTOP), for even an idle
server has timers, and would come between the measured one and its caches. Where the targets are narrowest (“Hello,
world” with 25 connections, with and without a browser's headers; the stack, kept alive) there are twice as many rounds;
of “Hello, world”, the second half is done by fresh processes, for where a process's memory happens to lie moves its
figure by 2 or 3 %. A figure is the median of the rounds, ± half the distance from the lowest to the highest. A ratio
is the median of the rounds' own ratios.

The figure to trust is CPU time per request, which the kernel counts for each process. It survives whoever takes our
core's time, but not whoever computes on its other half meanwhile, as neighbours on a shared machine do for tenths of a
second: that makes half as much again of it, and not of everybody's alike. So each turn is cut into slices of 20 ms,
between which a piece of work that is always the same runs for a moment on each core. Slices at whose both ends that
took less than 10 % more than it takes in quiet make the figure. Where they are fewer than five, the whole turn makes
it; under the loads with the narrowest targets it is done again, up to twice. Of a contestant's rounds those without
quiet count only where fewer than three had some. Websockets, long polls, latencies and the load generator's own CPU
time are of whole turns.

Squall runs as the appliance runs it, by `framework.frontend`, with all that production has on: limits, time-outs,
strict parsing, metrics, and the access log, which the others have off. The log goes into a file; through a pipe, as the
appliance's goes to the engine, each request costs about 0.1 µs more. On TCP it listens with `defer_accept_s`, which
`listen` takes; the limits have that too. `constant on uvloop` and `nginx constant` are no contestants but limits: the
first answers whatever arrives with the same bytes, without looking at it.

What Squall remembers from request to request helps it here, as it helps any site: what a request line and a Host mean,
and for a second the head of an answer, and the whole of a small one. Each head is read to its end, whether it came
before or not, and the handler runs for each request.

The asyncio peers have asyncmy, whose protocol is compiled. Flask and Django have PyMySQL: mysqlclient, which Django's
pages prefer, must be compiled on the spot, and would take something off their rows.

Behind nginx, nobody is pinned: nginx, the backends (as many as there are cores) and the load generator share the cores.
Our nginx, our frontends and the free backend are in the kernel's batch class, as the appliance has them
(`SCHEDULING=batch`). The peers behind our nginx run as their own pages advise, which is without it; what the class
does for two of them, as applications of our appliance (`APP`), stands in rows of their own.
"""


def list_missed(results: Results) -> str:
    """The targets that the run missed, each with what limits it."""
    lines = [
        f"- **{one.target.name}**: {format_found(one)}. {explain(one, results)}"
        for one in judge(results)
        if one.holds is False
    ]
    return "\n".join(lines) + "\n" if lines else "No target was missed.\n"


def list_ahead(results: Results) -> str:
    """Who needs less CPU per request than we do, where, and on which side of the kernel's door the difference lies."""
    lines = []
    for job in JOBS.values():
        for load in results.loads(job.name):
            for name in results.names(job.name, load):
                ratio = results.ratio(job.name, load, name, "squall", "cpu_us")
                # The limits are no contestants.
                if "constant" not in name and "squall" not in name and ratio < 1 - NOISE:
                    cells = [
                        name,
                        job.title,
                        LOADS[load].title,
                        *_compare(results, job.name, load, name),
                        f"{ratio:.2f}",
                    ]
                    lines.append("| " + " | ".join(cells) + " |")
    if not lines:
        return "Nobody, in any job under any load of this run.\n"
    head = ["| who | job | load | theirs, µs | ours, µs | theirs / ours |", "| --- | --- | --- | ---: | ---: | ---: |"]
    said = "CPU time of a request, and in brackets what of it was spent outside the kernel:\n\n"
    return said + "\n".join([*head, *lines]) + "\n"


def list_profiles(results: Results) -> str:
    """The flame graphs of our own frontends, and what of their time the kernel took."""
    lines = [
        f"- [{one['title']}]({CHARTS}/{name}): {one['kernel']:.0%} of the CPU time in the kernel"
        for name, one in results.profiles.items()
    ]
    said = "Flame graphs of Squall's own process (`make profile` draws that of any job):\n\n"
    return said + "\n".join(lines) + "\n" if lines else "`make profile` draws a flame graph of any job.\n"


def _compare(results: Results, job: str, load: str, name: str) -> list[str]:
    cells = []
    for one in (name, "squall"):
        whole, kernel = (results.value(job, load, one, what) for what in ("cpu_us", "system_us"))
        cells.append(f"{format_number(whole)} ({format_number(whole - kernel)})")
    return cells


def format_page(results: Results, charts: list[str]) -> str:
    """The whole of BENCHMARKS.md."""
    quiet, loud, watched = results.quiet
    parts = [
        "# Benchmarks\n",
        f"Written by `make bench-peers ARGS=--publish` from one run: {results.extent}, medians. "
        "Squall's own rows are bold.\n",
        f"The machine was quiet for {quiet:.0%} of the time. Only that counts, but for {loud:,} of {watched:,} turns, "
        "which had too little of it (Method).\n",
        "## Where targets were missed, and why\n",
        list_missed(results),
        "## Where the time goes\n",
        list_profiles(results),
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
