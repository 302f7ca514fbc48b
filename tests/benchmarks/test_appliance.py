"""`make bench` against a real server, with a real ApacheBench."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.benchmarks import appliance
from tests.benchmarks.servers import ROOT, Server
from tests.benchmarks.test_servers import squall

__all__ = ["squall"]


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["--concurrency", "many"], "expected numbers separated by blanks, got 'many'"),
        (["--requests", "10", "--concurrency", "5 25"], "at least as many as connections, got 10"),
    ],
)
def test_wrong_arguments(arguments: list[str], sentence: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        appliance.parse_arguments(arguments)
    assert sentence in capsys.readouterr().err


def test_loads() -> None:
    assert [(load.name, load.connections, load.is_kept) for load in appliance.make_loads([5, 25], 100)] == [
        ("ab -c 5", 5, False),
        ("ab -k -c 5", 5, True),
        ("ab -c 25", 25, False),
        ("ab -k -c 25", 25, True),
    ]


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "tests.benchmarks.appliance", "--rounds", "1", "--page-rounds", "0", *arguments]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False, timeout=60)


def test_run_writes_everything(squall: Server, tmp_path: Path) -> None:
    url = f"http://127.0.0.1:{squall.command.port}/"
    for _ in range(2):
        done = run("--url", url, "--requests", "300", "--output", str(tmp_path))
        assert done.returncode == 0, done.stderr
    raw = json.loads((tmp_path / "results.json").read_text())
    assert {row["load"] for row in raw["rows"]} == {"ab -c 25", "ab -k -c 25"}
    assert {(row["requests"], row["failed"]) for row in raw["rows"]} == {(300, 0)}
    report = (tmp_path / "report.md").read_text()
    assert "ab -c 25: appliance / nginx alone" in report
    assert len((tmp_path / "history.jsonl").read_text().splitlines()) == 2
    assert "last run" in done.stdout
    assert (tmp_path / "appliance.svg").exists()
    assert (tmp_path / "appliance.png").exists()


def test_page_that_is_not_there(squall: Server, tmp_path: Path) -> None:
    done = run("--url", f"http://127.0.0.1:{squall.command.port}/none", "--requests", "300", "--output", str(tmp_path))
    assert done.returncode == 1
    assert "404" in done.stderr
    assert "make up" in done.stderr
