"""Tables, charts and pages made from rounds."""

import json
from pathlib import Path
from typing import Any

from tests.benchmarks import publish, report
from tests.benchmarks.targets import TARGETS
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
    publish.publish(make_raw(), tmp_path)
    page = (tmp_path / "BENCHMARKS.md").read_text()
    assert "![hello-wrk25](docs/benchmarks/hello-wrk25.svg)" in page
    assert sorted(path.name for path in (tmp_path / "docs/benchmarks").iterdir()) == ["hello-wrk25.svg"]
    assert "- aiohttp, “Hello, world”, wrk -c 25: 0.90 of our CPU time per request" in page
    assert "- constant" not in page.split("## Who is ahead of us")[1].split("##")[0]
    baseline = json.loads((tmp_path / "tests/benchmarks/baseline.json").read_text())
    assert baseline["peers"]["hello, requests per CPU second: squall / tornado"] == 15


def test_same_run_gives_the_same_page(tmp_path: Path) -> None:
    files = []
    for name in ("one", "two"):
        (tmp_path / name / "tests/benchmarks").mkdir(parents=True)
        publish.publish(make_raw(), tmp_path / name)
        files.append({p.name: p.read_bytes() for p in (tmp_path / name).rglob("*") if p.is_file()})
    assert files[0] == files[1]


def test_each_reason_belongs_to_a_target() -> None:
    assert set(publish.REASONS) <= {target.name for target in TARGETS}
