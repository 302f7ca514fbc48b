"""Medians, spreads and ratios."""

import math

import pytest

from tests.benchmarks.rounds import Summary, median, ratio, summarize


@pytest.mark.parametrize(("values", "expected"), [([3, 1, 2], 2), ([4, 1, 2, 3], 2.5), ([7], 7)])
def test_median(values: list[float], expected: float) -> None:
    assert median(values) == expected


def test_median_of_nothing() -> None:
    with pytest.raises(ValueError, match="at least one"):
        median([])


def test_summary() -> None:
    found = summarize([10, 30, 20])
    assert found == Summary(20, 10, 30, 3)
    assert found.spread == 1
    assert summarize([0, 0]).spread == 0


def test_ratio_to_nothing_is_no_number() -> None:
    assert ratio(3, 2) == 1.5
    assert math.isnan(ratio(3, 0))
