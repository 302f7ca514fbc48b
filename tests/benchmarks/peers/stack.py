"""nginx and what stands behind it: our configuration and frontends, and others in ours, in their own and in the seed's.

As many backend processes as the machine has cores, on unix sockets (but for the seed's configuration, which was TCP).
Nobody is pinned here: nginx, the backends and the load share the cores as they would in production.
Our nginx and frontends are in the kernel's batch class, as in the appliance; so are the limit, and what stands
"in the appliance".
"""

from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

from tests.benchmarks import accounting
from tests.benchmarks.loads import LOADS, LoadError, Outcome, Target, run
from tests.benchmarks.peers import content
from tests.benchmarks.peers.contestants import APPLICATIONS, BY_NAME, Contestant
from tests.benchmarks.peers.measuring import NARROW_TRIES, WARM_UP_S, Findings, Plan, say_quiet
from tests.benchmarks.quiet import shared_watch, try_for_quiet
from tests.benchmarks.servers import CORES, Command, Server, ServerError, ask, awake, find_free_port, python_of, rest
from tests.support import front

JOB = "stack"
STACK_LOADS = ("ab", "ab-k", "wrk25")
ROUND_FACTORS = {"ab-k": 2, "wrk25": 2}  # as a job has them
# The whole hundred thousand of the seed's table, once, for who is to lose none of them.
WHOLE_LOAD, WHOLE = "ab-100k", ("nginx + squall", "nginx + free backend")

# As docker/nginx/entrypoint.sh and docker/app/settings.sh.
BATCH = ["chrt", "--batch", "0"]

# What the configurations of others have in common; as many workers as ours has.
OTHER = """worker_processes auto; pid {folder}/nginx.pid; error_log stderr warn; daemon off;
events {{ worker_connections 1024; {events} }}
http {{
    default_type application/octet-stream; access_log {folder}/access.log; sendfile on;
    client_body_temp_path {folder}/b; proxy_temp_path {folder}/p; fastcgi_temp_path {folder}/f;
    uwsgi_temp_path {folder}/u; scgi_temp_path {folder}/s;
    upstream backends {{ {servers} }}
    {http}
    server {{ listen 127.0.0.1:{port} {listen}; {server} }}
}}
"""
# The seed's documentation of 2009: HTTP/1.0 and TCP to the frontends.
SEED = {
    "events": "use epoll;",
    "http": """keepalive_timeout 65; proxy_read_timeout 200; tcp_nopush on; tcp_nodelay on;
    gzip on; gzip_min_length 1000; gzip_proxied any; gzip_types text/plain text/html text/css text/xml;
    proxy_next_upstream error;""",
    "server": """client_max_body_size 50M;
    location / {
        proxy_pass_header Server; proxy_set_header Host $http_host; proxy_redirect off;
        proxy_set_header X-Real-IP $remote_addr; proxy_set_header X-Scheme $scheme;
        proxy_pass http://backends;
    }""",
}
# As uvicorn's page on deployment has it: no buffering, and HTTP/1.0 to the backends since it names no version.
UVICORN = {
    "http": "map $http_upgrade $connection_upgrade { default upgrade; '' close; }",
    "server": """client_max_body_size 4G;
    location / {
        proxy_set_header Host $http_host; proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for;
        proxy_set_header X-Forwarded-Proto $scheme; proxy_set_header Upgrade $http_upgrade;
        proxy_set_header Connection $connection_upgrade; proxy_redirect off; proxy_buffering off;
        proxy_pass http://backends;
    }""",
}
# As gunicorn's page on deployment has it.
GUNICORN = {
    "events": "accept_mutex off;",
    "listen": "deferred",
    "server": """client_max_body_size 4G; keepalive_timeout 5; root {folder}/public;
    location / { try_files $uri @application; }
    location @application {
        proxy_set_header Host $http_host; proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for;
        proxy_set_header X-Forwarded-Proto $scheme; proxy_redirect off;
        proxy_pass http://backends;
    }""",
}
FREE = """worker_processes 1; pid {folder}/free{slot}.pid; error_log stderr warn; daemon off;
events {{ worker_connections 16384; }}
http {{
    access_log off; default_type text/html; keepalive_requests 100000000;
    client_body_temp_path {folder}/b; proxy_temp_path {folder}/p; fastcgi_temp_path {folder}/f;
    uwsgi_temp_path {folder}/u; scgi_temp_path {folder}/s;
    server {{ listen unix:{path} backlog=4096; location / {{ return 200 "{hello}"; }} }}
}}
"""


