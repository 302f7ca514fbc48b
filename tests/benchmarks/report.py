"""Runs as Markdown and charts: tables by job and load, the targets, who was absent, the machine."""

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from tests.benchmarks import history
from tests.benchmarks.chart import Bar, choose_color, draw
from tests.benchmarks.loads import LOADS
from tests.benchmarks.peers.contestants import BY_NAME
from tests.benchmarks.peers.jobs import JOBS
from tests.benchmarks.results import Results
from tests.benchmarks.targets import Judged, judge, list_ratios

COST, RATE = "µs of CPU per request, less is better", "requests per second, more is better"
CHARTS = (
    ("stack", "ab", "rate", "Behind nginx, ab -c 25", RATE),
    ("stack", "wrk25", "rate", "Behind nginx, wrk -c 25", RATE),
    ("hello", "wrk25", "cpu_us", "“Hello, world”, keep-alive", COST),
    ("hello", "browser", "cpu_us", "“Hello, world”, a browser's ten headers", COST),
    ("hello", "ab", "cpu_us", "“Hello, world”, a connection for each", COST),
    ("page", "wrk25", "cpu_us", "A page: template, cookie, translation", COST),
    ("row", "wrk25", "cpu_us", "One row from MySQL as JSON", COST),
    ("rows", "wrk25", "cpu_us", "20 rows from MySQL as HTML", COST),
    ("post", "wrk25", "cpu_us", "A POST of 64 KB", COST),
    ("static", "wrk25", "cpu_us", "A static file of 1 MB", COST),
    ("echo", "echo", "cpu_us", "A websocket's echo", "µs of CPU per message, less is better"),
)


def format_machine(facts: Mapping[str, str]) -> str:
    """A list of facts."""
    return "".join(f"- {name}: {value}\n" for name, value in facts.items())


def format_number(value: float) -> str:
    """Three digits or so; a dash for what was not measured."""
    if math.isnan(value):
        return "–"
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.1f}" if abs(value) >= 10 else f"{value:.2f}"


def format_found(judged: Judged) -> str:
    """The figure with its unit; with more digits where three would round it to the limit that it misses."""
    text = format_number(judged.found)
    if judged.holds is False and text == format_number(judged.target.limit):
        text = f"{judged.found:,.4g}"
    return f"{text} {judged.target.unit}".strip()


def format_targets(judged: list[Judged]) -> str:
    """A table of the targets that the run has figures for."""
    lines = ["| target | | measured | |", "| --- | ---: | ---: | --- |"]
    for one in judged:
        if one.holds is None:
            continue
        sign = "≤" if one.target.is_upper else "≥"
        limit = f"{sign} {one.target.limit:g} {one.target.unit}".strip()
        lines.append(
            f"| {one.target.name} | {limit} | {format_found(one)} | {'holds' if one.holds else '**missed**'} |"
        )
    return "\n".join(lines) + "\n"


def format_table(results: Results, job: str, what: str) -> str:
    """Contestants down, loads across; medians, the best first, with the spread of the rounds in per cent."""
    loads = results.loads(job)
    reference = "wrk25" if "wrk25" in loads else loads[0]
    is_cost = what != "rate"

    def order(name: str) -> float:
        value = results.value(job, reference, name, what)
        return math.inf if math.isnan(value) else value if is_cost else -value

    lines = [
        "| | " + " | ".join(loads) + " |",
        "| --- |" + " ---: |" * len(loads),
    ]
    for name in sorted(results.names(job), key=order):
        cells = []
        for load in loads:
            found = results.summary(job, load, name, what)
            failed = results.failed(job, load, name)
            cell = f"{format_number(found.median)} ± {found.spread * 50:.0f} %" if found else "–"
            cells.append(cell + (f", {failed} failed" if failed else ""))
        shown = f"**{name}**" if "squall" in name else name
        lines.append(f"| {shown} | " + " | ".join(cells) + " |")
    return "\n".join(lines) + "\n"


def format_jobs(results: Results, charts: Sequence[str] = (), place: str = "") -> str:
    """All jobs but the stack: CPU per request, and, folded, requests per second."""
    parts = []
    for job in JOBS.values():
        if not results.names(job.name):
            continue
        parts.append(f"### {job.title[0].upper() + job.title[1:]}\n")
        parts.append(show_charts(job.name, charts, place))
        parts.append(
            "Microseconds of the server's CPU time per request:\n\n" + format_table(results, job.name, "cpu_us")
        )
        rates = format_table(results, job.name, "rate")
        parts.append(fold("Requests per second, the server on a core of its own", rates))
    return "\n".join(part for part in parts if part)


