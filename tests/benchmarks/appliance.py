"""The running appliance under ApacheBench, as the seed's page has it, and a page beside its peers: `make bench`.

    python -m tests.benchmarks.appliance --url http://127.0.0.1:8080/hello --requests 100000

Each load is put on nginx with our frontends behind it and, in turns, on an nginx that answers a constant itself: the
ratio is what can be compared with other machines and with the committed baseline. Writes results.json, report.md, the
charts and the history below --output.
"""

import argparse
import dataclasses
import json
import sys
import tempfile
import urllib.error
import urllib.request
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from tests.benchmarks import history, machine
from tests.benchmarks.chart import Bar, choose_color, draw
from tests.benchmarks.loads import LOADS, Load, LoadError, Target, run
from tests.benchmarks.peers import contestants, measuring
from tests.benchmarks.peers.measuring import Findings, Plan
from tests.benchmarks.report import draw_charts, format_jobs, format_machine, format_targets
from tests.benchmarks.results import Results
from tests.benchmarks.servers import Server
from tests.benchmarks.targets import judge, list_ratios

JOB = "appliance"
OURS, LIMIT = "the appliance", "nginx, a constant"
PEERS = ("squall", "tornado", "flask", "fastapi")
Say = Callable[[str], object]


def parse_arguments(arguments: list[str] | None = None) -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks.appliance")
    parser.add_argument("--url", default="http://127.0.0.1:8080/hello", help="what nginx is asked for")
    parser.add_argument("--requests", type=int, default=100_000, help="for each run of ab")
    parser.add_argument("--concurrency", default="25", help="connections at a time; several, separated by blanks")
    parser.add_argument("--rounds", type=int, default=2, help="how often each load is put on each")
    parser.add_argument(
        "--page-rounds", type=int, default=5, help="the same for the page, a second each; 0 leaves it out"
    )
    parser.add_argument("--environments", type=Path, default=None, help="as for tests.benchmarks.peers")
    parser.add_argument("--output", type=Path, default=Path("build/bench"))
    parser.add_argument("--publish", action="store_true", help="make the ratios of this run the committed baseline")
    parsed = parser.parse_args(arguments)
    try:
        parsed.connections = [int(number) for number in parsed.concurrency.split()]
    except ValueError:
        parser.error(f"--concurrency: expected numbers separated by blanks, got {parsed.concurrency!r}")
    if parsed.requests < max(parsed.connections, default=1):
        parser.error(f"--requests: expected at least as many as connections, got {parsed.requests}")
    return parsed


def make_loads(connections: list[int], requests: int) -> list[Load]:
    """`ab` without and with keep-alive, for each number of connections."""
    return [
        dataclasses.replace(LOADS[name], name=f"ab {option}-c {number}", connections=number, requests=requests)
        for number in connections
        for name, option in (("ab", ""), ("ab-k", "-k "))
    ]


def fetch(url: str) -> bytes:
    """What the appliance answers.

    Raises:
        SystemExit: it does not, or not with 200.
    """
    try:
        with urllib.request.urlopen(url, timeout=10) as answer:
            body: bytes = answer.read()
            return body
    except (urllib.error.URLError, OSError) as error:
        sys.exit(f"bench: {url}: {error}; is the appliance up (make up), and is there such a page?")


def measure_appliance(url: str, loads: list[Load], plan: Plan, findings: Findings, say: Say) -> None:
    """Add the rounds of the appliance and of the limit to the findings."""
    fetch(url)
    command = measuring.make_command(contestants.BY_NAME["nginx constant"], plan, "")
    with Server(dataclasses.replace(command, core=None), plan.folder) as server:
        urls = {OURS: url, LIMIT: f"http://127.0.0.1:{server.command.port}/"}
        for one in urls.values():  # a warm-up
            run(dataclasses.replace(loads[-1], requests=min(loads[-1].requests, 10_000)), Target(one), 0)
        for load in loads:
            for number in range(1, plan.rounds + 1):
                for name, one in urls.items():
                    findings.add(JOB, load.name, name, number, run(load, Target(one), 0))
            say(format_load(Results(as_results(plan, findings)), load.name))


def as_results(plan: Plan, findings: Findings) -> dict[str, Any]:
    """The findings in the form in which they are kept."""
    return {
        "machine": machine.describe(),
        "versions": contestants.read_versions(plan.environments, plan.contestants),
        "rounds": plan.rounds,
        "seconds": plan.seconds,
        "rows": findings.rows,
        "absent": findings.absent,
    }


def format_heading() -> str:
    """What stands above the lines of `format_load`."""
    return f"{'':<16}{'requests/s':>12}{'p50 ms':>8}{'p99 ms':>8}{'failed':>8}{'nginx alone':>13}{'ratio':>7}"


