"""Where the time of a job goes: one frontend under load, sampled by py-spy, as a flame graph.

    python -m tests.benchmarks.profile --job page --load wrk25 --seconds 10

The frontend runs as it does beside its peers, with everything on that production has on. The kernel's share does not
show in a flame graph of Python and C frames; it is printed beside it, from the kernel's own accounting.
"""

import argparse
import subprocess
import sys
import tempfile
import threading
from contextlib import ExitStack
from pathlib import Path

from tests.benchmarks import accounting
from tests.benchmarks.loads import LOADS, LoadError, Target, run
from tests.benchmarks.peers import contestants
from tests.benchmarks.peers.jobs import HTTP_LOADS, JOBS, prepare_files, prepare_headers, verify
from tests.benchmarks.peers.measuring import Plan, database, make_command
from tests.benchmarks.servers import Server, ServerError

PROFILED = [job.name for job in JOBS.values() if set(job.loads) & set(HTTP_LOADS)]
RATE_HZ = 250


def parse_arguments(arguments: list[str] | None = None) -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks.profile")
    parser.add_argument("--job", default="hello", choices=PROFILED)
    parser.add_argument("--load", default="wrk25", choices=HTTP_LOADS)
    parser.add_argument("--seconds", type=int, default=10)
    parser.add_argument("--environments", type=Path, default=None, help="as for tests.benchmarks.peers")
    parser.add_argument("--output", type=Path, default=Path("build/profile"))
    return parser.parse_args(arguments)


def record(pid: int, seconds: int, path: Path) -> None:
    """Sample the process into an SVG.

    Raises:
        ServerError: py-spy can't; the message says what it says.
    """
    py_spy = Path(sys.executable).parent / "py-spy"
    command = [str(py_spy), "record", "--pid", str(pid), "--duration", str(seconds), "--rate", str(RATE_HZ)]
    done = subprocess.run([*command, "--native", "--output", str(path)], capture_output=True, text=True, check=False)
    if done.returncode or not path.exists():
        raise ServerError(f"py-spy: exit {done.returncode}: {(done.stdout + done.stderr).strip()[-400:]}")


def main() -> None:
    arguments = parse_arguments()
    arguments.output.mkdir(parents=True, exist_ok=True)
    path = arguments.output / f"{arguments.job}-{arguments.load}.svg"
    job, load = JOBS[arguments.job], LOADS[arguments.load]
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="squall-profile-")))
        folder.chmod(0o755)
        body = prepare_files(folder)
        environments = arguments.environments.absolute() if arguments.environments else None
        (squall,) = contestants.select(["squall"])
        plan = Plan([squall], [job.name], [load.name], 1, arguments.seconds, environments, folder)
        socket = stack.enter_context(database(folder)) if job.needs_database else ""
        try:
            server = stack.enter_context(Server(make_command(squall, plan, socket), folder))
            headers = prepare_headers(job, server, squall.prefix)
            verify(job, server, squall.prefix, headers)
            url = f"http://127.0.0.1:{server.command.port}{job.target}"
            target = Target(url, headers, body if job.is_post else None)
            run(load, target, 1)  # a warm-up
            failed: list[Exception] = []

            def sample() -> None:
                try:
                    record(server.pid, arguments.seconds, path)
                except ServerError as error:
                    failed.append(error)

            sampling = threading.Thread(target=sample)
            before = accounting.measure_times([server.pid])
            sampling.start()
            outcome = run(load, target, arguments.seconds)
            after = accounting.measure_times([server.pid])
            sampling.join()
            if failed:
                raise failed[0]
        except (ServerError, LoadError) as error:
            sys.exit(f"profile: {error}")
    user_s, system_s = after[0] - before[0], after[1] - before[1]
    print(f"{job.title}, {load.title}: {outcome.rate:,.0f} requests/s while it was watched")
    print(f"CPU: {user_s / (user_s + system_s):.0%} in the process, {system_s / (user_s + system_s):.0%} in the kernel")
    print(f"flame graph: {path}")


if __name__ == "__main__":
    main()
