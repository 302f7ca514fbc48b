"""Starts the process anew when its code has changed; for a developer's machine, never for production.

    Application(…, debug=True).listen(8888)           watches from then on
    python -m framework.autoreload -m mysite.main     watches too, and outlives an error: it waits for the next change
    python -m framework.autoreload --until-success -m pytest tests/test_feed.py

What is watched: the file of every module that is loaded, and what `watch` was told of. A file is looked at by its time
and size: inotify lost, because it does not cross the file sharing of Docker Desktop. A changed file that does not
compile is named in the log, and the code that runs goes on running.
"""

import argparse
import logging
import os
import runpy
import sys
import threading
import traceback
import weakref
from asyncio import AbstractEventLoop
from collections.abc import Callable, Iterable, Sequence

from framework.ioloop import IOLoop, PeriodicCallback

gen_log = logging.getLogger("framework.general")

type Stamp = tuple[int, int]

_watched: set[str] = set()
_hooks: list[Callable[[], object]] = []
_watching: "weakref.WeakKeyDictionary[AbstractEventLoop, PeriodicCallback]" = weakref.WeakKeyDictionary()


class Watcher:
    """Remembers what files looked like, and says which have changed since."""

    def __init__(self) -> None:
        self._seen: dict[str, Stamp | None] = {}
        self._changing: dict[str, Stamp | None] = {}

    def find_change(self, paths: Iterable[str]) -> str | None:
        """The first of the paths that is not as it was when it was first looked at; None: all are.

        A change is told once, when two looks in a row found the file the same: an editor empties a file before it
        writes it, and an empty file compiles. A file that appears, or that is removed, has changed.
        """
        for path in paths:
            stamp = _stamp(path)
            if self._seen.setdefault(path, stamp) == stamp:
                self._changing.pop(path, None)
            elif path in self._changing and self._changing[path] == stamp:
                self._seen[path] = self._changing.pop(path)
                return path
            else:
                self._changing[path] = stamp
        return None


def _stamp(path: str) -> Stamp | None:
    try:
        status = os.stat(path)
    except OSError:
        return None
    return status.st_mtime_ns, status.st_size


def watched_files() -> list[str]:
    """The files of all modules that are loaded, and those given to `watch`."""
    # A copy: another thread may import meanwhile. Some libraries put things there that are no modules.
    files = (getattr(module, "__file__", None) for module in list(sys.modules.values()))
    return [*(path for path in files if isinstance(path, str)), *_watched]


def watch(filename: str) -> None:
    """Start anew when this file changes as well: a template, a catalogue, a file of settings."""
    _watched.add(os.path.abspath(filename))


def add_reload_hook(function: Callable[[], object]) -> None:
    """Call the function before the process starts anew: to close what would stay open.

    Sockets and files that Python opened are closed by themselves.
    """
    _hooks.append(function)


def start(io_loop: IOLoop | float | None = None, check_time: float = 500) -> None:
    """Look every `check_time` milliseconds, on this loop or the current one. A second call for a loop changes nothing.

    Today's code gives the time alone, in first place.
    """
    if isinstance(io_loop, int | float):
        check_time = io_loop
    loop = io_loop if isinstance(io_loop, IOLoop) else IOLoop.current()
    if loop.asyncio_loop in _watching:
        return
    watcher = Watcher()
    watcher.find_change(watched_files())
    periodic = PeriodicCallback(lambda: _check(watcher), check_time, loop)
    _watching[loop.asyncio_loop] = periodic
    periodic.start()


def _check(watcher: Watcher) -> None:
    changed = watcher.find_change(watched_files())
    if changed is None:
        return
    error = find_syntax_error(changed)
    if error is not None:
        gen_log.error("%s has changed, but does not compile: %s; the code that runs goes on", changed, error)
        return
    gen_log.info("%s has changed; starting anew", changed)
    reload()


def find_syntax_error(path: str) -> SyntaxError | None:
    """Why a Python file does not compile; None if it does, is gone, or is no Python."""
    if not path.endswith(".py"):
        return None
    try:
        with open(path, "rb") as file:
            compile(file.read(), path, "exec")
    except SyntaxError as error:
        return error
    except (OSError, ValueError):
        return None
    return None


def reload() -> None:
    """Run the hooks, then the same command anew, in this very process: its id stays. Does not return."""
    for hook in _hooks:
        try:
            hook()
        except Exception:
            # The process ends here: a hook that fails must not leave the old code running.
            gen_log.exception("reload hook %r failed", hook)
    for stream in (sys.stdout, sys.stderr):
        stream.flush()
    os.execv(sys.executable, [sys.executable, *sys.orig_argv[1:]])


def wait(check_time: float = 500, watcher: Watcher | None = None) -> None:
    """Block until a watched file changes and compiles (looked at every `check_time` ms), then start anew; no return.

    `watcher` remembers files as they were earlier, so that no change is missed.
    """
    watcher = watcher or Watcher()
    pause = threading.Event()
    while True:
        _check(watcher)
        pause.wait(check_time / 1000)


def main(arguments: Sequence[str] | None = None) -> None:
    """Run a module or a file, and start it anew whenever what it loaded changes, even if it ended or failed."""
    parser = argparse.ArgumentParser(prog="python -m framework.autoreload", description=main.__doc__)
    parser.add_argument("--until-success", action="store_true", help="end when it has run without an error")
    parser.add_argument("-m", dest="is_module", action="store_true", help="what is named is a module, not a file")
    parser.add_argument("program", help="module or file to run")
    parser.add_argument("arguments", nargs=argparse.REMAINDER, help="what it gets as arguments")
    given = parser.parse_args(arguments)
    watcher = Watcher()
    if _run(given.program, given.is_module, given.arguments) and given.until_success:
        return
    # Looked at before anything is said: who mends a file at once is not overlooked.
    watcher.find_change(watched_files())
    print(f"{given.program} has ended; it starts anew when a file changes", file=sys.stderr, flush=True)
    wait(watcher=watcher)


def _run(program: str, is_module: bool, arguments: list[str]) -> bool:
    """True if the program ended without an error; one is printed, and the files it names are watched."""
    sys.argv = [program, *arguments]
    try:
        if is_module:
            runpy.run_module(program, run_name="__main__", alter_sys=True)
        else:
            watch(program)
            # As `python file` would have it.
            sys.path[0] = os.path.dirname(os.path.abspath(program))
            runpy.run_path(program, run_name="__main__")
    except SystemExit as end:
        if isinstance(end.code, str):
            print(end.code, file=sys.stderr)
        return not end.code
    except Exception as error:
        # The program ends here, not its supervisor.
        # A module that fails while it is imported is not among those loaded.
        for frame in traceback.extract_tb(error.__traceback__):
            watch(frame.filename)
        if isinstance(error, SyntaxError) and error.filename:
            watch(error.filename)
        traceback.print_exc()
        return False
    return True


if __name__ == "__main__":
    main()
