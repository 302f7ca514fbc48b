"""The seed's loop on asyncio's: `IOLoop.instance()` and `asyncio.get_running_loop()` are two views of one loop.

    IOLoop             READ WRITE ERROR on file descriptors, timeouts, thread-safe callbacks, the blocking watchdog
    PeriodicCallback   something done again and again
    turns_of           who has more to do than is fair goes on turn by turn
    catching           who handles an exception raised by a callback: the request that started it

File descriptors are watched by an epoll of our own, which asyncio's loop watches in turn (an epoll is a descriptor, and
readable when one of its own is ready). So handlers get the kernel's true event bits, ERROR included, on every asyncio
loop, uvloop as well. `add_reader` lost: it reports an error as readiness and knows no handler for errors alone.

An exception in a callback belongs to whoever asked for the callback. asyncio copies the context of the caller into each
callback, so one ContextVar that names the handler is all that 1.2.1's `stack_context` was for.
"""

from framework.ioloop.loop import (
    ExceptionHandler,
    IOLoop,
    catching,
    exception_handler,
    handle_exception,
    new_event_loop,
)
from framework.ioloop.periodic import PeriodicCallback
from framework.ioloop.turns import Turns, turns_of

__all__ = [
    "ExceptionHandler",
    "IOLoop",
    "PeriodicCallback",
    "Turns",
    "catching",
    "exception_handler",
    "handle_exception",
    "new_event_loop",
    "turns_of",
]
