"""The real nginx with the real configuration, moved into a temporary folder, before small frontends of a test's own."""

import http.client
import shutil
import socket
import subprocess
import threading
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]


class Frontend:
    """Listens on a slot's socket and answers every request with `answer(head)`; remembers the heads it got."""

    def __init__(self, path: Path, answer: Callable[[bytes], bytes]) -> None:
        self.heads: list[bytes] = []
        self._answer = answer
        self.hang_up = False
        self._listening = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self._listening.bind(str(path))
        self._listening.listen(64)
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self) -> None:
        while True:
            try:
                peer, _ = self._listening.accept()
            except OSError:
                return  # closed: the test is over
            threading.Thread(target=self._serve, args=(peer,), daemon=True).start()

    def _serve(self, peer: socket.socket) -> None:
        with peer, peer.makefile("rb") as stream:
            while True:
                head = b"".join(iter(stream.readline, b"\r\n")) if stream.peek(1) else b""
                if not head:
                    return
                stream.read(find_length(head))
                self.heads.append(head)
                if self.hang_up:
                    return
                peer.sendall(self._answer(head))

    def close(self) -> None:
        # shutdown wakes the thread that waits in accept.
        self._listening.shutdown(socket.SHUT_RDWR)
        self._listening.close()


def find_length(head: bytes) -> int:
    """Length of the body that follows the head, in bytes."""
    prefix = b"content-length:"
    return next((int(line[len(prefix) :]) for line in head.lower().split(b"\r\n") if line.startswith(prefix)), 0)


def ok(head: bytes) -> bytes:
    """The answer of a healthy frontend: the head that it got, as text."""
    fields = b"Content-Type: text/plain\r\nX-Release: r1\r\nContent-Length: %d\r\n" % len(head)
    return b"HTTP/1.1 200 OK\r\n" + fields + b"\r\n" + head


@dataclass
class Response:
    status: int
    headers: dict[str, str]
    body: str


@dataclass
class Front:
    """A running nginx: where it lives, how to ask it."""

    folder: Path
    port: int
    stack: ExitStack

    def frontend(self, slot: int, answer: Callable[[bytes], bytes] = ok) -> Frontend:
        """Put a frontend into the slot."""
        frontend = Frontend(self.folder / "frontends" / f"{slot}.sock", answer)
        self.stack.callback(frontend.close)
        return frontend

    def ask(
        self,
        target: str,
        method: str = "GET",
        headers: dict[str, str] | None = None,
        body: bytes | None = None,
        source: str = "127.0.0.1",
    ) -> Response:
        """The answer to one request on a connection of its own, from the address `source`."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=10, source_address=(source, 0))
        try:
            connection.request(method, target, body=body, headers=headers or {})
            response = connection.getresponse()
            named = {name.lower(): value for name, value in response.getheaders()}
            return Response(response.status, named, response.read().decode())
        finally:
            connection.close()

    def read_log(self) -> str:
        """The first line of the access log, once nginx has written it (it does so each second)."""
        log = self.folder / "access.log"
        for _ in range(500):
            if log.exists() and log.stat().st_size:
                return log.read_text().splitlines()[0]
            threading.Event().wait(0.01)
        raise TimeoutError("nginx has logged nothing")


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def draw(folder: Path, **settings: str) -> subprocess.CompletedProcess[str]:
    """Draw the configuration into the folder by the image's own entrypoint, and let nginx check it."""
    source = folder / "source"
    shutil.copytree(ROOT / "nginx", source, dirs_exist_ok=True)
    for name in ("run", "frontends", "statics", "uploads"):
        (folder / name).mkdir(exist_ok=True)
    for path in source.rglob("*.conf"):
        text = path.read_text()
        for place, moved in (
            ("/etc/squall/nginx", source),
            ("/run/nginx", folder / "run"),
            ("/srv/statics", folder / "statics"),
            ("/srv/uploads", folder / "uploads"),
            ("/dev/stdout", folder / "access.log"),
        ):
            text = text.replace(place, str(moved))
        path.write_text(text)
    environment = {
        "PATH": "/usr/local/sbin:/usr/sbin:/usr/bin:/sbin:/bin",
        "NGINX_SOURCE": str(source),
        "NGINX_RUN": str(folder / "run"),
        "FRONTENDS_DIR": str(folder / "frontends"),
        "NGINX_WORKERS": "1",
        **settings,
    }
    script = ["sh", str(ROOT / "docker/nginx/entrypoint.sh"), "render"]
    return subprocess.run(script, env=environment, capture_output=True, text=True)


def wait_for_port(port: int) -> None:
    """Come back once somebody listens there; the kernel says so by letting us in."""
    for _ in range(500):
        with socket.socket() as probe:
            probe.settimeout(1)
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        threading.Event().wait(0.01)
    raise TimeoutError(f"nothing listens on port {port}")
