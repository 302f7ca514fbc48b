"""One application as one frontend of the appliance: `python -m framework.frontend --slot=0`.

Warms the application up, claims the slot, serves until it is released, drains, and exits (or stays parked for a
rollback). SIGTERM and SIGINT release the slot; a second one ends the process at once. What it serves is named by APP,
`package.module:attribute`: an application (a callable that takes a request) or a function without arguments that
makes one. If the application has `warm_up` and `shut_down`, they are awaited before the first and after the last
request.
"""

import asyncio
import gc
import inspect
import logging
import os
import signal
import sys
from collections.abc import Awaitable, Callable
from functools import partial
from importlib import import_module
from pathlib import Path
from typing import Any

from framework import metrics, netutil, process
from framework.errors import FrameworkError
from framework.httpserver import HTTPServer
from framework.ioloop.loop import new_event_loop
from framework.log import AccessLog, define_logging_options, enable_pretty_logging, write_lines
from framework.options import OptionError, OptionParser
from framework.slots import ControlApplication, Slot, SlotSettings, sweep

gen_log = logging.getLogger("framework.general")

MAX_SLOTS = 128
MAX_WAIT_S = 86_400
ACCESS_LOG_EVERY_S = 0.2
# Most of what a request makes dies by reference count; the collector's first generation would only walk the rest over
# and over.
GC_THRESHOLD = 20_000


# What tells the interfaces apart: the number of arguments that a call must have.
_ARGUMENTS = {1: "squall", 2: "wsgi", 3: "asgi"}


def parse_slots(text: str) -> int:
    """The number of slots; "auto" is the number of cores that the cgroup allows.

    Raises:
        ValueError: if it is neither.
    """
    if text == "auto":
        return process.cpu_count()
    if not (text.isascii() and text.isdigit() and 1 <= int(text) <= MAX_SLOTS):
        raise ValueError(f'a number from 1 to {MAX_SLOTS}, or "auto"')
    return int(text)


def define_frontend_options(options: OptionParser) -> None:
    """Declare the settings of a frontend."""
    options.define("app", type=str, help="package.module:attribute", metavar="APP", group="frontend")
    options.define(
        "app_interface",
        default="auto",
        type=parse_interface,
        help="how APP is called: auto tells by its arguments",
        metavar="auto|squall|wsgi|asgi",
        group="frontend",
    )
    options.define("slot", default=0, help="number of the slot to claim", metavar="N", group="frontend")
    options.define(
        "slots", default="auto", type=parse_slots, help="number of slots in all", metavar="N", group="frontend"
    )
    options.define(
        "frontends_dir", default="/run/frontends", help="where nginx looks for the sockets", group="frontend"
    )
    options.define("control_dir", default="/run/control", help="private control sockets", group="frontend")
    options.define("release", default="dev", help="name of the release", group="frontend")
    options.define("drain_deadline_s", default=60.0, help="seconds to finish what has begun", group="frontend")
    options.define(
        "park_s", default=300.0, help="seconds to stay warm after another release took over", group="frontend"
    )
    options.define(
        "max_body", default=33_554_432, type=parse_size, help="largest body: bytes, or k, m, g", group="frontend"
    )
    options.define(
        "body_memory",
        default=262_144,
        type=parse_size,
        help="of a body, the rest is in a file",
        group="frontend",
    )
    options.define(
        "max_bodies", default=1 << 30, type=parse_size, help="all bodies under way, on disk too", group="frontend"
    )
    define_logging_options(options)


def parse_size(text: str) -> int:
    """Bytes of "1048576", "1024k", "1m" or "1g", as nginx writes sizes.

    Raises:
        ValueError: if it is none of these.
    """
    factor = {"k": 1 << 10, "m": 1 << 20, "g": 1 << 30}.get(text[-1:].lower(), 1)
    digits = text if factor == 1 else text[:-1]
    if not (digits.isascii() and digits.isdigit() and len(digits) < 16):
        raise ValueError("a size such as 32m")
    return int(digits) * factor


def parse_interface(text: str) -> str:
    """How an application is called.

    Raises:
        ValueError: there is no such interface.
    """
    if text not in ("auto", *_ARGUMENTS.values()):
        raise ValueError("auto, squall, wsgi or asgi")
    return text


def load_application(name: str | None, interface: str = "auto") -> Callable[..., Any]:
    """The application that `package.module:attribute` names; a function without arguments is called for it.

    Raises:
        OptionError: if there is no such module or attribute, or it is nothing that can be served.
    """
    module_name, colon, attribute = (name or "").partition(":")
    if not module_name or not colon or not attribute:
        raise OptionError(f"APP: expected package.module:attribute, got {name or 'nothing'!r}")
    try:
        found: Any = import_module(module_name)
    except ModuleNotFoundError as error:
        if error.name is None or not module_name.startswith(error.name):
            raise  # the application's own fault: its traceback says more
        raise OptionError(f"APP: there is no module {error.name!r} (APP={name})") from error
    for part in attribute.split("."):
        found = getattr(found, part, None)
    if found is None:
        raise OptionError(f"APP: the module {module_name!r} has no {attribute!r}")
    if _count_required(found) == 0:
        found = found()
    if not callable(found):
        raise OptionError(f"APP: {name} is no application: expected a callable, got {type(found).__name__}")
    return _adapt(found, str(name), interface)


