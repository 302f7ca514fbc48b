"""One job after another: its contestants started and verified, warmed up, measured in turns, ended.

Who has not its turn is stopped meanwhile.
"""

import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, nullcontext
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from statistics import fmean
from typing import Any

import uvloop

from tests.benchmarks import clients, machine
from tests.benchmarks.loads import LOADS, Load, LoadError, Outcome, Target, run
from tests.benchmarks.peers import content
from tests.benchmarks.peers.contestants import Contestant
from tests.benchmarks.peers.jobs import HTTP_LOADS, JOBS, Job, prepare_files, prepare_headers, verify
from tests.benchmarks.quiet import Watch, shared_watch, try_for_quiet
from tests.benchmarks.servers import (
    Command,
    Server,
    ServerError,
    awake,
    choose_cores,
    find_free_port,
    on_core_of_load,
    python_of,
    rest,
)
from tests.support import mysql

WARM_UP_S = 1.0
# A load that failed may have met a bad moment; one that fails again is not tried a third time.
MAX_FAILURES = 2
# Under the loads with the narrowest targets a turn without quiet is done again.
NARROW_TRIES = 3
NGINX = """worker_processes 1; pid {folder}/nginx.pid; error_log stderr warn; daemon off;
events {{ worker_connections 16384; }}
http {{
    access_log off; default_type text/html; keepalive_requests 100000000; sendfile on; tcp_nopush on;
    client_body_temp_path {folder}/b; proxy_temp_path {folder}/p; fastcgi_temp_path {folder}/f;
    uwsgi_temp_path {folder}/u; scgi_temp_path {folder}/s;
    server {{
        listen 127.0.0.1:{port} backlog=4096 deferred;
        location / {{ return 200 "{hello}"; }}
        location /static/ {{ alias {static}/; }}
    }}
}}
"""


@dataclass(frozen=True)
class Plan:
    """What to measure, and how long."""

    contestants: Sequence[Contestant]
    jobs: Sequence[str]
    loads: Sequence[str]
    rounds: int
    seconds: float
    environments: Path | None
    folder: Path

    def numbers(self, factor: int = 1) -> range:
        """Those of the rounds of one load, `factor` times as many as planned. 0 warms up and is thrown away."""
        return range(self.rounds * factor + 1)


@dataclass
class Findings:
    """All rounds as rows, and who could not take part, with the reason."""

    rows: list[dict[str, Any]] = field(default_factory=list)
    absent: dict[str, str] = field(default_factory=dict)

    def add(self, job: str, load: str, name: str, number: int, outcome: Outcome, **more: float) -> None:
        """Note one round, with what else is known of it."""
        self.rows.append(
            {
                "job": job,
                "load": load,
                "name": name,
                "round": number,
                "requests": outcome.requests,
                "seconds": round(outcome.seconds, 4),
                "rate": round(outcome.rate, 1),
                "cpu_us": round(outcome.cpu_us, 2),
                "system_us": round(outcome.per_request_us(outcome.system_s), 2),
                "load_us": round(outcome.per_request_us(outcome.load_cpu_s), 2),
                "p50_ms": round(outcome.p50_ms, 3),
                "p99_ms": round(outcome.p99_ms, 3),
                "failed": outcome.failed,
                "quiet": None if outcome.quiet is None else round(outcome.quiet, 3),
                "load_average": machine.read_load().split()[0],
                **more,
            }
        )


@contextmanager
def database(folder: Path) -> Iterator[str]:
    """The socket of a private server with the table that the jobs read."""
    place = folder / "mysql"
    shutil.rmtree(place, ignore_errors=True)
    place.mkdir()
    server = mysql.Server(place)
    try:
        server.install()
        with server.connect_as_root() as db, db.cursor() as cursor:
            cursor.execute("USE test")
            cursor.execute("CREATE TABLE entry (id INT PRIMARY KEY, title TEXT, author VARCHAR(64), likes INT)")
            from tests.benchmarks.peers.jobs import make_row

            rows = [make_row(number) for number in range(1, 1001)]
            cursor.executemany("INSERT INTO entry VALUES (%s, %s, %s, %s)", rows)
        yield server.socket
    finally:
        server.stop()


def make_command(contestant: Contestant, plan: Plan, database_socket: str) -> Command:
    """How the contestant is started on a free port."""
    port = find_free_port()
    if contestant.package == "nginx":
        arguments = ["/usr/sbin/nginx", "-e", "stderr", "-c", str(_write_nginx(plan.folder, port))]
    else:
        python = python_of(plan.environments, contestant.environment)
        if not Path(python).exists():
            raise ServerError(f"not installable here: {_read_reason(plan.environments, contestant.environment)}")
        arguments = [python, *(part.format(port=port) for part in contestant.tcp)]
    environment = {"BENCH_STATIC": str(plan.folder), "BENCH_DATABASE": database_socket, **contestant.variables}
    return Command(contestant.name, arguments, port, environment=environment, core=choose_cores()[0])


def _write_nginx(folder: Path, port: int) -> Path:
    path = folder / "constant.conf"
    path.write_text(NGINX.format(folder=folder, port=port, hello=content.HELLO, static=folder))
    return path


def _read_reason(environments: Path | None, name: str) -> str:
    """What the installation left behind when it failed."""
    reason = environments / f"{name}.failed" if environments else None
    return (
        reason.read_text().strip() if reason is not None and reason.exists() else f"the environment {name} is missing"
    )


