"""Why a target was missed, in the figures of that very run: nothing is said that the run does not show.

What the kernel takes and what nginx takes is the same for everybody, so most reasons are a sum: what is left for our
own code, and what that takes.
"""

import math
from collections.abc import Callable, Sequence

from tests.benchmarks.peers.contestants import BY_NAME
from tests.benchmarks.results import Results
from tests.benchmarks.targets import PYTHON_SERVERS, ROW_PEERS, SEED, Judged

LIMIT = "constant on uvloop"
# What we do and the constant answer does not.
OWN_WORK = "reading the head, route, handler, entity tag, access log and metrics"


def _us(results: Results, job: str, load: str, name: str) -> str:
    """The CPU time of a request, and how much of it the kernel took."""
    whole, kernel = (results.value(job, load, name, what) for what in ("cpu_us", "system_us"))
    return f"{whole:.1f} µs" + ("" if math.isnan(kernel) else f" ({kernel:.1f} of them in the kernel)")


def _hardest(results: Results, others: Sequence[str], job: str, load: str) -> str:
    """Who of the others takes the least CPU time."""
    known = [name for name in others if not math.isnan(results.value(job, load, name, "cpu_us"))]
    return min(known, key=lambda name: results.value(job, load, name, "cpu_us"))


Reason = Callable[[Results, float], str]


def beside_limit(load: str) -> Reason:
    """Why we are too far above the constant answer."""

    def explain(results: Results, limit: float) -> str:
        least = results.value("hello", load, LIMIT, "cpu_us")
        ours = results.value("hello", load, "squall", "cpu_us")
        return (
            f"The constant answer takes {_us(results, 'hello', load, LIMIT)}, "
            f"Squall {_us(results, 'hello', load, 'squall')}. The target leaves {least * (limit - 1):.1f} µs for "
            f"{OWN_WORK}; they take {ours - least:.1f}."
        )

    return explain


def beside_peers(others: Sequence[str], job: str = "hello", load: str = "wrk25") -> Reason:
    """Why we are not far enough ahead of them."""

    def explain(results: Results, limit: float) -> str:
        name = _hardest(results, others, job, load)
        ours, theirs = (results.value(job, load, one, "cpu_us") for one in ("squall", name))
        wanted = theirs / limit
        text = f"{name} takes {_us(results, job, load, name)}, Squall {_us(results, job, load, 'squall')}; "
        text += f"{limit:g} times as fast would be {wanted:.1f} µs" if limit != 1 else "the target is to be no slower"
        least = results.value("hello", load, LIMIT, "cpu_us")
        if job != "hello" or math.isnan(least):
            return text + "."
        return (
            f"{text}. The constant answer, which reads nothing, takes {least:.1f} of that: {wanted - least:.1f} µs are "
            f"left for {OWN_WORK}, and they take {ours - least:.1f}."
        )

    return explain


def beside_peers_with_headers(others: Sequence[str]) -> Reason:
    """The same with a browser's headers, and what these cost beside a request without."""
    sum_up = beside_peers(others, load="browser")

    def explain(results: Results, limit: float) -> str:
        name = _hardest(results, others, "hello", "browser")
        plain, dear = (
            {one: results.value("hello", load, one, "cpu_us") for one in ("squall", name)}
            for load in ("wrk25", "browser")
        )
        if any(math.isnan(value) for value in plain.values()):
            return sum_up(results, limit)
        return (
            f"{sum_up(results, limit)} Without these headers {name} takes {plain[name]:.1f} and Squall "
            f"{plain['squall']:.1f}: to receive and check them costs {dear[name] - plain[name]:.1f} µs there and "
            f"{dear['squall'] - plain['squall']:.1f} here ({BY_NAME[name].note})."
        )

    return explain


def beside_free_backend(load: str) -> Reason:
    """Why the stack is slower than one whose backends cost next to nothing."""

    def explain(results: Results, limit: float) -> str:
        ours, free = "nginx + squall", "nginx + free backend"
        load_us = results.value("stack", load, ours, "load_us")
        return (
            f"{_stack(results, load, ours)}; {_stack(results, load, free)}: by CPU time the ratio would be "
            f"{results.ratio('stack', load, free, ours, 'cpu_us'):.2f}. The load generator, one thread that shares "
            f"the cores with them, takes {load_us:.1f} µs of its own for each request; while it waits for a core, "
            "nobody asks."
        )

    return explain


