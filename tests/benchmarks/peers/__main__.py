"""Squall beside its peers: `python -m tests.benchmarks.peers --peers squall,tornado --jobs hello --rounds 3`.

Writes results.json and report.md with its charts into --output.
"""

import argparse
import dataclasses
import json
import tempfile
from pathlib import Path
from typing import Any

import uvloop

from tests.benchmarks import history, machine, micro, profile, publish, templates
from tests.benchmarks.loads import LOADS, LoadError
from tests.benchmarks.peers import contestants, measuring, memory, stack
from tests.benchmarks.peers.jobs import JOBS
from tests.benchmarks.report import write_peers
from tests.benchmarks.servers import ServerError

MICRO_S = 10.0


def parse_arguments(arguments: list[str] | None = None) -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks.peers")
    parser.add_argument("--peers", default="", help="short names, separated by commas; all of them without")
    parser.add_argument("--jobs", default=",".join(JOBS), help=f"of {', '.join(JOBS)}; 'none' for none")
    parser.add_argument("--loads", default=",".join(LOADS), help=f"for hello, of {', '.join(LOADS)}")
    parser.add_argument("--stack", default="yes", choices=("yes", "no", "only"), help="the comparison behind nginx")
    parser.add_argument(
        "--memory", default="yes", choices=("yes", "no"), help="memory at start and per idle connection"
    )
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=1.0, help="for each measurement, at least 1")
    parser.add_argument(
        "--environments", type=Path, default=None, help="folder with one virtual environment per set of peers"
    )
    parser.add_argument("--output", type=Path, default=Path("build/bench/peers"))
    parser.add_argument(
        "--publish", action="store_true", help="write BENCHMARKS.md and the baseline from the run as well"
    )
    parser.add_argument("--list", action="store_true", help="say who there is, and end")
    parsed = parser.parse_args(arguments)
    asked = (parsed.peers, parsed.jobs, parsed.loads, parsed.stack, parsed.memory)
    if parsed.publish and asked != ("", ",".join(JOBS), ",".join(LOADS), "yes", "yes"):
        parser.error("--publish: expected a whole run; a part of one would take the rest off the page")
    if parsed.stack == "only":
        parsed.jobs, parsed.memory = "none", "no"
    for name, known in (("jobs", {*JOBS, "none"}), ("loads", {*LOADS})):
        if unknown := set(getattr(parsed, name).split(",")) - known:
            parser.error(f"--{name}: unknown: {', '.join(sorted(unknown))}")
    try:
        parsed.chosen = contestants.select([name for name in parsed.peers.split(",") if name])
    except ValueError as error:
        parser.error(str(error))
    return parsed


def measure(arguments: argparse.Namespace, folder: Path) -> dict[str, Any]:
    """The results of all that was asked for; what there is of them is kept after each round, should the rest fail."""
    plan = measuring.Plan(
        arguments.chosen,
        [name for name in JOBS if name in arguments.jobs.split(",")],
        arguments.loads.split(","),
        arguments.rounds,
        arguments.seconds,
        arguments.environments.absolute() if arguments.environments else None,
        folder,
    )
    findings = measuring.Findings()
    results: dict[str, Any] = {
        "machine": machine.describe(),
        "versions": contestants.read_versions(plan.environments, plan.contestants),
        "rounds": plan.rounds,
        "seconds": plan.seconds,
        "rows": findings.rows,
        "absent": findings.absent,
        "memory": {},
        "templates": {},
    }

    def keep() -> None:
        results["machine"]["load average at the end"] = machine.read_load()
        text = json.dumps(results, indent=1, ensure_ascii=False)
        (arguments.output / "results.json").write_text(text + "\n")

    def say(text: str) -> None:
        print(text, flush=True)
        keep()

    measuring.measure(plan, findings, say)
    if arguments.stack != "no":
        stack.measure(plan, findings, say)
    if arguments.memory == "yes":
        results["memory"] = memory.measure(plan, say)
    if arguments.stack != "only":
        say("== templates alone")
        results["templates"] = templates.compare(1.0)
    keep()
    return results


def draw_profiles(environments: Path | None) -> dict[str, dict[str, Any]]:
    """Flame graphs of the jobs whose targets are hardest, for the published page."""
    folder = publish.ROOT / publish.CHARTS
    folder.mkdir(parents=True, exist_ok=True)
    drawn = {}
    for job, load in (("hello", "wrk25"), ("hello", "browser"), ("stack", "ab-k")):
        name = f"profile-{job}-{load}.svg"
        try:
            drawn[name] = dataclasses.asdict(profile.draw(job, load, 10, environments, folder / name))
        except (ServerError, LoadError) as error:
            print(f"{name}: {error}")  # the figures of such a run are worth publishing without it
    return drawn


def main() -> None:
    arguments = parse_arguments()
    if arguments.list:
        for contestant in contestants.CONTESTANTS:
            print(f"{contestants.short_name(contestant):<20} {contestant.note}; jobs: {', '.join(contestant.jobs)}")
        return
    arguments.output.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="squall-bench-") as folder:
        results = measure(arguments, Path(folder))
    print(write_peers(results, arguments.output))
    if arguments.publish:
        results["profiles"] = draw_profiles(arguments.environments)
        (arguments.output / "results.json").write_text(json.dumps(results, indent=1, ensure_ascii=False) + "\n")
        print(publish.publish(results, publish.ROOT))
        history.write_baseline("micro", uvloop.run(micro.compare(MICRO_S)))


if __name__ == "__main__":
    main()
