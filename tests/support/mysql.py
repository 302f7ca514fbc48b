"""A real MariaDB or MySQL server of the tests' own: in a temporary folder, on a unix socket, gone afterwards."""

import os
import shutil
import signal
import socket
import subprocess
import time
from pathlib import Path

import pymysql

_PLACES = {"mariadb": ("mariadbd", "/usr/sbin/mariadbd"), "mysql": ("/opt/mysql/bin/mysqld",)}
_MYSQL_SHARE = "/opt/mysql/share/mysql"


class Server:
    """One private server. `start` returns once it answers; `kill` is a power cut; its data survive both.

    `kind` is mariadb or mysql; `options` are further ones of the server's, as on its command line.
    """

    def __init__(self, folder: Path, kind: str = "mariadb", *options: str) -> None:
        self.folder = folder
        self.kind = kind
        self.options = options
        self.socket = str(folder / "s")  # a unix socket's path has at most 107 bytes
        self.binary = _find_binary(kind)
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def pid(self) -> int:
        """The process that runs."""
        assert self._process is not None
        return self._process.pid

    def install(self) -> None:
        """Create the system tables and a database named test, open to the user test with the password secret."""
        if self.kind == "mysql":
            self._run_installer(self.binary, "--initialize-insecure")
        else:
            self._install_mariadb()
        self.start()
        with self.connect_as_root() as db, db.cursor() as cursor:
            cursor.execute("CREATE DATABASE test CHARACTER SET utf8mb4")
            cursor.execute("CREATE USER test@localhost IDENTIFIED BY 'secret'")
            cursor.execute("GRANT ALL ON test.* TO test@localhost")

    def _install_mariadb(self) -> None:
        installer = shutil.which("mariadb-install-db")
        assert installer, "mariadb-install-db is missing: install the package mariadb-server"
        self._run_installer(installer, "--auth-root-authentication-method=normal", "--skip-test-db")

    def _run_installer(self, installer: str, *arguments: str) -> None:
        command = [installer, "--no-defaults", *arguments, *self._places()]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode != 0:
            raise RuntimeError(f"{installer}: exit {done.returncode}: {(done.stdout + done.stderr)[-2000:]}")

    def _places(self) -> list[str]:
        # A server that starts removes temporary tables that it finds in its tmpdir: in /tmp also those of others.
        temporary = self.folder / "tmp"
        temporary.mkdir(exist_ok=True)
        places = [f"--datadir={self.folder / 'data'}", f"--tmpdir={temporary}", *_run_as()]
        if self.kind == "mysql":
            places += [f"--lc-messages-dir={_MYSQL_SHARE}", f"--character-sets-dir={_MYSQL_SHARE}/charsets"]
            places += ["--secure-file-priv="]
        return places

    def _limits(self) -> list[str]:
        if self.kind == "mysql":
            return ["--innodb-redo-log-capacity=16M", "--mysqlx=0"]
        return ["--innodb-log-file-size=16M"]

    def connect_as_root(self) -> "pymysql.Connection[pymysql.cursors.Cursor]":
        return pymysql.connect(unix_socket=self.socket, user="root", autocommit=True)

    def start(self, timeout_s: float = 30.0) -> None:
        """Raises: RuntimeError: with the end of the server's log, if it does not answer within timeout_s."""
        log = self.folder / "log"
        with open(log, "ab") as output:
            self._process = subprocess.Popen(
                [
                    self.binary,
                    "--no-defaults",
                    *self._places(),
                    f"--socket={self.socket}",
                    f"--pid-file={self.folder / 'pid'}",
                    "--innodb-buffer-pool-size=16M",
                    "--max-connections=300",
                    "--max-allowed-packet=64M",
                    *self._limits(),
                    *(self.options or ("--skip-networking", "--skip-log-bin")),
                ],
                stdout=output,
                stderr=output,
                # A file that may not grow is an error to the server, as a full disk is, and not its end (SIGXFSZ).
                restore_signals=False,
            )
        deadline = time.monotonic() + timeout_s
        while True:
            try:
                with socket.socket(socket.AF_UNIX) as probe:
                    probe.connect(self.socket)
                self.connect_as_root().close()
                return
            except (OSError, pymysql.err.OperationalError):
                if time.monotonic() > deadline or self._process.poll() is not None:
                    raise RuntimeError(f"the server does not start: {log.read_text()[-2000:]}") from None
                time.sleep(0.02)

    def kill(self) -> None:
        """SIGKILL the server and wait until it is gone."""
        assert self._process is not None
        self._process.send_signal(signal.SIGKILL)
        self._process.wait()

    def freeze(self) -> None:
        """Let the server hang (SIGSTOP) until `thaw`; return once every one of its threads stands still."""
        assert self._process is not None
        self._process.send_signal(signal.SIGSTOP)
        threads = Path(f"/proc/{self._process.pid}/task")
        while any(_state_of(thread) not in "Tt" for thread in threads.iterdir()):
            time.sleep(0.001)

    def thaw(self) -> None:
        assert self._process is not None
        self._process.send_signal(signal.SIGCONT)

    def stop(self) -> None:
        if self._process is not None and self._process.poll() is None:
            self._process.terminate()
            self._process.wait()


def find_free_port() -> int:
    """A port of 127.0.0.1 that nobody has at this moment."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def listen(port: int) -> tuple[str, ...]:
    """The options of a server that listens on a port of 127.0.0.1."""
    return f"--port={port}", "--bind-address=127.0.0.1"


def _state_of(thread: Path) -> str:
    """The kernel's letter for what a thread does: T stands still."""
    return (thread / "stat").read_text().rpartition(")")[2].split()[0]


def _find_binary(kind: str) -> str:
    for place in _PLACES[kind]:
        found = shutil.which(place)
        if found:
            return found
    raise RuntimeError(f"no {kind} server found: run the tests in their image (docker/test/Dockerfile)")


def _run_as() -> list[str]:
    # The server refuses to run as root unless told so.
    return ["--user=root"] if os.geteuid() == 0 else []
