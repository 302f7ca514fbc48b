"""Medians, spreads and ratios of a handful of rounds."""

import math
from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Summary:
    """What several rounds say: the median, and how far the rounds lie apart."""

    median: float
    low: float
    high: float
    rounds: int

    @property
    def spread(self) -> float:
        """The distance from the lowest to the highest round, as a part of the median; 0 for a single round."""
        return (self.high - self.low) / self.median if self.median else 0.0


def median(values: Sequence[float]) -> float:
    """The middle value, or the mean of both middle ones.

    Raises:
        ValueError: there are no values.
    """
    if not values:
        raise ValueError("median: expected at least one value")
    ordered = sorted(values)
    middle = len(ordered) // 2
    return ordered[middle] if len(ordered) % 2 else (ordered[middle - 1] + ordered[middle]) / 2


def summarize(values: Sequence[float]) -> Summary:
    """The summary of the rounds.

    Raises:
        ValueError: there are no values.
    """
    return Summary(median(values), min(values), max(values), len(values))


def ratio(value: float, reference: float) -> float:
    """value / reference; NaN where the reference is 0."""
    return value / reference if reference else math.nan
