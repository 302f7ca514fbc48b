"""Where the time of a job goes: one frontend under load, sampled by py-spy, as a flame graph.

    python -m tests.benchmarks.profile --job page --seconds 10
    python -m tests.benchmarks.profile --job stack --load ab

The frontend runs as it does beside its peers, with everything on that production has on; `stack` is the first of those
behind nginx. A flame graph of Python and C frames shows only the calls that lead into the kernel; the kernel's share is
printed beside it, from its own accounting.
"""

import argparse
import html
import re
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.benchmarks import accounting
from tests.benchmarks.clients import raise_file_limit
from tests.benchmarks.loads import LOADS, Load, LoadError, Outcome, Target, run
from tests.benchmarks.peers import contestants, stack
from tests.benchmarks.peers.jobs import JOBS, Job, prepare_files, prepare_headers, verify
from tests.benchmarks.peers.measuring import WARM_UP_S, Plan, apply, database, make_command
from tests.benchmarks.servers import Server, ServerError, on_core_of_load

# To unwind the frames of C, py-spy stops the process: the more often, the less of it is left to look at.
RATE_HZ = 100
LOADS_OF = {**{job.name: tuple(job.loads) for job in JOBS.values()}, stack.JOB: stack.STACK_LOADS}


@dataclass(frozen=True)
class Profiled:
    """The process that is watched, and what puts the load on it for so many seconds."""

    pid: int
    load: Callable[[float], Outcome]


def parse_arguments(arguments: list[str] | None = None) -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks.profile")
    parser.add_argument("--job", default="hello", choices=LOADS_OF)
    parser.add_argument("--load", default="", help="wrk25 without, or the first that the job has")
    parser.add_argument("--seconds", type=int, default=10)
    parser.add_argument("--environments", type=Path, default=None, help="as for tests.benchmarks.peers")
    parser.add_argument("--output", type=Path, default=Path("build/profile"))
    parsed = parser.parse_args(arguments)
    known = LOADS_OF[parsed.job]
    parsed.load = parsed.load or ("wrk25" if "wrk25" in known else known[0])
    if parsed.load not in LOADS:
        parser.error(f"--load: expected one of {', '.join(LOADS)}, got {parsed.load!r}")
    # A job can be asked in any way that its protocol allows: a page by ab, too.
    if LOADS[parsed.load].tool not in {LOADS[name].tool for name in known} | ({"ab"} if "wrk25" in known else set()):
        parser.error(f"--load: the job {parsed.job} has {', '.join(known)}, got {parsed.load!r}")
    return parsed


def record(pid: int, seconds: int, path: Path, title: str) -> None:
    """Sample the process into an SVG of that title.

    Raises:
        ServerError: py-spy can't; the message says what it says.
    """
    py_spy = Path(sys.executable).parent / "py-spy"
    command = [str(py_spy), "record", "--pid", str(pid), "--duration", str(seconds), "--rate", str(RATE_HZ)]
    done = subprocess.run([*command, "--native", "--output", str(path)], capture_output=True, text=True, check=False)
    if done.returncode or not path.exists():
        raise ServerError(f"py-spy: exit {done.returncode}: {(done.stdout + done.stderr).strip()[-400:]}")
    # It would say the command line, which runs over the edge of a page.
    text, title = path.read_text(encoding="utf-8"), html.escape(title)
    path.write_text(re.sub(r'(<text id="title"[^>]*>)[^<]*', lambda m: m[1] + title, text, count=1), encoding="utf-8")


@contextmanager
def start_frontend(job: Job, load: Load, plan: Plan) -> Iterator[Profiled]:
    """The frontend that does the job, on a core of its own."""
    body = prepare_files(plan.folder)
    raise_file_limit()
    with ExitStack() as held:
        held.enter_context(on_core_of_load())
        socket = held.enter_context(database(plan.folder)) if job.needs_database else ""
        (squall,) = plan.contestants
        server = held.enter_context(Server(make_command(squall, plan, socket), plan.folder))
        headers = prepare_headers(job, server, squall.prefix)
        verify(job, server, squall.prefix, headers)
        url = f"http://127.0.0.1:{server.command.port}{job.target}"
        target = Target(url, headers, body if job.is_post else None)
        yield Profiled(server.pid, lambda seconds: apply(load, server, target, seconds))


@contextmanager
def start_stack(load: Load, plan: Plan) -> Iterator[Profiled]:
    """The first frontend of all that stand behind our nginx."""
    with ExitStack() as held:
        running = stack.start("nginx + squall", plan, plan.folder, held)
        target = Target(f"http://127.0.0.1:{running.port}/")
        yield Profiled(running.backends[0], lambda seconds: run(load, target, seconds))


def watch(profiled: Profiled, seconds: int, path: Path, title: str) -> tuple[float, accounting.Usage]:
    """Requests per second while the process was watched, and the CPU time that it took.

    Raises:
        LoadError, ServerError: the load could not be made, or nobody could watch.
    """
    failed: list[Exception] = []

    def sample() -> None:
        try:
            record(profiled.pid, seconds, path, title)
        except ServerError as error:
            failed.append(error)

    profiled.load(WARM_UP_S)
    sampling = threading.Thread(target=sample)
    begun, before, requests = time.monotonic(), accounting.measure([profiled.pid]), 0
    sampling.start()
    # One event ends all long polls, long before the time is over.
    while (left_s := seconds - (time.monotonic() - begun)) > 0:
        requests += profiled.load(max(1.0, left_s)).requests
    took_s, usage = time.monotonic() - begun, accounting.measure([profiled.pid]) - before
    sampling.join()
    if failed:
        raise failed[0]
    return requests / took_s, usage


@dataclass(frozen=True)
class Profile:
    """What was watched, requests per second meanwhile, and the kernel's share of the CPU time."""

    title: str
    rate: float
    kernel: float


def draw(job_name: str, load_name: str, seconds: int, environments: Path | None, path: Path) -> Profile:
    """Put the load on the job and draw where its time goes into an SVG.

    Raises:
        LoadError, ServerError: as watch.
    """
    load, job = LOADS[load_name], JOBS.get(job_name)
    title = f"{job.title if job else 'one of the frontends behind nginx'}, {load.title}"
    with tempfile.TemporaryDirectory(prefix="squall-profile-") as folder:
        Path(folder).chmod(0o755)
        absolute = environments.absolute() if environments else None
        plan = Plan(contestants.select(["squall"]), [job_name], [load.name], 1, seconds, absolute, Path(folder))
        with start_frontend(job, load, plan) if job else start_stack(load, plan) as profiled:
            rate, usage = watch(profiled, seconds, path, title)
    return Profile(title, rate, usage.system_s / usage.cpu_s)


def main() -> None:
    arguments = parse_arguments()
    arguments.output.mkdir(parents=True, exist_ok=True)
    path = arguments.output / f"{arguments.job}-{arguments.load}.svg"
    try:
        drawn = draw(arguments.job, arguments.load, arguments.seconds, arguments.environments, path)
    except (ServerError, LoadError) as error:
        sys.exit(f"profile: {error}")
    print(f"{drawn.title}: {drawn.rate:,.0f} requests/s while it was watched")
    print(f"CPU: {1 - drawn.kernel:.0%} in the process, {drawn.kernel:.0%} in the kernel")
    print(f"flame graph: {path}")


if __name__ == "__main__":
    main()
