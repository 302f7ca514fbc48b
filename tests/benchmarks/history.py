"""The runs of this machine, one JSON object a line; and the ratios that are kept with the code.

Only ratios are compared with the committed baseline: times say more about the machine than about the code.
"""

import json
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

BASELINE = Path(__file__).parent / "baseline.json"
# What lies within is noise on a machine that does other things as well.
NOISE = 0.15


@dataclass(frozen=True)
class Change:
    """A figure beside an older one."""

    name: str
    now: float
    then: float

    @property
    def factor(self) -> float:
        """now / then."""
        return self.now / self.then if self.then else 0.0

    @property
    def verdict(self) -> str:
        """What to think of it: more is better."""
        if self.factor < 1 - NOISE:
            return "worse"
        return "better" if self.factor > 1 + NOISE else "same"


def append(path: Path, kind: str, figures: Mapping[str, float], facts: Mapping[str, str]) -> None:
    """Add a run to the history."""
    path.parent.mkdir(parents=True, exist_ok=True)
    run = {"time": round(time.time()), "kind": kind, "figures": dict(figures), "machine": dict(facts)}
    with open(path, "a", encoding="utf-8") as file:
        file.write(json.dumps(run, ensure_ascii=False) + "\n")


def read_last(path: Path, kind: str) -> dict[str, float]:
    """The figures of the last run of that kind; nothing without. Lines cut short by a full disk are no runs."""
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except FileNotFoundError:
        return {}
    for line in reversed(lines):
        try:
            run: dict[str, Any] = json.loads(line)
        except ValueError:
            continue
        if run.get("kind") == kind:
            figures: dict[str, float] = run["figures"]
            return figures
    return {}


def read_baseline(kind: str, path: Path = BASELINE) -> dict[str, float]:
    """The committed ratios of that kind."""
    ratios: dict[str, float] = json.loads(path.read_text()).get(kind, {})
    return ratios


def write_baseline(kind: str, ratios: Mapping[str, float], path: Path = BASELINE) -> None:
    """Put these ratios in the place of that kind's."""
    kept = json.loads(path.read_text()) if path.exists() else {}
    kept[kind] = {name: float(f"{value:.3g}") for name, value in sorted(ratios.items())}
    path.write_text(json.dumps(kept, indent=2, ensure_ascii=False, sort_keys=True) + "\n")


def compare(now: Mapping[str, float], then: Mapping[str, float]) -> list[Change]:
    """What both have, in the order of `now`."""
    return [Change(name, value, then[name]) for name, value in now.items() if name in then]


def format_changes(changes: list[Change], than: str) -> str:
    """A Markdown table, or a sentence."""
    if not changes:
        return f"There is no {than} to compare with.\n"
    lines = [f"| | now | {than} | now / then | |", "| --- | ---: | ---: | ---: | --- |"]
    lines += [f"| {c.name} | {c.now:.3g} | {c.then:.3g} | {c.factor:.2f} | {c.verdict} |" for c in changes]
    return "\n".join(lines) + "\n"
