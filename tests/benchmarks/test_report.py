"""Tables, charts and pages made from rounds."""

import dataclasses
import json
from pathlib import Path
from typing import Any

import pytest

from tests.benchmarks import publish, reasons, report
from tests.benchmarks.peers.contestants import BY_NAME
from tests.benchmarks.peers.jobs import JOBS
from tests.benchmarks.peers.memory import WHO as memory_names
from tests.benchmarks.peers.stack import STACK_LOADS, STACKS, WHOLE_LOAD
from tests.benchmarks.results import Results
from tests.benchmarks.targets import TARGETS, Target
from tests.benchmarks.test_results import make_results, make_row

MACHINE = {"processor": "abacus", "cores": "2"}


def make_raw() -> dict[str, Any]:
    rows = [make_row(name, n, cpu) for n in (1, 2) for name, cpu in (("squall", 10), ("tornado", 150), ("aiohttp", 9))]
    rows += [make_row("constant on uvloop", n, 5) for n in (1, 2)]
    rows += [make_row("tornado", 1, 30, load="ab", failed=7), make_row("squall", 1, 10, load="ab")]
    absent = {"robyn, hello": "not installable here:\n  no wheel"}
    return {
        "machine": MACHINE,
        "rounds": 2,
        "seconds": 1.0,
        "rows": rows,
        "absent": absent,
        "versions": {"aiohttp": "9.9"},
    }


def test_numbers() -> None:
    assert [report.format_number(n) for n in (12345.6, 12.34, 1.234, float("nan"))] == ["12,346", "12.3", "1.23", "–"]


def test_table_has_the_best_first_and_names_failures() -> None:
    table = report.format_table(make_results(*make_raw()["rows"]), "hello", "cpu_us")
    names = [line.split("|")[1].strip() for line in table.splitlines()[2:]]
    assert names == ["constant on uvloop", "aiohttp", "**squall**", "tornado"]
    assert "30.0 ± 0 %, 7 failed" in table
    by_rate = report.format_table(make_results(*make_raw()["rows"]), "hello", "rate")
    assert by_rate.splitlines()[2].startswith("| constant on uvloop |")


def test_targets_that_were_not_measured_are_left_out() -> None:
    from tests.benchmarks.targets import judge

    table = report.format_targets(judge(make_results(*make_raw()["rows"])))
    assert "| hello, requests per CPU second: squall / tornado | ≥ 12 × | 15.0 × | holds |" in table
    assert "| hello: squall / starlette, aiohttp, sanic, blacksheep | ≥ 2.5 × | 0.90 × | **missed** |" in table
    assert "page:" not in table


def test_report_of_peers(tmp_path: Path) -> None:
    folder = tmp_path / "peers"
    folder.mkdir()
    printed = report.write_peers(make_raw(), folder)
    text = (folder / "report.md").read_text()
    assert "![hello-wrk25](hello-wrk25.svg)" in text
    assert (folder / "hello-wrk25.svg").exists()
    assert (folder / "hello-wrk25.png").exists()
    assert "- robyn, hello: not installable here: no wheel" in text
    assert "- processor: abacus" in text
    assert "| aiohttp | 9.9 |" in text
    assert "**missed**" in printed
    assert "There is no last run" in text
    report.write_peers(make_raw(), folder)
    assert "| 15 | 15 | 1.00 | same |" in (folder / "report.md").read_text()


def test_published_page(tmp_path: Path) -> None:
    (tmp_path / "tests/benchmarks").mkdir(parents=True)
    profiles = {"profile-hello-wrk25.svg": {"title": "“Hello, world”, wrk -c 25", "rate": 1.0, "kernel": 0.657}}
    publish.publish({**make_raw(), "profiles": profiles}, tmp_path)
    page = (tmp_path / "BENCHMARKS.md").read_text()
    assert "![hello-wrk25](docs/benchmarks/hello-wrk25.svg)" in page
    assert sorted(path.name for path in (tmp_path / "docs/benchmarks").iterdir()) == [
        "hello-ab.svg",
        "hello-wrk25.svg",
    ]
    assert "| aiohttp | “Hello, world” | wrk -c 25 | 9.00 (–) | 10.0 (–) | 0.90 |" in page
    graph = "- [“Hello, world”, wrk -c 25](docs/benchmarks/profile-hello-wrk25.svg)"
    assert f"{graph}: 66% of the CPU time in the kernel" in page
    assert "| constant" not in page.split("## Who is ahead of us")[1].split("##")[0]
    baseline = json.loads((tmp_path / "tests/benchmarks/baseline.json").read_text())
    assert baseline["peers"]["hello, requests per CPU second: squall / tornado"] == 15


