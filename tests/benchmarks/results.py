"""The rounds of a run, asked for medians and ratios."""

import math
from collections.abc import Mapping
from statistics import fmean
from typing import Any

from tests.benchmarks.rounds import Summary, median, ratio, summarize

Rows = list[Mapping[str, Any]]
# With fewer quiet rounds than that, all of them count.
FEWEST_QUIET = 3


class Results:
    """What `python -m tests.benchmarks.peers` has written, as it was read from results.json."""

    def __init__(self, results: Mapping[str, Any]) -> None:
        self.machine: Mapping[str, str] = results["machine"]
        self.versions: Mapping[str, str] = results.get("versions", {})
        self.absent: Mapping[str, str] = results.get("absent", {})
        self.memory: Mapping[str, Mapping[str, float]] = results.get("memory", {})
        self.templates: Mapping[str, Mapping[str, float]] = results.get("templates", {})
        self.profiles: Mapping[str, Mapping[str, Any]] = results.get("profiles", {})
        self.rounds: int = results["rounds"]
        self.seconds: float = results["seconds"]
        self._rows: Rows = results["rows"]

    @property
    def extent(self) -> str:
        """How many rounds there were of each load, and how long they were."""
        most = max((row["round"] for row in self._rows), default=self.rounds)
        return f"{self.rounds}{f' to {most}' if most > self.rounds else ''} rounds of {self.seconds:g} s"

    @property
    def quiet(self) -> tuple[float, int, int]:
        """The part of the watched time that was quiet, how many turns had too little of that, and of how many turns."""
        shares = [row["quiet"] for row in self._rows if row.get("quiet") is not None]
        return (fmean(shares) if shares else 0.0), shares.count(0), len(shares)

    def names(self, job: str, load: str | None = None) -> list[str]:
        """Who was measured at that job, in the order of the run."""
        found = (row["name"] for row in self._rows if row["job"] == job and load in (None, row["load"]))
        return list(dict.fromkeys(found))

    def loads(self, job: str) -> list[str]:
        """The loads of that job."""
        return list(dict.fromkeys(row["load"] for row in self._rows if row["job"] == job))

    def summary(self, job: str, load: str, name: str, what: str) -> Summary | None:
        """What the rounds say of `what`; None if there are none."""
        values = [row[what] for row in self._select(job, load, name) if what in row]
        return summarize(values) if values else None

    def value(self, job: str, load: str, name: str, what: str) -> float:
        """The median; NaN without rounds."""
        found = self.summary(job, load, name, what)
        return found.median if found else math.nan

    def ratio(self, job: str, load: str, name: str, other: str, what: str) -> float:
        """The median of the rounds' own ratios, name / other: both ran side by side in the same noise."""
        ours = {row["round"]: row[what] for row in self._select(job, load, name)}
        theirs = {row["round"]: row[what] for row in self._select(job, load, other)}
        both = [ratio(ours[number], theirs[number]) for number in ours if number in theirs]
        if len(both) < FEWEST_QUIET and ours and theirs:
            # Both had quiet turns, but seldom in the same round.
            return ratio(median(list(ours.values())), median(list(theirs.values())))
        return median(both) if both else math.nan

    def failed(self, job: str, load: str, name: str) -> int:
        """Failed requests of all rounds."""
        return sum(row["failed"] for row in self._all(job, load, name))

    def _select(self, job: str, load: str, name: str) -> Rows:
        """The rounds that count: those that had some quiet, unless they are too few."""
        rows = self._all(job, load, name)
        quiet = [row for row in rows if row.get("quiet") != 0]
        return quiet if len(quiet) >= FEWEST_QUIET else rows

    def _all(self, job: str, load: str, name: str) -> Rows:
        return [row for row in self._rows if (row["job"], row["load"], row["name"]) == (job, load, name)]
