"""Bodies that are taken while they arrive: @stream_request_body and data_received."""

import asyncio
from collections.abc import Awaitable
from typing import Any

from framework.ioloop import exception_handler
from framework.web.dispatch import Route, call_verb, check_and_prepare
from framework.web.handler import RequestHandler


def stream_request_body[H: RequestHandler](handler_class: type[H]) -> type[H]:
    """The class, whose data_received() gets the body in pieces: after prepare(), before the verb.

    prepare() may raise the limits: `self.request.connection.set_max_body_size(n)`, `set_body_timeout(seconds)`.
    """
    if not issubclass(handler_class, RequestHandler):
        raise TypeError(f"@stream_request_body: expected a RequestHandler, got {handler_class!r}")
    handler_class._streams_body = True
    return handler_class


class StreamedBody:
    """Carries the pieces of one request's body to its handler, in order, one at a time."""

    def __init__(self, handler: RequestHandler, route: Route) -> None:
        self._handler = handler
        self._route = route
        self._preparing: asyncio.Task[None] | None = None
        if not handler._finished:
            self._run(self._prepare)

    def data_received(self, chunk: bytes) -> Awaitable[None] | None:
        """Hand a piece to the handler; nothing more is read before the result is done."""
        if self._preparing is not None and not self._preparing.done():
            return self._take_when_prepared(chunk)
        if self._handler._finished:
            return None
        waiting = self._run(lambda: self._handler.data_received(chunk))
        return self._guard(waiting) if waiting is not None else None

    def body_complete(self) -> None:
        """Call the verb, once prepare() is done."""
        if self._preparing is not None and not self._preparing.done():
            self._preparing.add_done_callback(lambda _: self.body_complete())
            return
        if not self._handler._finished:
            self._run(lambda: call_verb(self._handler, self._route))

    def connection_lost(self) -> None:
        """Tell the handler that the client has gone."""
        if not self._handler._finished:
            self._run(self._handler.on_connection_close)
            self._handler._finished = True

    def _run(self, step: Any) -> Any:
        """What a step of the handler's returns; its error, if it has one, becomes the answer."""
        token = exception_handler.set(self._handler.handle_exception)
        try:
            return step()
        except Exception as error:
            self._handler.handle_exception(error)
            return None
        finally:
            exception_handler.reset(token)

    def _prepare(self) -> None:
        waiting = check_and_prepare(self._handler, self._route)
        if waiting is not None:
            loop = asyncio.get_running_loop()
            self._preparing = asyncio.Task(self._guard(waiting), loop=loop, eager_start=True)

    async def _guard(self, waiting: Awaitable[Any]) -> None:
        try:
            await waiting
        except Exception as error:
            self._handler.handle_exception(error)

    async def _take_when_prepared(self, chunk: bytes) -> None:
        if self._preparing is not None:
            await self._preparing
        waiting = self.data_received(chunk)
        if waiting is not None:
            await waiting