def test_same_run_gives_the_same_page(tmp_path: Path) -> None:
    files = []
    for name in ("one", "two"):
        (tmp_path / name / "tests/benchmarks").mkdir(parents=True)
        publish.publish(make_raw(), tmp_path / name)
        files.append({p.name: p.read_bytes() for p in (tmp_path / name).rglob("*") if p.is_file()})
    assert files[0] == files[1]


@pytest.mark.parametrize(("found", "shown"), [(1.1962, "1.196 ×"), (1.21, "1.21 ×"), (1.1, "1.10 ×")])
def test_figure_that_just_misses_shows_that_it_does(found: float, shown: str) -> None:
    target = Target("a", 1.2, lambda results: found)
    assert report.format_found(target.judge(make_full_results())) == shown


def test_each_target_has_a_reason() -> None:
    assert set(reasons.REASONS) == {target.name for target in TARGETS}


def test_reasons_say_what_the_run_shows() -> None:
    page = publish.list_missed(make_results(*make_raw()["rows"]))
    assert (
        "aiohttp takes 9.0 µs, Squall 10.0 µs; 2.5 times as fast would be 3.6 µs. The constant answer, "
        "which reads nothing, takes 5.0 of that: -1.4 µs are left for" in page
    )
    assert "The target leaves 1.8 µs" in page
    assert "they take 5.0." in page


def test_reason_with_headers_says_what_they_cost() -> None:
    rows = [make_row(name, 1, cpu) for name, cpu in (("squall", 9), ("socketify", 10), ("constant on uvloop", 7))]
    rows += [
        make_row(name, 1, cpu, load="browser")
        for name, cpu in (("squall", 12), ("socketify", 10.5), ("constant on uvloop", 8))
    ]
    page = publish.list_missed(make_results(*rows))
    assert "2.5 µs are left for reading the head" in page
    assert "they take 4.0." in page
    assert "costs 0.5 µs there and 3.0 here" in page


def test_reason_of_a_row_takes_the_answer_without_a_database_away() -> None:
    rows = [make_row(name, 1, cpu, job="row") for name, cpu in (("squall", 100), ("aiohttp", 80))]
    rows += [make_row(name, 1, cpu) for name, cpu in (("squall", 10), ("aiohttp", 30))]
    page = publish.list_missed(make_results(*rows))
    assert "what goes with it are 50.0 µs there and 90.0 here." in page


def test_reason_of_a_stack_says_what_is_left_for_frontends() -> None:
    whole = {"nginx + squall": (30.0, 11.0, 40_000.0), "nginx + tornado": (150.0, 125.0, 12_500.0)}
    rows = [
        make_row(name, 1, cpu_us, job="stack", backends_us=backends_us, load_us=10.0, rate=rate)
        for name, (cpu_us, backends_us, rate) in whole.items()
    ]
    page = publish.list_missed(make_results(*rows))
    # 2 cores / (4 x 12,500) = 40 us, without 19 of nginx, 10 of the load generator, and of our 50 us the 10 left over.
    assert "4 times as many requests would be 40.0 µs of 2 cores for each." in page
    assert "nginx takes 19.0, the load generator 10.0, and 10.0 are nobody's" in page
    assert "that leaves 1.0 for our frontends." in page
    assert "By the CPU time of nginx and backends alone, it is 5.00 times as many." in page


@pytest.mark.parametrize("target", TARGETS, ids=lambda target: target.name)
def test_reason_of_each_target(target: Target) -> None:
    results = make_full_results()
    missed = dataclasses.replace(target.judge(results), holds=False)
    assert missed.found == missed.found, "the run has no figure for it"
    sentence = reasons.explain(missed, results)
    assert sentence.endswith(".")
    assert "nan" not in sentence


def make_full_results() -> Results:
    """A run that measured everything once, with the same figures for everybody."""
    names = [*BY_NAME]
    rows = [
        make_row(name, 1, 10.0 + number, job=job.name, load=load, system_us=4.0, load_us=9.0)
        for job in JOBS.values()
        for load in job.loads
        for number, name in enumerate(names)
    ]
    rows += [
        make_row(name, 1, 30.0, job="stack", load=load, system_us=4.0, load_us=9.0, backends_us=12.0)
        for load in (*STACK_LOADS, WHOLE_LOAD)
        for name in STACKS
    ]
    memory = {name: {"start_mb": 30.0, "connection_bytes": 1900} for name in memory_names}
    return make_results(*rows, memory=memory, templates={"page": {"squall": 20.0, "jinja2": 30.0}})