def beside_stack(other: str, loads: Sequence[str] = ("ab-k", "wrk25")) -> Reason:
    """Why our stack is not far enough ahead of another."""

    def explain(results: Results, limit: float) -> str:
        name, load = f"nginx + {other}", _hardest_load(results, other, loads)
        measured = results.names("stack", load)
        names = dict.fromkeys(["nginx + squall", name, "nginx + free backend"])
        return f"With {load}: " + "; ".join(_stack(results, load, one) for one in names if one in measured) + "."

    return explain


def beside_stack_in_sum(other: str, loads: Sequence[str] = ("ab-k", "wrk25")) -> Reason:
    """As beside_stack, and what of the machine's time the target leaves for our frontends."""
    sum_up = beside_stack(other, loads)

    def explain(results: Results, limit: float) -> str:
        load = _hardest_load(results, other, loads)
        whole_us, backends_us, load_us, rate = (
            results.value("stack", load, "nginx + squall", what)
            for what in ("cpu_us", "backends_us", "load_us", "rate")
        )
        machine_us = int(results.machine["cores"]) * 1e6
        target_us = machine_us / (limit * results.value("stack", load, f"nginx + {other}", "rate"))
        nginx_us, nobody_us = whole_us - backends_us, max(machine_us / rate - whole_us - load_us, 0.0)
        text = (
            f"{sum_up(results, limit)} {limit:g} times as many requests would be {target_us:.1f} µs of "
            f"{results.machine['cores']} cores for each. Of ours, nginx takes {nginx_us:.1f}, the load generator "
            f"{load_us:.1f}, and {nobody_us:.1f} are nobody's (interrupts, and a core without work while others wait): "
            f"that leaves {target_us - nginx_us - load_us - nobody_us:.1f} for our frontends"
        )
        by_cpu = results.ratio("stack", load, f"nginx + {other}", "nginx + squall", "cpu_us")
        alone = f" By the CPU time of nginx and backends alone, it is {by_cpu:.2f} times as many."
        free_us = results.value("stack", load, "nginx + free backend", "backends_us")
        return text + ("." if math.isnan(free_us) else f"; the free backend takes {free_us:.1f}.") + alone

    return explain


def _hardest_load(results: Results, other: str, loads: Sequence[str]) -> str:
    """The load at which the other stack comes closest to ours."""
    known = [load for load in loads if load in results.loads("stack")]
    return min(known, key=lambda load: results.ratio("stack", load, "nginx + squall", f"nginx + {other}", "rate"))


def _stack(results: Results, load: str, name: str) -> str:
    whole, backends = (results.value("stack", load, name, what) for what in ("cpu_us", "backends_us"))
    return f"{name} takes {whole:.1f} µs, {backends:.1f} of them in the backends"


def beside_drivers(results: Results, limit: float) -> str:
    """Why a row from the database costs more than elsewhere: what it costs beside an answer without a database."""
    name = _hardest(results, ROW_PEERS, "row", "wrk25")
    rows = {one: results.value("row", "wrk25", one, "cpu_us") for one in ("squall", name)}
    plain = {one: results.value("hello", "wrk25", one, "cpu_us") for one in rows}
    text = f"{name} ({BY_NAME[name].note}) takes {_us(results, 'row', 'wrk25', name)}, "
    text += f"Squall {_us(results, 'row', 'wrk25', 'squall')}"
    if any(math.isnan(value) for value in plain.values()):
        return text + "."
    parts = {one: rows[one] - plain[one] for one in rows}
    return (
        f"{text}. Without the database the same servers take {plain[name]:.1f} and {plain['squall']:.1f}: the "
        f"database's driver and what goes with it are {parts[name]:.1f} µs there and {parts['squall']:.1f} here."
    )


def routes(results: Results, limit: float) -> str:
    """What a thousand routes cost."""
    many, one = (_us(results, "routes", "numbered", name) for name in ("squall", "squall, 1 route"))
    return f"A target that was not seen before takes {many} among 1,000 routes, {one} with one."


