"""Horizontal bars as SVG and PNG, drawn by matplotlib without a display."""

import textwrap
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

NAME_WIDTH = 22
OURS, LIMIT, OTHERS = "#d9480f", "#868e96", "#4c6ef5"


@dataclass(frozen=True)
class Bar:
    """One bar, with how far the rounds lie apart."""

    name: str
    value: float
    low: float
    high: float
    color: str = OTHERS


def choose_color(name: str) -> str:
    """Ours and the limits stand out."""
    if "squall" in name:
        return OURS
    return LIMIT if "constant" in name or "free" in name else OTHERS


def draw(title: str, unit: str, bars: Sequence[Bar], path: Path) -> list[Path]:
    """The files written: `path` with the endings .svg and .png. The bars stand in the order given, from above."""
    import matplotlib

    matplotlib.use("Agg")
    # The same figures give the same bytes, so that a committed chart changes only with them.
    matplotlib.rcParams["svg.hashsalt"] = "squall"
    # A page shows it at this width, a phone at three quarters of it: the letters must bear that.
    matplotlib.rcParams["font.size"] = 10.5
    from matplotlib.figure import Figure
    from matplotlib.ticker import MaxNLocator

    names = ["\n".join(textwrap.fill(line, NAME_WIDTH) for line in bar.name.split("\n")) for bar in bars][::-1]
    lines = max((name.count("\n") + 1 for name in names), default=1)
    figure = Figure(figsize=(5.4, 0.95 + (0.14 + 0.16 * lines) * len(bars)), layout="constrained")
    axes = figure.subplots()
    values = [bar.value for bar in bars][::-1]
    errors = [
        [max(0.0, bar.value - bar.low) for bar in bars][::-1],
        [max(0.0, bar.high - bar.value) for bar in bars][::-1],
    ]
    drawn = axes.barh(names, values, color=[bar.color for bar in bars][::-1], xerr=errors, ecolor="#495057", capsize=2)
    axes.bar_label(
        drawn, labels=[f" {value:,.0f}" if value >= 100 else f" {value:,.1f}" for value in values], padding=3
    )
    figure.suptitle(title, x=0.01, ha="left", fontweight="bold")
    axes.set_xlabel(unit)
    axes.spines[["top", "right"]].set_visible(False)
    axes.tick_params(axis="y", length=0)
    axes.xaxis.set_major_locator(MaxNLocator(5))
    axes.xaxis.set_major_formatter(lambda value, _: f"{value:,.0f}")
    axes.margins(x=0.2, y=0.02)
    path.parent.mkdir(parents=True, exist_ok=True)
    written = [path.with_suffix(".svg"), path.with_suffix(".png")]
    figure.savefig(written[0], metadata={"Date": None, "Creator": None})
    figure.savefig(written[1], dpi=130)
    # matplotlib leaves blanks at the ends of lines, which version control would complain of.
    svg = written[0].read_text()
    written[0].write_text("\n".join(line.rstrip() for line in svg.splitlines()) + "\n")
    return written