def measure(plan: Plan, findings: Findings, say: Callable[[str], object]) -> None:
    """Add the rounds of the whole plan to the findings."""
    plan.folder.mkdir(parents=True, exist_ok=True)
    plan.folder.chmod(0o755)  # nginx's workers are somebody else
    body = prepare_files(plan.folder)
    clients.raise_file_limit()  # before the servers start: they inherit it
    with ExitStack() as stack:
        # The load generators and the database start here, and stay off the core of whom we measure.
        stack.enter_context(on_core_of_load())
        wants_database = any(JOBS[name].needs_database for name in plan.jobs)
        socket = stack.enter_context(database(plan.folder)) if wants_database else ""
        for name in plan.jobs:
            say(f"== {JOBS[name].title}")
            _measure_job(JOBS[name], plan, body, socket if JOBS[name].needs_database else "", findings, say)


def _measure_job(
    job: Job, plan: Plan, body: Path, socket: str, findings: Findings, say: Callable[[str], object]
) -> None:
    for lot in range(max(job.round_factors.values(), default=1)):
        # Where a process's memory happens to lie moves its figure by 2 or 3 %: narrow targets see several processes.
        loads = [load for load in _loads_of(job, plan) if job.round_factors.get(load.name, 1) > lot]
        if not loads:
            continue
        with ExitStack() as stack:
            ready = _start_all(job, plan, body, socket, findings, say, stack)
            for load in loads:
                _measure_load(job, load, ready, plan, findings, say, lot * plan.rounds)


def _loads_of(job: Job, plan: Plan) -> list[Load]:
    return [LOADS[name] for name in job.loads if name in plan.loads or job.loads[0] not in HTTP_LOADS]


type Ready = tuple[Contestant, Server, Target]


def _start_all(
    job: Job,
    plan: Plan,
    body: Path,
    socket: str,
    findings: Findings,
    say: Callable[[str], object],
    stack: ExitStack,
) -> list[Ready]:
    """All who do the job, answering as they must, and stopped until it is their turn."""
    ready: list[Ready] = []
    for contestant in plan.contestants:
        if job.name not in contestant.jobs:
            continue
        try:
            server = stack.enter_context(Server(make_command(contestant, plan, socket), plan.folder))
            headers = prepare_headers(job, server, contestant.prefix)
            verify(job, server, contestant.prefix, headers)
        except ServerError as error:
            findings.absent[f"{contestant.name}, {job.name}"] = str(error)
            say(f"   absent: {error}")
            continue
        path = (contestant.prefix if job.needs_login else "") + job.target
        url = f"http://127.0.0.1:{server.command.port}{path}"
        ready.append((contestant, server, Target(url, headers, body if job.is_post else None)))
        rest([server.pid])
    return ready


def _measure_load(
    job: Job,
    load: Load,
    ready: Sequence[Ready],
    plan: Plan,
    findings: Findings,
    say: Callable[[str], object],
    before: int = 0,
) -> None:
    """The rounds of one load; `before` have been by other processes."""
    failures: dict[str, int] = {}
    tries = NARROW_TRIES if load.name in job.round_factors else 1
    # All take turns within each round, so that a noisy minute hits everybody.
    for turn in plan.numbers():
        number = turn and before + turn
        for contestant, server, target in ready:
            if failures.get(contestant.name, 0) >= MAX_FAILURES:
                continue
            try:
                with awake([server.pid]):
                    seconds = plan.seconds if number else WARM_UP_S
                    turn_once = partial(apply, load, server, target, seconds, shared_watch())
                    outcome = try_for_quiet(turn_once, tries if number else 1)
            except LoadError as error:
                failures[contestant.name] = failures.get(contestant.name, 0) + 1
                findings.absent[f"{contestant.name}, {job.name}, {load.name}, round {number}"] = str(error)
                say(f"   {contestant.name}: {error}")
                continue
            if number:
                findings.add(job.name, load.name, contestant.name, number, outcome)
        if number:
            last = findings.rows[-len(ready) :]
            of_round = [row for row in last if (row["load"], row["round"]) == (load.name, number)]
            line = ", ".join(f"{row['name']} {row['cpu_us']:.1f}" for row in of_round)
            say(f"   {load.name}, round {number}, µs: {line}{say_quiet(of_round)}")


def say_quiet(rows: Sequence[Mapping[str, Any]]) -> str:
    """What part of the rows' time was quiet, where somebody watched."""
    shares = [row["quiet"] for row in rows if row["quiet"] is not None]
    return f"; {fmean(shares):.0%} in quiet" if shares else ""


def apply(load: Load, server: Server, target: Target, seconds: float, watch: Watch | None = None) -> Outcome:
    """What the load counted, with the server's CPU time: that of quiet moments, if somebody watches.

    Raises:
        LoadError: the load could not be made.
    """
    port = server.command.port
    if load.tool == "long-poll":
        return uvloop.run(_fan_out(server, port, load.connections))
    before = server.usage()
    if load.tool == "websocket":
        outcome = uvloop.run(clients.echo("127.0.0.1", port, load.connections, seconds))
        return outcome.with_cpu(server.usage() - before)
    with watch.beside([server.pid]) if watch else nullcontext():
        outcome = run(load, target, seconds)
    outcome = outcome.with_cpu(server.usage() - before)
    return watch.in_quiet(outcome) if watch else outcome


async def _fan_out(server: Server, port: int, count: int) -> Outcome:
    waiting = await clients.wait_together("127.0.0.1", port, count)
    try:
        # Only the waking counts: connecting is measured elsewhere.
        before = server.usage()
        outcome = await waiting.wake()
        return outcome.with_cpu(server.usage() - before)
    finally:
        waiting.close()
