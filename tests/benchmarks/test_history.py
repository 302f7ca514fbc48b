"""Runs kept and compared."""

from pathlib import Path

from tests.benchmarks import history
from tests.benchmarks.history import Change


def test_last_run_of_a_kind(tmp_path: Path) -> None:
    path = tmp_path / "bench" / "history.jsonl"
    assert history.read_last(path, "bench") == {}
    history.append(path, "bench", {"a": 1}, {"cores": "2"})
    history.append(path, "peers", {"a": 5}, {})
    history.append(path, "bench", {"a": 2}, {})
    assert history.read_last(path, "bench") == {"a": 2}
    assert history.read_last(path, "micro") == {}


def test_line_cut_short_is_no_run(tmp_path: Path) -> None:
    path = tmp_path / "history.jsonl"
    history.append(path, "bench", {"a": 1}, {})
    with open(path, "a") as file:
        file.write('{"kind": "bench", "figu')
    assert history.read_last(path, "bench") == {"a": 1}


def test_baselines_of_other_kinds_stay(tmp_path: Path) -> None:
    path = tmp_path / "baseline.json"
    history.write_baseline("peers", {"a": 1.23456}, path)
    history.write_baseline("micro", {"b": 2}, path)
    history.write_baseline("micro", {"c": 3}, path)
    assert history.read_baseline("peers", path) == {"a": 1.23}
    assert history.read_baseline("micro", path) == {"c": 3}


def test_verdicts() -> None:
    assert [Change("a", now, 1).verdict for now in (0.8, 0.9, 1.1, 1.2)] == ["worse", "same", "same", "better"]
    assert Change("a", 1, 0).factor == 0


def test_comparison_leaves_out_what_one_lacks() -> None:
    changes = history.compare({"a": 1, "b": 2}, {"b": 4, "c": 5})
    assert changes == [Change("b", 2, 4)]
    assert "| b | 2 | 4 | 0.50 | worse |" in history.format_changes(changes, "baseline")
    assert history.format_changes([], "baseline") == "There is no baseline to compare with.\n"


def test_committed_baseline_can_be_read() -> None:
    for kind in ("bench", "peers", "micro"):
        assert all(value > 0 for value in history.read_baseline(kind).values()), kind
        assert history.read_baseline(kind), kind
