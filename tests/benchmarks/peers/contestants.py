"""Who takes part, as a table: which environment, how it is started, which jobs it has.

One process and one worker each, as one frontend of the appliance is; settings as each one's own documentation advises
for production. Where that leaves a choice, it was made in the peer's favour: their access logs are off, ours is on.
"""

import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from importlib.metadata import distributions
from pathlib import Path

APPLICATIONS = "tests.benchmarks.peers.applications"
ASYNC_JOBS = ("row", "rows", "post", "static", "echo", "fan-out")


@dataclass(frozen=True)
class Contestant:
    """One server with its framework. In the commands {port} stands for the port, {path} for a unix socket."""

    name: str
    environment: str
    package: str
    tcp: Sequence[str]
    unix: Sequence[str] = ()
    jobs: Sequence[str] = ("hello",)
    note: str = ""
    prefix: str = ""
    variables: Mapping[str, str] = field(default_factory=dict)


def own(
    name: str, module: str, jobs: Sequence[str], note: str, environment: str = "main", package: str = ""
) -> Contestant:
    """A contestant that is a program of its own."""
    command = ["-m", f"{APPLICATIONS}.{module}"]
    tcp, unix = [*command, "--port", "{port}"], [*command, "--unix", "{path}"]
    return Contestant(name, environment, package or module, tcp, unix, ("hello", *jobs), note)


def uvicorn(name: str, application: str, jobs: Sequence[str], note: str, package: str, prefix: str = "") -> Contestant:
    """An ASGI application under uvicorn with what makes it fast."""
    command = ["-m", "uvicorn", f"{APPLICATIONS}.{application}", "--loop", "uvloop", "--http", "httptools"]
    command += ["--no-access-log", "--log-level", "warning", "--backlog", "4096"]
    tcp, unix = [*command, "--port", "{port}"], [*command, "--uds", "{path}"]
    return Contestant(name, "main", package, tcp, unix, ("hello", *jobs), note, prefix)


def gunicorn(name: str, application: str, jobs: Sequence[str], note: str, package: str) -> Contestant:
    """A WSGI application under gunicorn; threads, since its plain worker closes every connection."""
    command = ["-m", "gunicorn", f"{APPLICATIONS}.{application}", "-k", "gthread", "--threads", "4"]
    command += ["--log-level", "warning", "--backlog", "2048"]
    tcp, unix = [*command, "-w", "1", "-b", "127.0.0.1:{port}"], [*command, "-w", "{workers}", "-b", "unix:{path}"]
    return Contestant(name, "main", package, tcp, unix, ("hello", *jobs), note)


def granian(interface: str, jobs: Sequence[str]) -> Contestant:
    """Granian, bare, on one of its interfaces."""
    command = ["-m", "granian", f"{APPLICATIONS}.bare_asgi:{interface}", "--interface", interface]
    command += ["--log-level", "warning", "--backlog", "4096"]
    tcp = [*command, "--workers", "1", "--host", "127.0.0.1", "--port", "{port}"]
    unix = [*command, "--workers", "{workers}", "--uds", "{path}"]
    loop = [] if interface == "wsgi" else ["--loop", "uvloop"]
    title = f"granian {interface.upper()}, bare"
    return Contestant(title, "main", "granian", [*tcp, *loop], [*unix, *loop], ("hello", *jobs), "Rust; no framework")


CONTESTANTS = (
    own(
        "squall",
        "squall",
        ("page", *ASYNC_JOBS, "crowd", "routes"),
        "framework, uvloop; access log on",
        package="squall",
    ),
    replace(
        own("squall, 1 route", "squall", (), "the same with one route", package="squall"),
        jobs=("routes",),
        variables={"BENCH_ROUTES": "1"},
    ),
    own("constant on uvloop", "constant", (), "a limit: no parsing, no framework", package="uvloop"),
    Contestant("nginx constant", "", "nginx", (), note="a limit: `return 200`", jobs=("hello", "static")),
    own("tornado", "tornado", ("page", *ASYNC_JOBS), "asyncio, as its guide starts it; MySQL through our driver"),
    own("aiohttp", "aiohttp", ASYNC_JOBS, "uvloop; asyncmy"),
    own("sanic", "sanic", ("post", "static", "echo"), "single process, uvloop, httptools", "sanic"),
    uvicorn("uvicorn, bare", "bare_asgi:asgi", ("post",), "uvloop, httptools; no framework", "uvicorn"),
    uvicorn(
        "starlette",
        "starlette:application",
        ("page", *ASYNC_JOBS),
        "uvicorn; Jinja2, asyncmy",
        "starlette",
        prefix="/s",
    ),
    uvicorn(
        "fastapi",
        "fastapi:application",
        ("page", "row", "rows", "post"),
        "uvicorn; Jinja2, asyncmy",
        "fastapi",
        prefix="/s",
    ),
    granian("rsgi", ("post",)),
    granian("asgi", ("post",)),
    granian("wsgi", ("post",)),
    uvicorn("blacksheep", "blacksheep:application", ("post",), "uvicorn", "blacksheep"),
    own("robyn", "robyn", ("post",), "Rust; one process, one worker", "robyn"),
    own("socketify", "socketify", ("echo",), "µWebSockets in C++; synchronous handlers", "socketify"),
    gunicorn("falcon", "falcon:application", ("post",), "gunicorn, 4 threads", "falcon"),
    gunicorn(
        "flask", "flask:application", ("page", "row", "rows", "post", "static"), "gunicorn, 4 threads; PyMySQL", "flask"
    ),
    gunicorn("django", "django:application", ("row", "rows", "post"), "gunicorn, 4 threads; PyMySQL", "django"),
    own("cherrypy", "cherrypy", ("post",), "its own server, production settings"),
    gunicorn("web.py", "webpy:application", ("post",), "gunicorn, 4 threads", "web.py"),
)
BY_NAME = {contestant.name: contestant for contestant in CONTESTANTS}


def select(names: Sequence[str]) -> list[Contestant]:
    """The contestants of these short names; all of them without any.

    Raises:
        ValueError: a name means nobody.
    """
    by_name = {short_name(contestant): contestant for contestant in CONTESTANTS}
    if unknown := [name for name in names if name not in by_name]:
        raise ValueError(f"--peers: nobody is called {', '.join(unknown)}; there are {', '.join(by_name)}")
    return [contestant for name, contestant in by_name.items() if not names or name in names]


def short_name(contestant: Contestant) -> str:
    """The name as the command line takes it."""
    return contestant.name.replace(", bare", "").replace(",", "").replace(" ", "-")


def read_versions(environments: Path | None, chosen: Sequence[Contestant]) -> dict[str, str]:
    """The installed version of each contestant's package, by contestant."""
    found = {}
    for contestant in chosen:
        folder = environments / contestant.environment / "lib" if environments else Path(sys.prefix) / "lib"
        for place in folder.glob("python*/site-packages"):
            for distribution in distributions(name=contestant.package, path=[str(place)]):
                found[contestant.name] = distribution.version
    return found
