"""Who wants to know that this frontend gives its slot up.

A request that only waits (a long poll, an event stream) would hold the drain up to the deadline, and a websocket never
ends by itself. Both register here while they wait; on release a long poll answers "nothing yet, ask again", a stream
asks its client to come back, a websocket says where to go on. They come back through the slot's name, to the successor.

    cancel = slots.on_release(wake_up)      # while waiting; wake_up() may be asynchronous
    ...
    cancel()                                # in `finally`
    if slots.is_releasing(): ...            # came in while draining: do not begin to wait
"""

import contextvars
import inspect
import logging
from collections.abc import Awaitable, Callable

app_log = logging.getLogger("framework.application")

ReleaseCallback = Callable[[], Awaitable[object] | object]

_callbacks: dict[object, ReleaseCallback] = {}
_releasing = False


def on_release(callback: ReleaseCallback) -> Callable[[], None]:
    """A function that forgets `callback` again. It is called each time the slot is released, until then.

    Registering and forgetting cost a dictionary entry: ten thousand waiting requests may do so.
    """
    key = object()
    _callbacks[key] = callback

    def forget() -> None:
        _callbacks.pop(key, None)

    return forget


def is_releasing() -> bool:
    """True from the release until the process ends or claims again: what begins to wait now is to end early."""
    return _releasing


def set_releasing(releasing: bool) -> None:
    """Slot's part of is_releasing()."""
    global _releasing
    _releasing = releasing


async def call_release_callbacks() -> None:
    """Calls everyone that has registered, in order, and waits for those that are asynchronous.

    One that fails is logged and does not keep the others from being called.
    """
    pending: list[Awaitable[object]] = []
    for callback in list(_callbacks.values()):
        try:
            # In a context of its own: the callback serves its own request, not whoever releases the slot.
            result = contextvars.copy_context().run(callback)
        except Exception:  # a callback ends here
            app_log.exception("release callback %r", callback)
            continue
        if inspect.isawaitable(result):
            pending.append(result)
    for awaited in pending:
        try:
            await awaited
        except Exception:  # a callback ends here
            app_log.exception("release callback")