@dataclass(frozen=True)
class Running:
    """A stack that runs: where it listens, and the first processes of nginx and of its backends."""

    name: str
    port: int
    nginx: int
    backends: Sequence[int]

    @property
    def roots(self) -> list[int]:
        """All of them."""
        return [self.nginx, *self.backends]


def measure(plan: Plan, findings: Findings, say: Callable[[str], object]) -> None:
    """Add the rounds of all stacks to the findings."""
    say("== the stack: nginx and what stands behind it")
    with ExitStack() as stack:
        running = []
        for number, name in enumerate(STACKS):
            try:
                running.append(start(name, plan, plan.folder / f"stack-{number}", stack))
                rest(running[-1].roots)
            except ServerError as error:
                findings.absent[f"{name}, {JOB}"] = str(error)
                say(f"   absent: {error}")
        for load_name in STACK_LOADS:
            if load_name in plan.loads:
                _measure_load(load_name, running, plan, findings, say)
        if WHOLE_LOAD in plan.loads:
            for one in running:
                if one.name in WHOLE:
                    with awake(one.roots):
                        _measure_round(WHOLE_LOAD, one, 1, plan, findings)


def start(name: str, plan: Plan, folder: Path, stack: ExitStack) -> Running:
    """The stack of that name, which answers as it should; it runs until `stack` is closed.

    Raises:
        ServerError: it does not start, or does not answer so.
    """
    folder.mkdir(exist_ok=True)
    running = STACKS[name](name, plan, folder, len(CORES), stack)
    answer = ask(name, running.port, "/")
    if answer.status != 200 or answer.body != content.HELLO.encode():
        raise ServerError(f"{name}: expected {content.HELLO!r}, got {answer.status} {answer.body[:80]!r}")
    return running


def _measure_load(
    load_name: str, running: Sequence[Running], plan: Plan, findings: Findings, say: Callable[[str], object]
) -> None:
    for number in plan.numbers(ROUND_FACTORS.get(load_name, 1)):
        for one in running:
            with awake(one.roots):
                _measure_round(load_name, one, number, plan, findings)
        if number:
            of_round = findings.rows[-len(running) :]
            line = ", ".join(f"{row['name']} {row['rate']:.0f}" for row in of_round)
            say(f"   {load_name}, round {number}, requests/s: {line}{say_quiet(of_round)}")


def _measure_round(load_name: str, one: Running, number: int, plan: Plan, findings: Findings) -> None:
    """One round of one stack; round 0 is the warm-up, which does not count."""
    target = Target(f"http://127.0.0.1:{one.port}/")
    watch = shared_watch()
    backends_parts = []  # of the CPU time of each try

    def turn() -> Outcome:
        nginx, backends = accounting.measure([one.nginx]), accounting.measure(one.backends)
        with watch.beside(one.roots):
            outcome = run(LOADS[load_name], target, plan.seconds if number else WARM_UP_S)
        nginx, backends = accounting.measure([one.nginx]) - nginx, accounting.measure(one.backends) - backends
        backends_parts.append(backends.cpu_s / (nginx + backends).cpu_s)
        return watch.in_quiet(outcome.with_cpu(nginx + backends))

    try:
        outcome = try_for_quiet(turn, NARROW_TRIES if number and load_name in ROUND_FACTORS else 1)
    except LoadError as error:
        findings.absent[f"{one.name}, {JOB}, {load_name}, round {number}"] = str(error)
        return
    if number:
        backends_us = round(outcome.cpu_us * backends_parts[-1], 2)
        findings.add(JOB, load_name, one.name, number, outcome, backends_us=backends_us)


