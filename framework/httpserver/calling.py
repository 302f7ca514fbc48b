"""The middle of a connection: waits for the application, and answers where the application fails to."""

import asyncio
import math
import sys
from collections.abc import Awaitable
from typing import TYPE_CHECKING, Any

from framework import metrics
from framework.errors import ProtocolError
from framework.httpserver.incoming import IncomingBody
from framework.httpserver.outgoing import ANSWER, BODY, Outgoing
from framework.log import app_log, gen_log
from framework.request import HTTPRequest

if TYPE_CHECKING:
    from framework.httpserver.server import HTTPServer


class Calling(Outgoing):
    """The part of a connection that an application meets which waits, or fails."""

    __slots__ = ("_task",)

    def __init__(self, server: "HTTPServer") -> None:
        super().__init__(server)
        self._task: asyncio.Future[None] | None = None

    def _answer(self, request: HTTPRequest) -> None:
        try:
            result = self._server.call(request)
            if result is not None:
                self._await_application(request, result)
        except Exception:
            self._fail(request)
        if self._state == ANSWER and not self._is_writing_paused:
            # It takes its time; a stale deadline must not end it.
            self.deadline = math.inf

    def _await_application(self, request: HTTPRequest, result: Awaitable[None]) -> None:
        """Let an asynchronous application begin at once; often it is done without ever waiting."""
        if asyncio.iscoroutine(result):
            task: asyncio.Future[None] = asyncio.Task(result, loop=asyncio.get_running_loop(), eager_start=True)
        else:
            task = asyncio.ensure_future(result)
        number = self._requests

        def done(task: "asyncio.Future[None]") -> None:
            if self._task is task:
                self._task = None
            if task.cancelled() or task.exception() is not None:
                self._fail(request, task, is_current=number == self._requests)

        if task.done():
            done(task)
        else:
            self._task = task  # the loop itself holds tasks only weakly
            task.add_done_callback(done)

    def _fail(self, request: HTTPRequest, task: "asyncio.Future[Any] | None" = None, is_current: bool = True) -> None:
        """An exception left the application: answer 500 if nothing was answered yet, or else cut the connection."""
        if task is not None and task.cancelled():
            if is_current:
                self.abort()
            return
        error = sys.exception() if task is None else task.exception()
        if isinstance(error, ProtocolError) and is_current:
            self._refuse(error)  # the request was found out late, say by its form fields
            return
        app_log.error("uncaught exception: %s %s", request.method, request.path, exc_info=error)
        if not is_current or not BODY <= self._state <= ANSWER:
            return
        if self._has_written:
            self.abort()
        else:
            self._send_refusal(500)

    def _refuse(self, error: ProtocolError) -> None:
        """Answer a request that is not one."""
        gen_log.info("%s: %d %s", self.remote_ip, error.status, error)
        metrics.refusals.inc(labels=(error.status,))
        incoming, self._incoming = self._incoming, None
        self._drop_body(incoming)
        self._call_close_callback()
        if self._state <= ANSWER:
            if self._has_written and self._state == BODY:
                self.abort()
            else:
                self._send_refusal(error.status)

    def _drop_body(self, incoming: IncomingBody | None) -> None:
        if incoming is None:
            return
        incoming.end()
        if incoming.receiver is None:
            return
        try:
            incoming.receiver.connection_lost()
        except Exception:
            self._fail(incoming.request)
