"""The real stack in containers: started by Compose under a name of its own, driven through the engine's API.

Runs inside the test container or on the engine's own machine. Killing a process by its host's number needs the host's
process ids, which `make test` gives the test container.
"""

import os
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from docker.models.containers import Container

import docker

ROOT = Path(__file__).parents[2]
SERVICES = ("nginx", "app", "db", "bus")


def find_free_port() -> int:
    """A port of loopback that nobody listens on just now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def wait_for(condition: Callable[[], object], what: str, timeout_s: float = 30.0) -> float:
    """Seconds until `condition()` was true.

    Raises:
        TimeoutError: if it was not within timeout_s.
    """
    begun = time.monotonic()
    while not condition():
        if time.monotonic() - begun > timeout_s:
            raise TimeoutError(f"{what}: not within {timeout_s} s")
        time.sleep(0.02)
    return time.monotonic() - begun


class Stack:
    """One appliance: its containers, its port, its database."""

    def __init__(self, project: str, **settings: str) -> None:
        self.project = project
        self.port = find_free_port()
        self.settings = {
            "NGINX_LISTEN": f"127.0.0.1:{self.port}",
            "NGINX_TLS_LISTEN": f"127.0.0.1:{find_free_port()}",
            "SLOTS": "2",
            "TEST_ROUTES": "true",
            "HEALTH_INTERVAL": "1s",  # `up --wait` waits for the first probe
            **settings,
        }
        self.engine = docker.from_env()
        self._folder = tempfile.TemporaryDirectory(prefix="stack")
        self._env_file = Path(self._folder.name) / "env"
        self._env_file.write_text("".join(f"{name}={value}\n" for name, value in self.settings.items()))

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def compose(self, *arguments: str, timeout_s: float = 300.0) -> subprocess.CompletedProcess[str]:
        """Run a verb of Compose on this stack; its output is in the result."""
        return subprocess.run(
            ["docker", "compose", "-p", self.project, "--env-file", str(self._env_file), *arguments],
            cwd=ROOT,
            env={**os.environ, **self.settings},  # or those that `make test` hands on would win over the file
            capture_output=True,
            text=True,
            timeout=timeout_s,
            check=False,
        )

    def start(self, *services: str) -> None:
        """Return once all services are healthy.

        Raises:
            RuntimeError: with Compose's own words and the logs, if they do not get healthy.
        """
        done = self.compose("up", "--detach", "--wait", "--wait-timeout", "120", "--no-build", *services)
        if done.returncode != 0:
            logs = self.compose("logs", "--tail", "30").stdout
            raise RuntimeError(f"the stack does not start:\n{done.stderr[-3000:]}\n{logs[-6000:]}")

    def remove(self) -> None:
        """Remove containers, networks and data."""
        self.compose("down", "--volumes", "--timeout", "5")
        self.engine.close()
        self._folder.cleanup()

    def container(self, service: str) -> Container:
        """The service's container, as the engine sees it now."""
        labels = [f"com.docker.compose.project={self.project}", f"com.docker.compose.service={service}"]
        return self.engine.containers.list(all=True, filters={"label": labels})[0]

    def run(self, service: str, *command: str) -> str:
        """Output of a command in the service's container.

        Raises:
            RuntimeError: with the output, if it fails.
        """
        code, output = self.container(service).exec_run(list(command))
        text = output.decode(errors="replace")
        if code != 0:
            raise RuntimeError(f"{service}: {' '.join(command)}: exit {code}: {text}")
        return str(text)

    def sql(self, query: str) -> list[list[str]]:
        """Rows of a query, read beside the application."""
        text = self.run("db", "mariadb", "squall", "--batch", "--skip-column-names", "--execute", query)
        return [line.split("\t") for line in text.splitlines()]

    def logs(self, service: str) -> str:
        """All that the service has written so far."""
        return str(self.container(service).logs().decode(errors="replace"))

    def find_processes(self, service: str, pattern: str) -> list[int]:
        """The host's numbers of the processes in the container whose command line contains `pattern`."""
        try:
            top: dict[str, Any] = self.container(service).top(ps_args="-eo pid,args")
        except docker.errors.APIError:  # it does not run at this instant
            return []
        return [int(row[0]) for row in top["Processes"] or [] if pattern in row[1]]

    def kill(self, service: str, pattern: str) -> int:
        """Kill one process from outside, as the kernel's memory killer would; its number.

        Not by the engine: to that a `docker kill` is a wish to stop, after which it does not start the container again.
        """
        pid = self.find_processes(service, pattern)[0]
        os.kill(pid, signal.SIGKILL)
        return pid
