"""One process's part in one slot: its state, its listeners, its files.

Files, all written under another name and renamed:
    FRONTENDS_DIR/SLOT.sock          the listener of whoever claimed last; nginx connects here
    FRONTENDS_DIR/SLOT.json          who that is, and of which release: what a drained predecessor reads
    CONTROL_DIR/SLOT.PID.sock        the control socket of each process, as long as it lives
    CONTROL_DIR/SLOT.sock            the same socket under the name of the slot, of whoever claimed last
    CONTROL_DIR/SLOT.PID.json        state of each process
"""

import asyncio
import contextlib
import json
import logging
import os
import socket
import time
from collections.abc import Awaitable, Callable, Collection, Coroutine
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from framework import netutil
from framework.errors import FrameworkError
from framework.slots import hooks
from framework.slots.policy import MAY_CLAIM, Drained, Identity, Seen, State, after_drain, on_path_seen

gen_log = logging.getLogger("framework.general")


class SlotError(FrameworkError):
    """A slot cannot be claimed, or a frontend cannot be asked; `status` is the control socket's answer."""

    def __init__(self, message: str, status: int = 409) -> None:
        super().__init__(message)
        self.status = status


class Server(Protocol):
    """What a slot needs of a server; HTTPServer has it."""

    @property
    def connections(self) -> int:
        """How many are open."""

    def add_socket(self, listener: socket.socket, /) -> None:
        """Accept connections from this socket."""

    def hold(self) -> None:
        """Stop starting new requests."""

    def resume(self) -> None:
        """Go on after `hold`."""

    def stop(self) -> None:
        """Close the listeners."""

    def drain(self, grace_s: float = ..., deadline_s: float = ...) -> Awaitable[object]:
        """Answer everything, then be done."""


@dataclass(frozen=True)
class SlotSettings:
    """Where a slot lives and how patiently it is given up."""

    number: int
    frontends_dir: Path
    control_dir: Path
    release: str = ""
    drain_deadline_s: float = 60.0
    park_s: float = 300.0
    # A connect() that resolved the old inode before the rename has long finished by then (zero-downtime.md §4).
    grace_s: float = 0.2
    watch_s: float = 1.0