def _start_all(commands: Sequence[Command], folder: Path, stack: ExitStack) -> list[int]:
    return [stack.enter_context(Server(command, folder)).pid for command in commands]


def _before(name: str, folder: Path, slots: int, pids: list[int], stack: ExitStack) -> Running:
    """Our nginx, with the configuration that the image's entrypoint draws, before sockets that are already there."""
    port = find_free_port()
    done = front.draw(folder, NGINX_LISTEN=f"127.0.0.1:{port}", SLOTS=str(slots), NGINX_WORKERS="auto")
    if done.returncode:
        raise ServerError(f"{name}: nginx refuses its configuration: {done.stderr[-400:]}")
    for socket in (folder / "frontends").glob("*.sock"):
        socket.chmod(0o666)
    config = folder / "source/nginx.conf"
    arguments = [*BATCH, "/usr/sbin/nginx", "-e", "stderr", "-c", str(config), "-g", "daemon off;"]
    server = stack.enter_context(Server(Command(f"nginx of {name}", arguments, port), folder))
    return Running(name, port, server.pid, pids)


def _before_other(
    name: str, folder: Path, servers: Sequence[str], settings: Mapping[str, str], pids: list[int], stack: ExitStack
) -> Running:
    """An nginx of somebody else's configuration before what already listens there."""
    config, port = folder / "other.conf", find_free_port()
    known = {"events": "", "http": "", "listen": "", **settings}
    known["server"] = known["server"].replace("{folder}", str(folder))
    config.write_text(OTHER.format(folder=folder, port=port, servers=" ".join(servers), **known))
    arguments = ["/usr/sbin/nginx", "-e", "stderr", "-c", str(config)]
    nginx = stack.enter_context(Server(Command(f"nginx of {name}", arguments, port), folder))
    return Running(name, port, nginx.pid, pids)


def _slot_paths(folder: Path, count: int) -> list[Path]:
    (folder / "frontends").mkdir(exist_ok=True)
    folder.chmod(0o755)  # nginx's workers are somebody else
    return [folder / "frontends" / f"{slot}.sock" for slot in range(count)]


def _start_squall(name: str, plan: Plan, folder: Path, processes: int, stack: ExitStack) -> Running:
    control = folder / "control"
    control.mkdir()
    environment = {
        "APP": f"{APPLICATIONS}.squall:make_application",
        "FRONTENDS_DIR": str(folder / "frontends"),
        "CONTROL_DIR": str(control),
        "SLOTS": str(processes),
        "LOG_FORMAT": "json",
    }
    frontend = [*BATCH, python_of(plan.environments, "main"), "-m", "framework.frontend"]
    commands = [
        Command(f"{name} {slot}", [*frontend, f"--slot={slot}"], 0, str(path), environment)
        for slot, path in enumerate(_slot_paths(folder, processes))
    ]
    return _before(name, folder, processes, _start_all(commands, folder, stack), stack)


def _start_free(name: str, plan: Plan, folder: Path, processes: int, stack: ExitStack) -> Running:
    commands = []
    for slot, path in enumerate(_slot_paths(folder, processes)):
        config = folder / f"free{slot}.conf"
        config.write_text(FREE.format(folder=folder, slot=slot, path=path, hello=content.HELLO))
        arguments = [*BATCH, "/usr/sbin/nginx", "-e", "stderr", "-c", str(config)]
        commands.append(Command(f"{name} {slot}", arguments, 0, str(path)))
    return _before(name, folder, processes, _start_all(commands, folder, stack), stack)


