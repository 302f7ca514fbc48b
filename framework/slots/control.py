"""The private socket that speaks HTTP, and how to ask it.

    GET  /healthz    200 as long as the loop turns (the guard kills a frontend that does not answer)
    GET  /ready      200 when warm, 503 before and on the way out
    GET  /status     the state; `?until=parked,stopped&timeout_s=30` waits for it
    GET  /metrics    Prometheus' text form
    POST /claim      the slot's name points here when the answer is there
    POST /release    202, drains from now on; `?park_s=300` stays warm afterwards, `?park_s=0` exits
    POST /hold       starts no new request; POST /resume goes on

All but /metrics answer with the frontend's state as JSON. Whoever may open the socket may do all of it: the directory
is private, and there is no password to lose.
"""

import http.client
import json
import socket
from collections.abc import Awaitable
from dataclasses import dataclass
from typing import Any, Protocol
from urllib.parse import parse_qs

from framework import metrics
from framework.errors import FrameworkError
from framework.slots.policy import State
from framework.slots.slot import Slot, SlotError

_REASONS = {200: "OK", 202: "Accepted", 400: "Bad Request", 404: "Not Found", 405: "Method Not Allowed"}
_JSON = "application/json"

_ALLOWED = {
    "/healthz": "GET",
    "/ready": "GET",
    "/status": "GET",
    "/metrics": "GET",
    "/claim": "POST",
    "/release": "POST",
    "/hold": "POST",
    "/resume": "POST",
}


class Connection(Protocol):
    """What is needed of a request's connection."""

    keep_alive: bool

    def answer(self, data: bytes, /) -> None:
        """Send a whole answer."""


class Request(Protocol):
    """What is needed of a request; framework.request.HTTPRequest has it."""

    method: str
    path: str
    query: str

    @property
    def connection(self) -> Any:
        """Where the answer goes."""


class ControlApplication:
    """Answers the control socket of one slot."""

    def __init__(self, slot: Slot) -> None:
        self.slot = slot

    def __call__(self, request: Request) -> Awaitable[None] | None:
        """Answers at once, or later where the request waits for a state."""
        if request.path == "/status" and request.method in ("GET", "HEAD"):
            return self._status(request)
        self._answer(request, *self._decide(request))
        return None

    def _decide(self, request: Request) -> tuple[int, dict[str, Any] | str]:
        """(status, body) of the answer to everything that needs no waiting."""
        allowed = _ALLOWED.get(request.path)
        if allowed is None:
            return 404, {"error": f"{request.path}: not known; known are {sorted(_ALLOWED)}"}
        method = "GET" if request.method == "HEAD" else request.method
        if method != allowed:
            return 405, {"error": f"{request.path}: expected {allowed}", "allow": allowed}
        try:
            return self._act(request)
        except (FrameworkError, OSError) as error:
            return getattr(error, "status", 500), {"error": str(error)}

    def _act(self, request: Request) -> tuple[int, dict[str, Any] | str]:
        """(status, state or metrics) after doing what the request asks for.

        Raises:
            SlotError, BindError: it cannot be done.
        """
        slot, path = self.slot, request.path
        status = 200
        if path == "/metrics":
            metrics.connections.set(slot.connections)
            return 200, metrics.read_all()
        if path == "/ready":
            status = 503 if slot.state in (State.WARMING, State.STOPPED) else 200
        elif path == "/claim":
            slot.claim()
        elif path == "/release":
            slot.release(_number(request, "park_s"))
            status = 202
        elif path == "/hold":
            slot.hold()
        elif path == "/resume":
            slot.resume()
        return status, slot.describe()

    async def _status(self, request: Request) -> None:
        """Answers with the state, once it is one of `until` or the time is over."""
        try:
            until = parse_qs(request.query).get("until", [""])[0]
            timeout_s = _number(request, "timeout_s")
            states = {State(name) for name in until.split(",") if name}
        except (SlotError, ValueError) as error:
            self._answer(request, 400, {"error": str(error)})
            return
        if states:
            await self.slot.wait_until(states, 30.0 if timeout_s is None else timeout_s)
        self._answer(request, 200, self.slot.describe())

    def _answer(self, request: Request, status: int, body: dict[str, Any] | str) -> None:
        kind = metrics.CONTENT_TYPE if isinstance(body, str) else _JSON
        content = (body if isinstance(body, str) else json.dumps(body) + "\n").encode()
        head = f"HTTP/1.1 {status} {_REASONS.get(status, 'Error')}\r\nContent-Type: {kind}\r\n"
        head += f"Content-Length: {len(content)}\r\nCache-Control: no-store\r\n"
        if isinstance(body, dict) and "allow" in body:
            head += f"Allow: {body['allow']}\r\n"
        if not request.connection.keep_alive:
            head += "Connection: close\r\n"
        request.connection.answer(f"{head}\r\n".encode("latin-1") + (b"" if request.method == "HEAD" else content))


def _number(request: Request, name: str) -> float | None:
    """A number of seconds from the query; None if it is not given.

    Raises:
        SlotError: 400, if it is not a number of seconds, or below 0.
    """
    values = parse_qs(request.query, keep_blank_values=True).get(name)
    if values is None:
        return None
    text = values[-1]
    if not text.replace(".", "", 1).isdecimal() or not text.isascii():
        raise SlotError(f"{name}: expected a number of seconds, got {text!r}", 400)
    return float(text)


# -- the other end ----------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Answer:
    """What a frontend answered."""

    status: int
    body: bytes

    def json(self) -> Any:
        """The body's value.

        Raises:
            ValueError: the body is not JSON (the metrics are not).
        """
        return json.loads(self.body)


def ask(path: str, method: str, target: str, timeout_s: float = 5.0) -> Answer:
    """The answer of the frontend whose control socket is at `path`. Blocks: for the guard and for operators' tools.

    Raises:
        SlotError: 503, if nobody listens there or no answer comes in time.
    """
    connection = _UnixConnection(path, timeout_s)
    try:
        connection.request(method, target)
        response = connection.getresponse()
        return Answer(response.status, response.read())
    except (OSError, http.client.HTTPException) as error:
        raise SlotError(f"{path}: {method} {target}: {error or type(error).__name__}", 503) from error
    finally:
        connection.close()


class _UnixConnection(http.client.HTTPConnection):
    def __init__(self, path: str, timeout_s: float) -> None:
        super().__init__("localhost", timeout=timeout_s)
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(self.timeout)
        self.sock.connect(self._path)
