"""The loop itself: descriptors, timeouts, callbacks, and where their exceptions go."""

import asyncio
import contextvars
import datetime
import inspect
import logging
import os
import select
import signal
import sys
import threading
import time
import traceback
from collections.abc import Callable, Iterator
from concurrent.futures import Executor
from concurrent.futures import Future as ThreadFuture
from contextlib import contextmanager
from types import FrameType
from typing import Any, ClassVar, Protocol

from framework.ioloop.watchdog import Watchdog

app_log = logging.getLogger("framework.application")
gen_log = logging.getLogger("framework.general")

ExceptionHandler = Callable[[BaseException], bool]
"""Takes an exception raised by a callback; True if it has been dealt with, False if it is to be logged."""

exception_handler: contextvars.ContextVar[ExceptionHandler | None] = contextvars.ContextVar(
    "exception_handler", default=None
)


@contextmanager
def catching(handler: ExceptionHandler | None) -> Iterator[None]:
    """Exceptions of callbacks that are asked for inside the block, now or later, go to `handler`.

    It has no part in exceptions raised by the block itself. None: they are logged (work that outlives its request).
    """
    token = exception_handler.set(handler)
    try:
        yield
    finally:
        exception_handler.reset(token)


def handle_exception(error: BaseException) -> bool:
    """True if the handler of the current context took the exception."""
    handler = exception_handler.get()
    return handler is not None and handler(error)


class HasFileno(Protocol):
    """A socket, a pipe, a file: whatever knows its descriptor."""

    def fileno(self) -> int:
        """The descriptor."""
        ...


Handler = Callable[[Any, int], object]


def new_event_loop() -> asyncio.AbstractEventLoop:
    """A new asyncio loop: uvloop's where it is installed, for it takes half the CPU time."""
    try:
        import uvloop
    except ImportError:
        return asyncio.new_event_loop()
    loop: asyncio.AbstractEventLoop = uvloop.new_event_loop()
    return loop