def _start_seed(name: str, plan: Plan, folder: Path, processes: int, stack: ExitStack) -> Running:
    python = python_of(plan.environments, "main")
    ports = [find_free_port() for _ in range(processes)]
    commands = [
        Command(f"{name} {port}", [python, *(p.format(port=port) for p in BY_NAME["tornado"].tcp)], port)
        for port in ports
    ]
    servers = [f"server 127.0.0.1:{port};" for port in ports]
    return _before_other(name, folder, servers, SEED, _start_all(commands, folder, stack), stack)


def _one_each(contestant: Contestant, settings: Mapping[str, str] | None = None, prefix: Sequence[str] = ()) -> "Start":
    """A process for each socket, behind our nginx or that of the settings."""

    def start(name: str, plan: Plan, folder: Path, processes: int, stack: ExitStack) -> Running:
        python = [*prefix, python_of(plan.environments, contestant.environment)]
        commands = [
            Command(f"{name} {n}", [*python, *(p.format(path=path, workers=1) for p in contestant.unix)], 0, str(path))
            for n, path in enumerate(_slot_paths(folder, processes))
        ]
        pids = _start_all(commands, folder, stack)
        if settings is None:
            return _before(name, folder, processes, pids, stack)
        servers = [f"server unix:{_open_to_all(command.path)};" for command in commands]
        return _before_other(name, folder, servers, settings, pids, stack)

    return start


def _open_to_all(path: str) -> str:
    """The socket, which nginx's workers may write to now."""
    Path(path).chmod(0o666)
    return path


def _start_gunicorn(name: str, plan: Plan, folder: Path, processes: int, stack: ExitStack) -> Running:
    """As its pages advise: synchronous workers, two for each core and one more, behind the nginx of its example."""
    (path,) = _slot_paths(folder, 1)
    python = python_of(plan.environments, BY_NAME["django"].environment)
    arguments = [python, "-m", "gunicorn", f"{APPLICATIONS}.django:application", "-w", str(2 * processes + 1)]
    command = Command(name, [*arguments, "--log-level", "warning", "-b", f"unix:{path}"], 0, str(path))
    pids = _start_all([command], folder, stack)
    servers = [f"server unix:{_open_to_all(str(path))} fail_timeout=0;"]
    return _before_other(name, folder, servers, GUNICORN, pids, stack)


def _one_master(contestant: Contestant) -> "Start":
    """One socket, behind which a master starts its workers: as gunicorn wants it."""

    def start(name: str, plan: Plan, folder: Path, processes: int, stack: ExitStack) -> Running:
        python = python_of(plan.environments, contestant.environment)
        (path,) = _slot_paths(folder, 1)
        arguments = [python, *(part.format(path=path, workers=processes) for part in contestant.unix)]
        return _before(name, folder, 1, _start_all([Command(name, arguments, 0, str(path))], folder, stack), stack)

    return start


Start = Callable[[str, Plan, Path, int, ExitStack], Running]
STACKS: dict[str, Start] = {
    "nginx + squall": _start_squall,
    "nginx + free backend": _start_free,
    "nginx + tornado, the seed's configuration": _start_seed,
    "nginx + tornado": _one_each(BY_NAME["tornado"]),
    "nginx + tornado, in the appliance": _one_each(BY_NAME["tornado"], prefix=BATCH),
    "nginx + uvicorn, bare": _one_each(BY_NAME["uvicorn, bare"]),
    "nginx + uvicorn, bare, in the appliance": _one_each(BY_NAME["uvicorn, bare"], prefix=BATCH),
    "nginx + uvicorn, bare, its own configuration": _one_each(BY_NAME["uvicorn, bare"], UVICORN),
    "nginx + granian RSGI, bare": _one_each(BY_NAME["granian RSGI, bare"]),
    "nginx + django, gunicorn": _one_master(BY_NAME["django"]),
    "nginx + django, gunicorn, its own configuration": _start_gunicorn,
}