class Slot:
    """One process's part in one slot. `finished` is set when the process may exit."""

    def __init__(self, settings: SlotSettings, make_server: Callable[[], Server]) -> None:
        self.settings = settings
        self.state = State.WARMING
        self.is_held = False
        self.finished = asyncio.Event()
        self._make_server = make_server
        self._servers: list[Server] = []  # the last one is the present claim's; the others drain
        self._identity: Identity | None = None
        self._is_stopping = False
        self._park_s: float | None = None  # asked for with the release; else the setting
        self._tasks: set[asyncio.Task[None]] = set()
        self._waiting: list[asyncio.Future[None]] = []
        self._park_timer: asyncio.TimerHandle | None = None
        self._watch_timer: asyncio.TimerHandle | None = None
        self._missing_before = False
        self._claims = 0
        self._claimed_s: float | None = None
        self._started_s = time.time()

    def __repr__(self) -> str:
        return f"<Slot {self.settings.number} {self.state} connections={self.connections}>"

    # -- names --------------------------------------------------------------------------------------------------------

    @property
    def path(self) -> Path:
        """The slot's socket, the name that nginx knows."""
        return self.settings.frontends_dir / f"{self.settings.number}.sock"

    @property
    def control_path(self) -> Path:
        """The control socket of this process."""
        return self.settings.control_dir / f"{self.settings.number}.{os.getpid()}.sock"

    @property
    def connections(self) -> int:
        """Open connections of all claims."""
        return sum(server.connections for server in self._servers)

    def describe(self) -> dict[str, Any]:
        """The state in JSON's terms: the control socket's answer and the content of the state file."""
        return {
            "slot": self.settings.number,
            "pid": os.getpid(),
            "state": str(self.state),
            "held": self.is_held,
            "release": self.settings.release,
            "connections": self.connections,
            "claims": self._claims,
            "started": self._started_s,
            "claimed": self._claimed_s,
            "control": str(self.control_path),
        }

    async def wait_until(self, states: Collection[State], timeout_s: float) -> bool:
        """True once the state is one of `states`, False if it is not within the time."""
        try:
            async with asyncio.timeout(timeout_s):
                while self.state not in states:
                    self._waiting.append(asyncio.get_running_loop().create_future())
                    await self._waiting[-1]
        except TimeoutError:
            return False
        return True

    # -- the steps ----------------------------------------------------------------------------------------------------

    def ready(self) -> None:
        """The application is warm: the slot may be claimed."""
        if self.state is State.WARMING:
            self._enter(State.READY)

    def claim(self) -> None:
        """New connections come here from now on. Claiming what one has already is no error.

        Raises:
            SlotError: the frontend is not ready, or stops.
            BindError: the directory is missing or not writable.
        """
        if self.state not in MAY_CLAIM or self._is_stopping:
            raise SlotError(f"slot {self.settings.number}: cannot claim while {self.state}", 503)
        if self.state is State.CLAIMED and self._look() == self._identity:
            return
        if self._park_timer is not None:
            self._park_timer.cancel()
        self._claims += 1
        private = self.settings.frontends_dir / f".{self.settings.number}.{os.getpid()}.{self._claims}"
        listener = netutil.bind_private_socket(str(private))
        self._identity = _identify(private)
        server = self._make_server()
        server.add_socket(listener)
        if self.is_held:
            server.hold()
        # First who, then the cut-over: a predecessor that sees the new socket must find its successor's release.
        _write_json(self.path.with_suffix(".json"), self.describe())
        os.rename(private, self.path)
        replaced, self._servers = self._servers, [*self._servers, server]
        if self.state is State.CLAIMED:
            self._begin_drain(replaced[-1])  # the path was taken away or deleted
        hooks.set_releasing(False)
        self._claimed_s = time.time()
        self._enter(State.CLAIMED)
        self._name_control_socket()
        self._watch()

    def release(self, park_s: float | None = None) -> None:
        """Gives the slot up and drains; the frontend parks or exits afterwards. A second call changes nothing.

        `park_s` says how long to stay warm, instead of the setting and the policy; 0 means exit.
        """
        if self.state is not State.CLAIMED:
            if self.state in (State.READY, State.PARKED) and park_s == 0:
                self._finish()
            return
        self._park_s = park_s
        self._enter(State.DRAINING)
        hooks.set_releasing(True)
        if self._watch_timer is not None:
            self._watch_timer.cancel()
        if self.is_held:
            self.resume()  # what the kernel has queued for us nobody else will answer
        self._spawn(hooks.call_release_callbacks())
        self._begin_drain(self._servers[-1])

    def stop(self) -> None:
        """Releases the slot, and exits once drained."""
        self._is_stopping = True
        if self.state is State.CLAIMED:
            self.release(0)
        elif self.state is not State.DRAINING:
            self._finish()

    def hold(self) -> None:
        """Starts no new request; the kernel queues them. Running ones finish."""
        if not self.is_held:
            self.is_held = True
            for server in self._servers:
                server.hold()
            self._write_state()

    def resume(self) -> None:
        """Goes on after a hold."""
        if self.is_held:
            self.is_held = False
            for server in self._servers:
                server.resume()
            self._write_state()

    def close(self) -> None:
        """Removes this process's own files; the slot's socket stays, for a connection refused is known at once."""
        for timer in (self._watch_timer, self._park_timer):
            if timer is not None:
                timer.cancel()
        with contextlib.suppress(FileNotFoundError):
            self._state_file.unlink()
        by_number = self.settings.control_dir / f"{self.settings.number}.sock"
        if _identify(by_number) == _identify(self.control_path):
            with contextlib.suppress(FileNotFoundError):
                by_number.unlink()
        with contextlib.suppress(FileNotFoundError):
            self.control_path.unlink()

    # -- draining -----------------------------------------------------------------------------------------------------

    def _begin_drain(self, server: Server) -> None:
        self._spawn(self._drain(server))

    def _spawn(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)  # the loop itself holds tasks weakly
        task.add_done_callback(self._tasks.discard)

    async def _drain(self, server: Server) -> None:
        """Waits until a claim's connections are gone, then parks or exits, unless the process has claimed again."""
        try:
            await server.drain(self.settings.grace_s, self.settings.drain_deadline_s)
        except Exception:  # the claim ends here; a drain that fails must not keep the process for ever
            gen_log.exception("slot %d: drain", self.settings.number)
            server.stop()
        self._servers.remove(server)
        if self.state is not State.DRAINING or self._servers:
            self._write_state()
            return
        park_s = self.settings.park_s if self._park_s is None else self._park_s
        if self._park_s and not self._is_stopping:
            decision = Drained.PARK  # whoever released it knows better than the policy
        else:
            decision = after_drain(self._is_stopping, self.settings.release, self._read_successor(), park_s)
        if decision is Drained.EXIT:
            self._finish()
            return
        self._enter(State.PARKED)
        self._park_timer = asyncio.get_running_loop().call_later(park_s, self._finish)

    def _finish(self) -> None:
        self._enter(State.STOPPED)
        self.finished.set()

    def _read_successor(self) -> str | None:
        """The release of whoever has the slot now; None if that is not known."""
        try:
            owner = json.loads(self.path.with_suffix(".json").read_bytes())
            return str(owner["release"])
        except (OSError, ValueError, KeyError, TypeError):
            return None

    # -- the path -----------------------------------------------------------------------------------------------------

    def _look(self) -> Identity | None:
        return _identify(self.path)

    def _watch(self) -> None:
        """Looks at the path once a second: the safety net for a successor whose roller died before it told us.

        A stat costs two microseconds; an inotify descriptor would cost more code than it saves.
        """
        if self._watch_timer is not None:
            self._watch_timer.cancel()
        found = self._look()
        seen = on_path_seen(self.state, self._identity, found, self._missing_before)
        self._missing_before = found is None
        if seen is Seen.RELEASE:
            gen_log.info("slot %d: replaced, draining", self.settings.number)
            self.release()
            return
        if seen is Seen.RECLAIM:
            gen_log.warning("slot %d: %s was deleted, claiming it again", self.settings.number, self.path)
            try:
                self.claim()
                return
            except (FrameworkError, OSError) as error:
                gen_log.error("slot %d: %s", self.settings.number, error)
        self._watch_timer = asyncio.get_running_loop().call_later(self.settings.watch_s, self._watch)

    # -- files --------------------------------------------------------------------------------------------------------

    @property
    def _state_file(self) -> Path:
        return self.settings.control_dir / f"{self.settings.number}.{os.getpid()}.json"

    def _enter(self, state: State) -> None:
        gen_log.info("slot %d: %s", self.settings.number, state)
        self.state = state
        self._write_state()
        for waiting in self._waiting:
            if not waiting.done():
                waiting.set_result(None)
        self._waiting.clear()

    def _write_state(self) -> None:
        try:
            _write_json(self._state_file, self.describe())
        except OSError as error:  # a full disk must not keep a frontend from serving
            gen_log.error("%s: %s", self._state_file, error.strerror)

    def _name_control_socket(self) -> None:
        """Gives the control socket the slot's name as well: a second link, renamed over the predecessor's."""
        if not self.control_path.exists():
            return
        link = self.settings.control_dir / f".{self.settings.number}.{os.getpid()}.link"
        with contextlib.suppress(FileNotFoundError):
            link.unlink()
        os.link(self.control_path, link)
        os.rename(link, self.settings.control_dir / f"{self.settings.number}.sock")


def _identify(path: Path) -> Identity | None:
    """(device, inode) of a path; None if there is no such file."""
    try:
        found = os.stat(path)
    except OSError:
        return None
    return found.st_dev, found.st_ino


def sweep(settings: SlotSettings) -> None:
    """Removes what processes of this slot that died without a word have left behind."""
    number = settings.number
    for control in settings.control_dir.glob(f"{number}.*.sock"):
        if not netutil.is_listening(str(control)):
            control.unlink(missing_ok=True)
            control.with_suffix(".json").unlink(missing_ok=True)
    for private in settings.frontends_dir.glob(f".{number}.*"):
        # A minute: another frontend may be between its bind() and its rename() right now.
        with contextlib.suppress(FileNotFoundError):
            if time.time() - private.stat().st_mtime > 60:
                private.unlink()


def _write_json(path: Path, value: dict[str, Any]) -> None:
    """Writes a file that is never seen half written."""
    private = path.with_name(f".{path.name}.{os.getpid()}")
    private.write_text(json.dumps(value) + "\n")
    os.rename(private, path)