def _count_required(found: Any) -> int | None:
    """How many arguments a callable must be given; None if it does not say, or can't be called."""
    try:
        parameters = inspect.signature(found).parameters.values()
    except (TypeError, ValueError):
        return None
    kinds = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
    return sum(p.kind in kinds and p.default is inspect.Parameter.empty for p in parameters)


def _adapt(application: Any, name: str, interface: str) -> Callable[..., Any]:
    """An application of ours as it is, a WSGI or ASGI one in its container."""
    if interface == "auto":
        required = _count_required(application)
        if required not in (None, *_ARGUMENTS):
            raise OptionError(
                f"APP: {name} takes {required} arguments; expected one (a request), two (WSGI) or three (ASGI);"
                " APP_INTERFACE says which, if it can't be told"
            )
        interface = _ARGUMENTS.get(required or 1, "squall")
    if interface == "wsgi":
        from framework.wsgi import WSGIContainer

        return WSGIContainer(application)
    if interface == "asgi":
        from framework.asgi import ASGIContainer

        return ASGIContainer(application)
    return application  # type: ignore[no-any-return]


class Frontend:
    """A slot, its control socket, and an application between its first and its last request."""

    def __init__(self, application: Callable[..., Any], options: OptionParser) -> None:
        self.application = application
        self._options = options
        settings = SlotSettings(
            options.slot,
            Path(options.frontends_dir),
            Path(options.control_dir),
            options.release,
            options.drain_deadline_s,
            options.park_s,
        )
        self.slot = Slot(settings, self._make_server)
        self._signals = 0

    def _make_server(self) -> HTTPServer:
        options = self._options
        return HTTPServer(
            self.application,
            xheaders=True,
            max_body_bytes=options.max_body,
            body_memory_bytes=options.body_memory,
            max_buffered_bytes=options.max_bodies,
        )

    async def run(self) -> None:
        """Serve the slot until it is released for good.

        Raises:
            FrameworkError: if the directories can't be used or the application can't warm up.
        """
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self._on_signal)
        slot = self.slot
        sweep(slot.settings)
        control = HTTPServer(ControlApplication(slot))
        control.add_socket(netutil.bind_private_socket(str(slot.control_path), 0o600))
        self._open_access_log(loop)
        end_watch = metrics.watch_loop(loop)
        try:
            await _call_hook(self.application, "warm_up")
            gc.collect()
            gc.freeze()  # what the warm-up made lives as long as we do
            gc.set_threshold(GC_THRESHOLD)
            slot.ready()
            if not slot.finished.is_set():
                slot.claim()
            await slot.finished.wait()
        finally:
            end_watch()
            await _call_hook(self.application, "shut_down")
            control.stop()
            await control.close_all_connections()
            slot.close()

    def _open_access_log(self, loop: asyncio.AbstractEventLoop) -> None:
        """Have the application's access log written in batches, if it keeps one and INFO is logged."""
        if not hasattr(self.application, "access_log") or not logging.getLogger("framework.access").isEnabledFor(
            logging.INFO
        ):
            return

        def schedule(flush: Callable[[], None]) -> None:
            loop.call_later(ACCESS_LOG_EVERY_S, flush)

        write = partial(write_lines, sys.stderr.fileno())
        self.application.access_log = AccessLog(write, schedule, self._options.log_format)

    def _on_signal(self) -> None:
        self._signals += 1
        if self._signals > 1:
            gen_log.warning(
                "slot %d: ended by a second signal, %d connections cut",
                self.slot.settings.number,
                self.slot.connections,
            )
            self.slot.close()
            os._exit(1)
        self.slot.stop()


async def _call_hook(application: Callable[..., Any], name: str) -> None:
    hook: Callable[[], Awaitable[None] | None] | None = getattr(application, name, None)
    if hook is not None:
        pending = hook()
        if inspect.isawaitable(pending):
            await pending


def main(arguments: list[str]) -> int:
    """Serve one slot; the exit status."""
    options = OptionParser()
    define_frontend_options(options)
    try:
        options.parse_environment(final=False)
        options.parse_command_line(arguments)
        enable_pretty_logging(options)
        if Path(options.frontends_dir) == Path(options.control_dir):
            raise OptionError(
                "CONTROL_DIR: expected another directory than FRONTENDS_DIR: the names are the same in both"
            )
        if options.slot < 0 or options.slot >= MAX_SLOTS:
            raise OptionError(f"--slot: expected 0 to {MAX_SLOTS - 1}, got {options.slot}")
        for name in ("drain_deadline_s", "park_s"):
            if not 0 <= getattr(options, name) <= MAX_WAIT_S:
                raise OptionError(f"{name.upper()}: expected 0 to {MAX_WAIT_S} seconds, got {getattr(options, name)}")
        with asyncio.Runner(loop_factory=new_event_loop) as runner:
            runner.run(_serve(options))
    except FrameworkError as error:
        print(f"frontend: {error}", file=sys.stderr)
        return 2
    return 0


async def _serve(options: OptionParser) -> None:
    os.environ["SLOT"] = str(options.slot)  # the application may want to know, however it was given
    await Frontend(load_application(options.app, options.app_interface), options).run()


if __name__ == "__main__":
    sys.path.insert(0, os.getcwd())
    sys.exit(main(sys.argv))