def format_load(results: Results, load: str) -> str:
    """One load as a line: medians of the appliance's rounds, those of the limit, the ratio."""
    rate, p50, p99 = (results.value(JOB, load, OURS, what) for what in ("rate", "p50_ms", "p99_ms"))
    limit, ratio = results.value(JOB, load, LIMIT, "rate"), results.ratio(JOB, load, OURS, LIMIT, "rate")
    failed = results.failed(JOB, load, OURS)
    return f"{load:<16}{rate:>12,.0f}{p50:>8.0f}{p99:>8.0f}{failed:>8}{limit:>13,.0f}{ratio:>7.2f}"


def list_all_ratios(results: Results) -> dict[str, float]:
    """The appliance beside the limit, and the page beside its peers; more is better."""
    own = {
        f"{load}: appliance / nginx alone": results.ratio(JOB, load, OURS, LIMIT, "rate") for load in loads_of(results)
    }
    return {**own, **list_ratios(results)}


def loads_of(results: Results) -> list[str]:
    """The loads that were put on the appliance."""
    return results.loads(JOB)


def format_report(results: Results, url: str, requests: int, changes: str, charts: list[str]) -> str:
    """The whole report as Markdown."""
    lines = "\n".join([format_heading(), *(format_load(results, load) for load in loads_of(results))])
    judged = format_targets(judge(results)) if results.names("page") else ""
    parts = [
        "# The appliance under ApacheBench\n",
        f"`ab -n {requests}` against {url}, medians of {results.rounds} rounds. nginx alone answers a constant.\n",
        f"```\n{lines}\n```\n",
        *(f"![{name}]({name}.svg)\n" for name in charts),
        f"## A page beside its peers\n\n{judged}\n{format_jobs(results)}" if judged else "",
        *(f"Not measured: {who}: {' '.join(why.split())[-300:]}\n" for who, why in results.absent.items()),
        changes,
        f"## Machine\n\n{format_machine(results.machine)}",
    ]
    return "\n".join(part for part in parts if part)


def draw_appliance(results: Results, folder: Path) -> list[str]:
    """The name of the chart of all loads, drawn into the folder."""
    bars = []
    for load in loads_of(results):
        for name in (OURS, LIMIT):
            found = results.summary(JOB, load, name, "rate")
            if found:
                color = choose_color("squall" if name == OURS else "constant")
                bars.append(Bar(f"{name}\n{load}", found.median, found.low, found.high, color))
    draw("Through nginx, ApacheBench", "requests per second, more is better", bars, folder / JOB)
    return [JOB]


def write(raw: Mapping[str, Any], url: str, requests: int, folder: Path) -> str:
    """Write everything below the folder; what has changed since comes back as Markdown."""
    results = Results(raw)
    (folder / "results.json").write_text(json.dumps(raw, indent=1, ensure_ascii=False) + "\n")
    charts = [*draw_appliance(results, folder), *draw_charts(results, folder)]
    ratios, past = list_all_ratios(results), folder / "history.jsonl"
    last = history.format_changes(history.compare(ratios, history.read_last(past, "bench")), "last run")
    baseline = history.format_changes(history.compare(ratios, history.read_baseline("bench")), "baseline")
    history.append(past, "bench", ratios, results.machine)
    changes = f"## Beside the last run\n\n{last}\n## Beside the committed baseline\n\n{baseline}"
    (folder / "report.md").write_text(format_report(results, url, requests, changes, charts))
    return changes


def main() -> None:
    arguments = parse_arguments()
    arguments.output.mkdir(parents=True, exist_ok=True)
    findings = Findings()
    with tempfile.TemporaryDirectory(prefix="squall-bench-") as folder:
        peers = contestants.select(PEERS)
        environments = arguments.environments.absolute() if arguments.environments else None
        plan = Plan(peers, ["page"], ["wrk25"], arguments.rounds, 1.0, environments, Path(folder))
        plan.folder.chmod(0o755)  # nginx's workers are somebody else
        print(f"{arguments.url}, {arguments.requests:,} requests each, {plan.rounds} rounds\n{format_heading()}")
        try:
            loads = make_loads(arguments.connections, arguments.requests)
            measure_appliance(arguments.url, loads, plan, findings, print_now)
        except LoadError as error:
            sys.exit(f"bench: {error}")
        if arguments.page_rounds:
            measuring.measure(dataclasses.replace(plan, rounds=arguments.page_rounds), findings, print_now)
    raw = as_results(plan, findings)
    print_now(format_targets(judge(Results(raw))))
    # A history is wanted of what came out, and a failed request is no figure but a fault.
    print_now(write(raw, arguments.url, arguments.requests, arguments.output))
    if arguments.publish:
        history.write_baseline("bench", list_all_ratios(Results(raw)))
    print_now(f"report, charts and raw results are in {arguments.output}")
    failed = sum(row["failed"] for row in findings.rows if row["job"] == JOB)
    if failed:
        sys.exit(f"bench: {failed} requests failed")


def print_now(text: str) -> None:
    """To the terminal at once, through a pipe too."""
    print(text, flush=True)


if __name__ == "__main__":
    main()