def show_charts(job: str, charts: Sequence[str], place: str) -> str:
    """The charts of the job as pictures of a page."""
    return "".join(f"![{name}]({place}{name}.svg)\n\n" for name in charts if name.startswith(f"{job}-"))


def fold(title: str, text: str) -> str:
    """Text that a click on the title shows: long pages are read on phones, too."""
    return f"<details><summary>{title}</summary>\n\n{text}\n</details>\n"


def format_stack(results: Results) -> str:
    """The stacks: requests per second, CPU of nginx and backends together, and of the backends alone."""
    if not results.names("stack"):
        return ""
    return (
        "Requests per second through nginx:\n\n"
        + format_table(results, "stack", "rate")
        + "\nMicroseconds of CPU per request, nginx and backends together:\n\n"
        + format_table(results, "stack", "cpu_us")
        + "\n"
        + fold("The backends alone", format_table(results, "stack", "backends_us"))
    )


def format_templates(results: Results) -> str:
    """Templates without a server around them."""
    lines = ["| microseconds for one | squall | Jinja2 |", "| --- | ---: | ---: |"]
    lines += [
        f"| {name} | {format_number(took['squall'])} | {format_number(took['jinja2'])} |"
        for name, took in results.templates.items()
    ]
    return "\n".join(lines) + "\n"


def format_memory(results: Results) -> str:
    """Memory by contestant."""
    if not results.memory:
        return ""
    lines = ["| | MB after the start | bytes per idle connection |", "| --- | ---: | ---: |"]
    lines += [f"| {name} | {m['start_mb']} | {m['connection_bytes']:,.0f} |" for name, m in results.memory.items()]
    return "\n".join(lines) + "\n"


def format_contestants(results: Results) -> str:
    """Who took part, with versions and settings; and who could not, with the reason."""
    names = {name for job in JOBS for name in results.names(job)}
    lines = ["| | version | how |", "| --- | --- | --- |"]
    lines += [
        f"| {c.name} | {results.versions.get(c.name, '')} | {c.note} |" for c in BY_NAME.values() if c.name in names
    ]
    text = "\n".join(lines) + "\n"
    if results.absent:
        text += "\nNot measured:\n\n" + "".join(f"- {who}: {_one_line(why)}\n" for who, why in results.absent.items())
    return text


def _one_line(text: str) -> str:
    return " ".join(text.split())[-300:]


def format_loads() -> str:
    """What the names of the loads mean."""
    return "".join(f"- `{load.name}`: {load.title}\n" for load in LOADS.values())


def draw_charts(results: Results, folder: Path) -> list[str]:
    """The names of the charts drawn into the folder, without their endings."""
    drawn = []
    for job, load, what, title, unit in CHARTS:
        bars = []
        if load not in results.loads(job):
            continue
        for name in results.names(job, load):
            found = results.summary(job, load, name, what)
            if found:
                bars.append(Bar(name, found.median, found.low, found.high, choose_color(name)))
        if bars:
            bars.sort(key=lambda bar: bar.value, reverse=what == "rate")
            draw(title, unit, bars, folder / f"{job}-{load}")
            drawn.append(f"{job}-{load}")
    return drawn


def format_peers(results: Results, charts: list[str], place: str = "") -> str:
    """Everything that a run found, from the targets down."""
    parts = ["## Targets\n", format_targets(judge(results))]
    if results.names("stack"):
        parts += ["## Behind nginx\n", show_charts("stack", charts, place) + format_stack(results)]
    parts += ["## One frontend beside its peers\n", format_jobs(results, charts, place)]
    parts += ["## Templates alone\n\n" + format_templates(results) if results.templates else ""]
    parts += ["## Memory\n\n" + format_memory(results) if results.memory else ""]
    parts += ["## Who took part\n", format_contestants(results), "## Loads\n", format_loads()]
    parts += ["## Machine\n", format_machine(results.machine)]
    return "\n".join(part for part in parts if part)


def write_peers(raw: Mapping[str, Any], folder: Path) -> str:
    """Write report.md, the charts and the history; what to print comes back."""
    results = Results(raw)
    charts = draw_charts(results, folder)
    ratios = list_ratios(results)
    past = folder.parent / "history.jsonl"
    changes = history.format_changes(history.compare(ratios, history.read_last(past, "peers")), "last run")
    baseline = history.format_changes(history.compare(ratios, history.read_baseline("peers")), "baseline")
    history.append(past, "peers", ratios, results.machine)
    head = f"# Squall beside its peers\n\n{results.extent}, medians.\n\n"
    compared = f"\n## Beside the last run\n\n{changes}\n## Beside the committed baseline\n\n{baseline}"
    (folder / "report.md").write_text(head + format_peers(results, charts) + compared)
    return f"{format_targets(judge(results))}\n{baseline}\nreport, charts and raw results are in {folder}"
