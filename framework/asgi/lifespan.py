"""The beginning and the end of an ASGI application's life: it may prepare itself, and clean up."""

import asyncio
import contextlib
import logging
from collections.abc import Awaitable, Callable
from typing import Any

from framework.asgi.exchange import ASGIError, Message
from framework.asgi.scope import VERSION

app_log = logging.getLogger("framework.application")
gen_log = logging.getLogger("framework.general")

ASGICallable = Callable[[dict[str, Any], Any, Any], Awaitable[None]]


class Lifespan:
    """One application's lifespan. `state` is what it leaves for its requests."""

    def __init__(self, application: ASGICallable) -> None:
        self.state: dict[str, Any] = {}
        self._application = application
        self._task: asyncio.Task[None] | None = None
        self._orders: asyncio.Queue[Message] = asyncio.Queue()
        self._replies: asyncio.Queue[Message] = asyncio.Queue()

    async def start(self) -> None:
        """Return when the application is ready. One that knows no lifespan is, at once.

        Raises:
            ASGIError: it says that it can't start, and why.
        """
        self._task = asyncio.create_task(self._run())
        reply = await self._ask("lifespan.startup")
        if reply is None:
            self._task = None
        elif reply["type"] == "lifespan.startup.failed":
            await self._end()
            raise ASGIError(f"the application could not start: {reply.get('message') or 'its log says why'}")

    async def stop(self) -> None:
        """Return when the application has cleaned up; what goes wrong is logged."""
        if self._task is None:
            return
        reply = await self._ask("lifespan.shutdown")
        if reply is not None and reply["type"] == "lifespan.shutdown.failed":
            app_log.error("the application could not clean up: %s", reply.get("message") or "it does not say why")
        await self._end()

    async def _ask(self, order: str) -> Message | None:
        """What the application answers; None if it ends instead."""
        task = self._task
        assert task is not None
        self._orders.put_nowait({"type": order})
        reply = asyncio.ensure_future(self._replies.get())
        await asyncio.wait((task, reply), return_when=asyncio.FIRST_COMPLETED)
        if reply.done():
            return reply.result()
        reply.cancel()
        error = task.exception()
        if error is not None:
            # Many applications raise here because they know nothing but HTTP; others because they are broken.
            gen_log.info("%s: the application raised %r; it has no lifespan", order, error)
        return None

    async def _end(self) -> None:
        task, self._task = self._task, None
        if task is not None:
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError, Exception):
                await task

    async def _run(self) -> None:
        scope = {"type": "lifespan", "asgi": VERSION, "state": self.state}
        await self._application(scope, self._orders.get, self._replies.put)