class IOLoop:
    """A loop with the seed's methods. `asyncio_loop` is the loop beneath; both may be used side by side."""

    NONE = 0
    READ = 0x001  # EPOLLIN
    WRITE = 0x004  # EPOLLOUT
    ERROR = 0x008 | 0x010  # EPOLLERR | EPOLLHUP; always reported, asked for or not

    _process_loop: ClassVar["IOLoop | None"] = None
    _of_thread: ClassVar[threading.local] = threading.local()

    def __init__(self, impl: asyncio.AbstractEventLoop | None = None, make_current: bool = False) -> None:
        self.asyncio_loop = impl if impl is not None else new_event_loop()
        # Kept on the asyncio loop itself, so that both live and go together; a table of loops would keep them for ever.
        setattr(self.asyncio_loop, "_framework_io_loop", self)  # noqa: B010
        self._handlers: dict[int, tuple[HasFileno | int, Handler]] = {}
        self._epoll: select.epoll | None = None
        self._watchdog: Watchdog | None = None
        self._thread_id: int | None = None
        self._is_stopped = False
        if make_current:
            self.make_current()

    # -- which loop ---------------------------------------------------------------------------------------------------

    @classmethod
    def current(cls, instance: bool = True) -> "IOLoop":
        """The loop that runs here; else the one made current in this thread; else the process's, made if need be.

        Raises:
            RuntimeError: there is none, and `instance` is false.
        """
        try:
            running = asyncio.get_running_loop()
        except RuntimeError:
            pass
        else:
            found: IOLoop | None = getattr(running, "_framework_io_loop", None)
            return found if found is not None else cls(running)
        current: IOLoop | None = getattr(cls._of_thread, "loop", None) or IOLoop._process_loop
        if current is not None and not current.asyncio_loop.is_closed():
            return current
        if not instance:
            raise RuntimeError("no loop runs in this thread")
        IOLoop._process_loop = cls()
        return IOLoop._process_loop

    @classmethod
    def instance(cls) -> "IOLoop":
        """The loop of the process (in a thread with a loop of its own: that one). Code of 2011 starts here."""
        return cls.current()

    @classmethod
    def initialized(cls) -> bool:
        """True if the process has a loop already; forking is over then."""
        return IOLoop._process_loop is not None and not IOLoop._process_loop.asyncio_loop.is_closed()

    def make_current(self) -> None:
        """Makes this the loop of the current thread, for `current()` where none runs."""
        IOLoop._of_thread.loop = self

    @staticmethod
    def clear_current() -> None:
        """Forgets the thread's loop."""
        IOLoop._of_thread.loop = None

    @staticmethod
    def clear_instance() -> None:
        """Forgets the process's loop, without closing it (a test or a forked child wants one of its own)."""
        IOLoop._process_loop = None

    # -- running ------------------------------------------------------------------------------------------------------

    def start(self) -> None:
        """Runs until `stop()`; a `stop()` that came before makes it return at once."""
        if self._is_stopped:
            self._is_stopped = False
            return
        with self._entered():
            self.asyncio_loop.run_forever()

    @contextmanager
    def _entered(self) -> Iterator[None]:
        """While this thread runs the loop: it is the current one here, and the watchdog looks on."""
        previous = getattr(IOLoop._of_thread, "loop", None)
        IOLoop._of_thread.loop = self
        self._thread_id = threading.get_ident()
        if self._watchdog is not None:
            self._watchdog.start()
        try:
            yield
        finally:
            IOLoop._of_thread.loop = previous
            self._thread_id = None
            if self._watchdog is not None:
                self._watchdog.stop()

    def stop(self) -> None:
        """Ends `start()` after the callbacks that are due. From another thread: `add_callback(loop.stop)`."""
        if self.asyncio_loop.is_running():
            self.asyncio_loop.stop()
        else:
            self._is_stopped = True

    def running(self) -> bool:
        """True while the loop runs."""
        return self.asyncio_loop.is_running()

    def run_sync(self, func: Callable[[], Any], timeout: float | None = None) -> Any:
        """What `func()` returns, awaited if it can be; the loop runs until then.

        Raises:
            TimeoutError: it takes longer than `timeout` seconds.
        """

        async def main() -> Any:
            result = func()
            return await result if inspect.isawaitable(result) else result

        with self._entered():
            return self.asyncio_loop.run_until_complete(asyncio.wait_for(main(), timeout))

    def close(self, all_fds: bool = False) -> None:
        """Closes the loop; with `all_fds` also every descriptor that has a handler."""
        for fd, (source, _) in list(self._handlers.items()):
            self.remove_handler(fd)
            if all_fds:
                _close(source)
        if self._epoll is not None:
            self.asyncio_loop.remove_reader(self._epoll.fileno())
            self._epoll.close()
            self._epoll = None
        self.asyncio_loop.close()
        if IOLoop._process_loop is self:
            IOLoop._process_loop = None
        if getattr(IOLoop._of_thread, "loop", None) is self:
            IOLoop._of_thread.loop = None

    # -- file descriptors ---------------------------------------------------------------------------------------------

    def add_handler(self, fd: int | HasFileno, handler: Handler, events: int) -> None:
        """Calls `handler(fd, events)` whenever one of `events` (READ | WRITE) or ERROR is there, until removed.

        The handler gets back what was given: a number or an object with `fileno()`.

        Raises:
            ValueError: the descriptor has a handler already.
        """
        number = _number(fd)
        if number in self._handlers:
            raise ValueError(f"descriptor {number}: has a handler already; see update_handler")
        if self._epoll is None:
            self._epoll = select.epoll()
            self.asyncio_loop.add_reader(self._epoll.fileno(), self._dispatch)
        self._epoll.register(number, events | self.ERROR)
        self._handlers[number] = (fd, handler)

    def update_handler(self, fd: int | HasFileno, events: int) -> None:
        """Changes the events that the descriptor's handler waits for.

        Raises:
            KeyError: it has no handler.
        """
        number = _number(fd)
        if number not in self._handlers or self._epoll is None:
            raise KeyError(number)
        self._epoll.modify(number, events | self.ERROR)

    def remove_handler(self, fd: int | HasFileno) -> None:
        """Stops watching a descriptor; one without a handler, or closed before, is no error."""
        number = _number(fd)
        if self._handlers.pop(number, None) is None or self._epoll is None:
            return
        try:
            self._epoll.unregister(number)
        except OSError:
            # Closed before it was removed; the kernel has forgotten it by itself.
            gen_log.debug("descriptor %d: closed before its handler was removed", number)

    def _dispatch(self) -> None:
        """Calls the handlers of all descriptors that are ready now."""
        if self._epoll is None:
            return
        for number, events in self._epoll.poll(0):
            entry = self._handlers.get(number)  # an earlier handler of this round may have removed it
            if entry is not None:
                source, handler = entry
                self.run_callback(handler, source, events)

    # -- callbacks and timeouts ---------------------------------------------------------------------------------------

    def add_callback(self, callback: Callable[..., object], *args: Any, **kwargs: Any) -> None:
        """Calls `callback` in the next round of the loop, in order. The one method that any thread may call."""
        call_soon = self.asyncio_loop.call_soon
        if threading.get_ident() != self._thread_id and not _runs_here(self.asyncio_loop):
            call_soon = self.asyncio_loop.call_soon_threadsafe
        call_soon(self._run_kw, callback, args, kwargs)

    def add_callback_from_signal(self, callback: Callable[..., object], *args: Any, **kwargs: Any) -> None:
        """As add_callback, from a signal handler; the interrupted code has no part in its exceptions."""
        contextvars.Context().run(self.asyncio_loop.call_soon_threadsafe, self._run_kw, callback, args, kwargs)

    def spawn_callback(self, callback: Callable[..., object], *args: Any, **kwargs: Any) -> None:
        """As add_callback, for work that outlives the request: its exceptions are logged, not answered."""
        with catching(None):
            self.add_callback(callback, *args, **kwargs)

    def add_timeout(
        self, deadline: float | datetime.timedelta, callback: Callable[..., object], *args: Any, **kwargs: Any
    ) -> asyncio.TimerHandle:
        """A handle for remove_timeout. `deadline` is a time (seconds, as `time()` gives) or a timedelta from now."""
        if isinstance(deadline, datetime.timedelta):
            return self.call_later(deadline.total_seconds(), callback, *args, **kwargs)
        return self.call_at(deadline, callback, *args, **kwargs)

    def call_later(
        self, delay: float, callback: Callable[..., object], *args: Any, **kwargs: Any
    ) -> asyncio.TimerHandle:
        """A handle for remove_timeout. `delay` is in seconds."""
        return self.asyncio_loop.call_later(max(0.0, delay), self._run_kw, callback, args, kwargs)

    def call_at(self, when: float, callback: Callable[..., object], *args: Any, **kwargs: Any) -> asyncio.TimerHandle:
        """A handle for remove_timeout. `when` is in seconds, as `time()` gives them."""
        return self.call_later(when - self.time(), callback, *args, **kwargs)

    def remove_timeout(self, timeout: asyncio.TimerHandle) -> None:
        """The timeout's callback is not called any more; one that is over is no error."""
        timeout.cancel()

    def time(self) -> float:
        """Seconds since the epoch: the seed's deadlines are `time.time()` plus something."""
        return time.time()

    def add_future(self, future: "asyncio.Future[Any] | ThreadFuture[Any]", callback: Callable[[Any], object]) -> None:
        """Calls `callback(future)` on the loop once the future is done; it may belong to another thread."""
        if isinstance(future, asyncio.Future):
            future.add_done_callback(lambda done: self.run_callback(callback, done))
            return
        context = contextvars.copy_context()
        future.add_done_callback(lambda done: context.run(self.add_callback, callback, done))

    def run_in_executor(self, executor: Executor | None, func: Callable[..., Any], *args: Any) -> "asyncio.Future[Any]":
        """A future of `func(*args)`, run in another thread, with the caller's context variables."""
        context = contextvars.copy_context()
        return self.asyncio_loop.run_in_executor(executor, context.run, func, *args)

    def set_default_executor(self, executor: Any) -> None:
        """Names the executor that `run_in_executor(None, …)` uses."""
        self.asyncio_loop.set_default_executor(executor)

    # -- exceptions ---------------------------------------------------------------------------------------------------

    def _run_kw(self, callback: Callable[..., object], args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        self.run_callback(callback, *args, **kwargs)

    def run_callback(self, callback: Callable[..., object], *args: Any, **kwargs: Any) -> None:
        """Calls a callback, and sees to what it raises or, if it is asynchronous, will raise."""
        try:
            result = callback(*args, **kwargs)
        except Exception as error:  # a callback ends here
            if not handle_exception(error):
                self.handle_callback_exception(callback)
            return
        if result is not None and inspect.isawaitable(result):
            task = asyncio.ensure_future(result, loop=self.asyncio_loop)
            task.add_done_callback(lambda done: self._settle(callback, done))

    def _settle(self, callback: Callable[..., object], done: "asyncio.Future[Any]") -> None:
        if done.cancelled():
            return
        error = done.exception()
        if error is not None:
            self.run_callback(_reraise, error)

    def handle_callback_exception(self, callback: Callable[..., object] | None) -> None:
        """Called where an exception that nobody took is current (`sys.exc_info()`): logs it. For overriding."""
        app_log.error("exception in callback %r", callback, exc_info=True)

    # -- the watchdog -------------------------------------------------------------------------------------------------

    def set_blocking_signal_threshold(
        self, seconds: float | None, action: Callable[[int, FrameType | None], object] | None
    ) -> None:
        """Signals SIGALRM when a callback blocks the loop for more than `seconds`; None switches it off.

        `action(signal, frame)` runs in the loop's thread where it hangs; None as action ends the process.

        Raises:
            ValueError: not called in the main thread, which alone may set signal handlers.
        """
        if seconds is None:
            self._set_watchdog(None)
            return
        signal.signal(signal.SIGALRM, action if action is not None else signal.SIG_DFL)
        self._set_watchdog(
            Watchdog(self.asyncio_loop, seconds, lambda thread: signal.pthread_kill(thread, signal.SIGALRM))
        )

    def set_blocking_log_threshold(self, seconds: float | None) -> None:
        """Logs a stack when a callback blocks the loop for more than `seconds`; None switches it off."""
        if seconds is None:
            self._set_watchdog(None)
            return

        def log(thread: int) -> None:
            self.log_stack(0, sys._current_frames().get(thread))

        self._set_watchdog(Watchdog(self.asyncio_loop, seconds, log))

    def log_stack(self, signal: int, frame: FrameType | None) -> None:
        """Logs the stack of the loop's thread; fit for `set_blocking_signal_threshold`."""
        seconds = self._watchdog.threshold_s if self._watchdog is not None else 0
        gen_log.warning("loop blocked for %g seconds in\n%s", seconds, "".join(traceback.format_stack(frame)))

    def _set_watchdog(self, watchdog: "Watchdog | None") -> None:
        if self._watchdog is not None:
            self._watchdog.stop()
        self._watchdog = watchdog
        if watchdog is not None and self.running():
            watchdog.start()


def _number(fd: int | HasFileno) -> int:
    return fd if isinstance(fd, int) else fd.fileno()


def _close(source: int | HasFileno) -> None:
    try:
        os.close(source) if isinstance(source, int) else source.close()  # type: ignore[attr-defined]
    except OSError:
        pass


def _runs_here(loop: asyncio.AbstractEventLoop) -> bool:
    try:
        return asyncio.get_running_loop() is loop
    except RuntimeError:
        return False


def _reraise(error: BaseException) -> None:
    raise error