def start_memory(results: Results, limit: float) -> str:
    """What of a frontend's memory is not ours to save."""
    bare = results.memory.get(LIMIT, {}).get("start_mb", math.nan)
    ours = results.memory["squall"]["start_mb"]
    if math.isnan(bare):
        return f"It takes {ours:.1f} MB."
    return (
        f"A process with the interpreter and the loop alone (the constant answer) takes {bare:.1f} MB; the target "
        f"leaves {limit - bare:.1f} for the framework, the database's driver and the application, and they take "
        f"{ours - bare:.1f}."
    )


def connection_memory(results: Results, limit: float) -> str:
    """What a connection takes elsewhere."""
    known = {name: found["connection_bytes"] for name, found in results.memory.items()}
    return "Bytes for each: " + ", ".join(f"{name} {size:,.0f}" for name, size in known.items()) + "."


def fan_out(results: Results, limit: float) -> str:
    """What one event costs for each who waits."""
    requests, seconds, ours, theirs = (
        results.value("crowd", "crowd", "squall", what) for what in ("requests", "seconds", "cpu_us", "load_us")
    )
    return (
        f"Of the {seconds:.2f} s the frontend computed for {ours * requests / 1e6:.2f} "
        f"({ours:.1f} µs for each answer), the load generator, on another core, for {theirs * requests / 1e6:.2f}."
    )


def templates(results: Results, limit: float) -> str:
    """Which template is slower."""
    parts = [
        f"{name}: {took['squall']:.0f} µs, Jinja2 {took['jinja2']:.0f}" for name, took in results.templates.items()
    ]
    return "; ".join(parts) + "."


def failed(results: Results, limit: float) -> str:
    """How many failed, and of how many."""
    load = "ab-100k" if "ab-100k" in results.loads("stack") else "ab"
    return (
        f"{results.failed('stack', load, 'nginx + squall'):,} requests of {load} failed: a fault, no matter of speed."
    )


REASONS: dict[str, Reason] = {
    "hello, CPU: squall / constant on uvloop": beside_limit("wrk25"),
    "hello with a browser's headers, CPU: squall / constant": beside_limit("browser"),
    "hello, requests per CPU second: squall / tornado": beside_peers(("tornado",)),
    "hello without keep-alive (ab): squall / tornado": beside_peers(("tornado",), load="ab"),
    "hello: squall / uvicorn bare, granian RSGI": beside_peers(("uvicorn, bare", "granian RSGI, bare")),
    "hello: squall / starlette, aiohttp, sanic, blacksheep": beside_peers(
        ("starlette", "aiohttp", "sanic", "blacksheep")
    ),
    "hello: squall / fastapi, robyn": beside_peers(("fastapi", "robyn")),
    "hello: squall / the best of socketify, granian, robyn": beside_peers(PYTHON_SERVERS),
    "hello with a browser's headers: squall / the best of them": beside_peers_with_headers(PYTHON_SERVERS),
    "stack, kept: squall / free backend": beside_stack("free backend"),
    "stack, kept: squall / tornado in the seed's configuration": beside_stack(SEED),
    "stack, kept: squall / tornado in ours": beside_stack_in_sum("tornado"),
    "stack, kept: squall / uvicorn bare in ours": beside_stack("uvicorn, bare"),
    "stack, ab: failed requests": failed,
    "stack, ab: squall / free backend": beside_free_backend("ab"),
    "stack, ab: squall / tornado in the seed's configuration": beside_stack(SEED, ("ab",)),
    "page: squall / tornado": beside_peers(("tornado",), "page"),
    "page: squall / flask + Jinja2": beside_peers(("flask",), "page"),
    "page: squall / fastapi + Jinja2": beside_peers(("fastapi",), "page"),
    "row: squall / tornado with the same driver": beside_peers(("tornado",), "row"),
    "row: squall / the best peer with its best driver": beside_drivers,
    "templates alone: squall / Jinja2": templates,
    "1,000 routes / 1 route, requests per CPU second": routes,
    "memory of a frontend after its start": start_memory,
    "memory per idle connection": connection_memory,
    "one event to 10,000 long polls": fan_out,
}


def explain(judged: Judged, results: Results) -> str:
    """The reason, with the run's figures."""
    return REASONS[judged.target.name](results, judged.target.limit)
