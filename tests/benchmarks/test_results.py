"""Rounds asked for medians and ratios, and held against the targets."""

import math
from typing import Any

import pytest

from tests.benchmarks.results import Results
from tests.benchmarks.rounds import Summary
from tests.benchmarks.targets import TARGETS, judge, list_ratios


def make_row(name: str, number: int, cpu_us: float, **more: Any) -> dict[str, Any]:
    row = {"job": "hello", "load": "wrk25", "name": name, "round": number, "cpu_us": cpu_us, "rate": 1e6 / cpu_us}
    return {**row, "requests": 1000, "seconds": 1.0, "p50_ms": 1.0, "p99_ms": 2.0, "failed": 0, **more}


def make_results(*rows: dict[str, Any], **more: Any) -> Results:
    return Results({"machine": {"cores": "2"}, "rounds": 3, "seconds": 1.0, "rows": rows, **more})


def test_ratio_pairs_rounds() -> None:
    # The second round was noisy for both: the medians apart would say 20 / 10, the pairs say 3, 2 and 2.
    ours = [make_row("squall", n, cpu) for n, cpu in ((1, 10), (2, 40), (3, 10))]
    theirs = [make_row("tornado", n, cpu) for n, cpu in ((1, 30), (2, 80), (3, 20))]
    assert make_results(*ours, *theirs).ratio("hello", "wrk25", "tornado", "squall", "cpu_us") == 2


def test_extent_names_the_most_rounds_that_a_load_had() -> None:
    assert make_results(*(make_row("squall", n, 10) for n in (1, 2, 3))).extent == "3 rounds of 1 s"
    assert make_results(*(make_row("squall", n, 10) for n in range(1, 7))).extent == "3 to 6 rounds of 1 s"


def test_quiet_is_said_of_turns_that_were_watched() -> None:
    rows = [make_row("squall", n, 10, quiet=quiet) for n, quiet in enumerate((0.5, 0.0, 1.0, None), 1)]
    assert make_results(*rows, make_row("squall", 5, 10)).quiet == (0.5, 1, 3)


def test_rounds_without_quiet_do_not_count_if_enough_others_had_some() -> None:
    ours = [make_row("squall", n, 10, quiet=0.5) for n in (1, 2, 3)] + [make_row("squall", 4, 90, quiet=0.0)]
    theirs = [make_row("tornado", n, 100, quiet=0.1) for n in (1, 2, 3)] + [make_row("tornado", 4, 90, quiet=0.1)]
    results = make_results(*ours, *theirs)
    assert results.summary("hello", "wrk25", "squall", "cpu_us") == Summary(10, 10, 10, 3)
    assert results.ratio("hello", "wrk25", "tornado", "squall", "cpu_us") == 10
    few = make_results(*ours[1:], *theirs)
    assert few.value("hello", "wrk25", "squall", "cpu_us") == 10
    assert few.summary("hello", "wrk25", "squall", "cpu_us") == Summary(10, 10, 90, 3)


def test_ratio_of_quiet_rounds_that_never_met() -> None:
    ours = [make_row("squall", n, 10, quiet=0.5 if n < 4 else 0.0) for n in range(1, 7)]
    theirs = [make_row("tornado", n, 80 if n > 3 else 300, quiet=0.5 if n > 3 else 0.0) for n in range(1, 7)]
    assert make_results(*ours, *theirs).ratio("hello", "wrk25", "tornado", "squall", "cpu_us") == 8


def test_ratio_leaves_out_rounds_that_one_lacks() -> None:
    rows = make_row("squall", 1, 10), make_row("squall", 2, 10), make_row("tornado", 2, 50)
    assert make_results(*rows).ratio("hello", "wrk25", "tornado", "squall", "cpu_us") == 5


def test_what_was_not_measured_is_no_number() -> None:
    results = make_results(make_row("squall", 1, 10))
    assert math.isnan(results.ratio("hello", "wrk25", "tornado", "squall", "cpu_us"))
    assert math.isnan(results.value("hello", "ab", "squall", "cpu_us"))
    assert results.summary("page", "wrk25", "squall", "rate") is None


def test_names_loads_and_failures() -> None:
    results = make_results(
        make_row("squall", 1, 10, failed=2), make_row("squall", 2, 10, failed=1), make_row("a", 1, 9, load="ab")
    )
    assert results.names("hello") == ["squall", "a"]
    assert results.names("hello", "ab") == ["a"]
    assert results.loads("hello") == ["wrk25", "ab"]
    assert results.failed("hello", "wrk25", "squall") == 3


def test_the_hardest_peer_counts() -> None:
    rows = make_row("squall", 1, 10), make_row("fastapi", 1, 90), make_row("robyn", 1, 30)
    found = {one.target.name: one for one in judge(make_results(*rows))}["hello: squall / fastapi, robyn"]
    assert (found.found, found.holds) == (3, False)


def test_targets_of_a_run_that_measured_nothing() -> None:
    assert {one.holds for one in judge(make_results())} == {None}
    assert list_ratios(make_results()) == {}


def test_upper_limits() -> None:
    rows = make_row("squall", 1, 12), make_row("constant on uvloop", 1, 10)
    name = "hello, CPU: squall / constant on uvloop"
    assert {one.target.name: one.holds for one in judge(make_results(*rows))}[name] is True
    assert {one.target.name: one.holds for one in judge(make_results(make_row("squall", 1, 14), rows[1]))}[
        name
    ] is False
    # In the baseline more is better throughout.
    assert list_ratios(make_results(*rows))[name] == pytest.approx(10 / 12)


def test_memory_and_failed_requests() -> None:
    stack = [
        make_row(name, 1, 10, job="stack", load="ab", failed=1) for name in ("nginx + squall", "nginx + free backend")
    ]
    results = make_results(*stack, memory={"squall": {"start_mb": 30.5, "connection_bytes": 2100}})
    found = {one.target.name: one for one in judge(results)}
    assert found["memory of a frontend after its start"].holds is True
    assert found["memory per idle connection"].holds is False
    assert found["stack, ab: failed requests"].holds is False


def test_names_of_targets_differ() -> None:
    assert len({target.name for target in TARGETS}) == len(TARGETS)
