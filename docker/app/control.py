"""How operators' tools speak to the processes of the app container: over private unix sockets, with HTTP and XML-RPC.

Used by appctl (a person or make asks) and guard (supervisord asks). Only the standard library and supervisor, no
framework: what watches the frontends must not fail with them.
"""

import http.client
import os
import socket
import struct
from pathlib import Path
from typing import Any

CONTROL_DIR = Path(os.environ.get("CONTROL_DIR", "/run/control"))


class UnixHTTPConnection(http.client.HTTPConnection):
    """HTTP over the unix socket at `path`; gives up after `timeout_s` seconds without an answer."""

    def __init__(self, path: Path, timeout_s: float) -> None:
        super().__init__("control", timeout=timeout_s)
        self.path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(self.timeout)
        self.sock.connect(str(self.path))


def ask(path: Path, method: str, target: str, timeout_s: float = 2.0) -> tuple[int, str]:
    """Status and body of the answer that the process behind the control socket at `path` gives.

    Raises:
        OSError: if nobody listens there, or no answer comes within `timeout_s` seconds.
    """
    connection = UnixHTTPConnection(path, timeout_s)
    try:
        connection.request(method, target, headers={"Connection": "close"})
        response = connection.getresponse()
        return response.status, response.read().decode("utf-8", "replace")
    except http.client.HTTPException as error:
        raise ConnectionError(f"{path}: no HTTP answer ({error!r})") from error
    finally:
        connection.close()


def find_owner(path: Path) -> int | None:
    """Process id of whoever listens on the unix socket at `path`, as the kernel knows it; None if nobody does.

    Answered by the kernel even when the process hangs, which is when it matters.
    """
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        probe.settimeout(2.0)
        try:
            probe.connect(str(path))
        except OSError:
            return None
        credentials = probe.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, struct.calcsize("3i"))
    return struct.unpack("3i", credentials)[0]


def slot_socket(slot: int) -> Path:
    """The control socket of the frontend that holds the slot."""
    return CONTROL_DIR / f"{slot}.sock"


def supervisor() -> Any:
    """supervisord's XML-RPC interface; connects when first used."""
    # Imported here: it takes a tenth of a second, and the health check, which is run again and again, does not use it.
    from xmlrpc.client import ServerProxy

    from supervisor.xmlrpc import SupervisorTransport

    transport = SupervisorTransport(None, None, f"unix://{CONTROL_DIR}/supervisor.sock")
    return ServerProxy("http://supervisor", transport=transport)
