"""Events for pages that are open: server-sent events (HTML Living Standard §9.2), and waiters for long polls.

    class Updates(RequestHandler):
        async def get(self):
            async with EventStream(self, retry_s=2) as stream:
                async for number, text in feed.after(stream.last_event_id):
                    await stream.send(text, id=number)

    class Poll(RequestHandler):
        async def get(self):
            self.write({"news": await waiters.wait(self, timeout_s=25)})

Both end when the client goes away (ConnectionResetError out of the `await`, which the handler takes for what it is) and
when this process is to be replaced: the page asks again, and the next process answers.
"""

import asyncio
from collections.abc import Callable
from types import TracebackType
from typing import Any, Self

from framework.slots import is_releasing, on_release
from framework.web import RequestHandler

HEARTBEAT_S = 15.0


def format_event(data: str, event: str | None = None, id: str | int | None = None) -> str:
    """One event as text.

    Raises:
        ValueError: `event` or `id` holds a line's end, or `id` a NUL.
    """
    lines = []
    for name, value in (("event", event), ("id", id)):
        if value is not None:
            text = str(value)
            if any(character in text for character in "\r\n\0"):
                raise ValueError(f"{name}: expected one line, got {text!r}")
            lines.append(f"{name}: {text}\n")
    # A lone CR ends a line for the browser as well; str.splitlines would also split at U+2028.
    text = data.replace("\r\n", "\n").replace("\r", "\n")
    lines += [f"data: {line}\n" for line in text.split("\n")]
    return "".join(lines) + "\n"


class EventStream:
    """A server-sent event stream; an async context manager that lasts as long as the client listens.

    The block's task is cancelled when the client goes or the slot is released, and goes on behind the block. A client
    that does not read is waited for at most `send_timeout_s`, then cut off.
    """

    def __init__(
        self,
        handler: RequestHandler,
        retry_s: float | None = None,
        heartbeat_s: float = HEARTBEAT_S,
        send_timeout_s: float = 60.0,
    ) -> None:
        self.last_event_id = handler.request.headers.get("Last-Event-ID", "")
        self.is_over = False
        self._handler = handler
        self._retry_s = retry_s
        self._heartbeat_s = heartbeat_s
        self._send_timeout_s = send_timeout_s
        self._task: asyncio.Task[Any] | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._has_cancelled = False
        self._forget: Callable[[], None] | None = None

    async def __aenter__(self) -> Self:
        handler = self._handler
        handler.set_header("Content-Type", "text/event-stream; charset=UTF-8")
        handler.set_header("Cache-Control", "no-cache")
        handler.set_header("X-Accel-Buffering", "no")  # nginx would wait for a full buffer
        self._task = asyncio.current_task()
        handler.request.connection.set_close_callback(self._end)
        self._forget = on_release(self._end)
        handler.write(f"retry: {round(self._retry_s * 1000)}\n\n" if self._retry_s is not None else ": open\n\n")
        try:
            await handler.flush()
        except BaseException:
            self._leave()
            raise
        self._beat_later()
        if is_releasing():
            self._end()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> bool:
        self._leave()
        if self._has_cancelled and self._task is not None and self._task.uncancel() <= 0:
            # Our own doing: behind the block the handler goes on, and finishes.
            return kind is asyncio.CancelledError
        return False

    async def send(self, data: str, event: str | None = None, id: str | int | None = None) -> None:
        """Send an event, and wait until the client has taken enough.

        Raises:
            ConnectionResetError: the client has gone, or did not read for send_timeout_s.
            ValueError: `event` or `id` is not one line.
        """
        self._handler.write(format_event(data, event, id))
        self._beat_later()
        try:
            async with asyncio.timeout(self._send_timeout_s):
                await self._handler.flush()
        except TimeoutError as error:
            self._handler.request.connection.abort()
            raise ConnectionResetError("the client does not read its events") from error

    def _beat_later(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
        if self._heartbeat_s:
            self._timer = asyncio.get_running_loop().call_later(self._heartbeat_s, self._beat)

    def _beat(self) -> None:
        """A comment now and then: proxies close what is silent, and a client that is gone shows only then."""
        connection = self._handler.request.connection
        if connection.drained() is None and not connection.closed:
            self._handler.write(":\n\n")
            self._handler.flush()
        self._beat_later()

    def _end(self) -> None:
        if not self.is_over and self._task is not None:
            self.is_over = self._has_cancelled = True
            self._task.cancel()

    def _leave(self) -> None:
        self.is_over = True
        if self._timer is not None:
            self._timer.cancel()
        if self._forget is not None:
            self._forget()
        self._handler.request.connection.set_close_callback(None)


class _Gone:
    """In place of a value: the client has gone."""


class Waiters[T]:
    """Requests that wait for the same thing: a future each, so ten thousand cost little and are woken in one go."""

    def __init__(self) -> None:
        self._waiting: set[asyncio.Future[T | _Gone | None]] = set()

    def __len__(self) -> int:
        return len(self._waiting)

    async def wait(self, handler: RequestHandler | None = None, timeout_s: float = 25.0) -> T | None:
        """What `wake` was given; None after timeout_s, or when this process is to be replaced: the client asks again.

        Raises:
            ConnectionResetError: the handler's client has gone.
        """
        if is_releasing():
            return None
        loop = asyncio.get_running_loop()
        future: asyncio.Future[T | _Gone | None] = loop.create_future()
        timer = loop.call_later(timeout_s, _settle, future)
        forget = on_release(lambda: _settle(future))
        if handler is not None:
            handler.request.connection.set_close_callback(lambda: _reset(future))
        self._waiting.add(future)
        try:
            found = await future
            if isinstance(found, _Gone):
                # Raised here, not by the future: an error that it kept would keep this frame, and with it the future.
                raise ConnectionResetError("the client closed the connection")
            return found
        finally:
            self._waiting.discard(future)
            timer.cancel()
            forget()
            if handler is not None:
                handler.request.connection.set_close_callback(None)

    def wake(self, value: T) -> int:
        """How many were woken with this value: all that wait now."""
        woken = [future for future in self._waiting if not future.done()]
        self._waiting.clear()
        for future in woken:
            future.set_result(value)
        return len(woken)


def _settle(future: "asyncio.Future[Any]") -> None:
    if not future.done():
        future.set_result(None)


def _reset(future: "asyncio.Future[Any]") -> None:
    if not future.done():
        future.set_result(_Gone())
