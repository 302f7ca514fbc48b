"""What the benchmark is to show, as a table: each target, the figure of a run, and whether it holds."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from tests.benchmarks.results import Results


@dataclass(frozen=True)
class Target:
    """One target. `find` gives the figure of a run, NaN where the run lacks it."""

    name: str
    limit: float
    find: Callable[[Results], float]
    is_upper: bool = False
    unit: str = "×"

    def judge(self, results: Results) -> "Judged":
        """The target with the figure of that run."""
        found = self.find(results)
        holds = found <= self.limit if self.is_upper else found >= self.limit
        return Judged(self, found, None if math.isnan(found) else holds)


@dataclass(frozen=True)
class Judged:
    """A target and the figure; `holds` is None where nothing was measured."""

    target: Target
    found: float
    holds: bool | None


def _cheaper(job: str, load: str, other: str) -> Callable[[Results], float]:
    """Requests per CPU second, ours / the other's."""
    return lambda results: results.ratio(job, load, other, "squall", "cpu_us")


def _dearer(load: str, other: str) -> Callable[[Results], float]:
    """CPU per request, ours / the other's."""
    return lambda results: results.ratio("hello", load, "squall", other, "cpu_us")


def _least(*figures: Callable[[Results], float]) -> Callable[[Results], float]:
    """The smallest of what was measured: the hardest comparison counts."""

    def find(results: Results) -> float:
        found = [value for figure in figures if not math.isnan(value := figure(results))]
        return min(found) if found else math.nan

    return find


def _against(others: Sequence[str], job: str = "hello", load: str = "wrk25") -> Callable[[Results], float]:
    return _least(*(_cheaper(job, load, other) for other in others))


def _faster(load: str, other: str) -> Callable[[Results], float]:
    """Requests per second of the stack, ours / the other's."""
    return lambda results: results.ratio("stack", load, "nginx + squall", f"nginx + {other}", "rate")


def _stack(other: str) -> Callable[[Results], float]:
    return _least(_faster("ab-k", other), _faster("wrk25", other))


PYTHON_SERVERS = ("socketify", "granian WSGI, bare", "granian RSGI, bare", "granian ASGI, bare", "robyn")
SEED = "tornado, the seed's configuration"
ROW_PEERS = ("aiohttp", "starlette", "fastapi", "flask", "django")
TARGETS = (
    Target("hello, CPU: squall / constant on uvloop", 1.35, _dearer("wrk25", "constant on uvloop"), True),
    Target(
        "hello with a browser's headers, CPU: squall / constant", 1.65, _dearer("browser", "constant on uvloop"), True
    ),
    Target("hello, requests per CPU second: squall / tornado", 12, _cheaper("hello", "wrk25", "tornado")),
    Target("hello without keep-alive (ab): squall / tornado", 4, _cheaper("hello", "ab", "tornado")),
    Target("hello: squall / uvicorn bare, granian RSGI", 1.8, _against(("uvicorn, bare", "granian RSGI, bare"))),
    Target(
        "hello: squall / starlette, aiohttp, sanic, blacksheep",
        2.5,
        _against(("starlette", "aiohttp", "sanic", "blacksheep")),
    ),
    Target("hello: squall / fastapi, robyn", 5, _against(("fastapi", "robyn"))),
    Target("hello: squall / the best of socketify, granian, robyn", 1, _against(PYTHON_SERVERS)),
    Target("hello with a browser's headers: squall / the best of them", 1, _against(PYTHON_SERVERS, load="browser")),
    Target("stack, kept: squall / free backend", 0.75, _stack("free backend")),
    Target("stack, kept: squall / tornado in the seed's configuration", 6, _stack(SEED)),
    Target("stack, kept: squall / tornado in ours", 4, _stack("tornado")),
    Target("stack, kept: squall / uvicorn bare in ours", 1.2, _stack("uvicorn, bare")),
    Target("stack, ab: failed requests", 0, lambda r: _failed(r), True, unit=""),
    Target("stack, ab: squall / free backend", 0.9, _faster("ab", "free backend")),
    Target("stack, ab: squall / tornado in the seed's configuration", 2.5, _faster("ab", SEED)),
    Target("page: squall / tornado", 4, _cheaper("page", "wrk25", "tornado")),
    Target("page: squall / flask + Jinja2", 4, _cheaper("page", "wrk25", "flask")),
    Target("page: squall / fastapi + Jinja2", 3, _cheaper("page", "wrk25", "fastapi")),
    Target("row: squall / tornado with the same driver", 2, _cheaper("row", "wrk25", "tornado")),
    Target(
        "row: squall / the best peer with its best driver",
        1.3,
        _against(ROW_PEERS, "row"),
    ),
    Target("templates alone: squall / Jinja2", 1, lambda r: _templates(r)),
    Target("1,000 routes / 1 route, requests per CPU second", 0.8, lambda r: _routes(r)),
    Target("memory of a frontend after its start", 35, lambda r: _memory(r, "start_mb"), True, unit="MB"),
    Target("memory per idle connection", 2048, lambda r: _memory(r, "connection_bytes"), True, unit="bytes"),
    Target("one event to 10,000 long polls", 1, lambda r: r.value("crowd", "crowd", "squall", "seconds"), True, "s"),
)


def _failed(results: Results) -> float:
    loads = [load for load in ("ab", "ab-100k") if "nginx + squall" in results.names("stack", load)]
    return sum(results.failed("stack", load, "nginx + squall") for load in loads) if loads else math.nan


def _templates(results: Results) -> float:
    return min((took["jinja2"] / took["squall"] for took in results.templates.values()), default=math.nan)


def _routes(results: Results) -> float:
    return results.ratio("routes", "numbered", "squall, 1 route", "squall", "cpu_us")


def _memory(results: Results, what: str) -> float:
    return results.memory.get("squall", {}).get(what, math.nan)


def judge(results: Results) -> list[Judged]:
    """All targets with the figures of that run."""
    return [target.judge(results) for target in TARGETS]


def list_ratios(results: Results) -> dict[str, float]:
    """The ratios of the run, more being better, for the baseline."""
    judged = [one for one in judge(results) if one.holds is not None and one.target.unit == "×"]
    return {one.target.name: 1 / one.found if one.target.is_upper else one.found for one in judged}
