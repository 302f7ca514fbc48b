"""ASGIContainer: an ASGI application as one of ours."""

import asyncio
import logging
from collections.abc import Awaitable
from typing import Any

from framework.asgi.exchange import ClientDisconnected, Exchange
from framework.asgi.lifespan import ASGICallable, Lifespan
from framework.asgi.scope import make_scope
from framework.asgi.sockets import make_socket_application
from framework.foreign import Foreign
from framework.request import BodyReceiver, HTTPRequest

app_log = logging.getLogger("framework.application")

# A body of this size is there in one or two reads; handing it over by and by would only cost.
_BUFFERED_BODY_BYTES = 65536


class ASGIContainer(Foreign):
    """Runs an ASGI application. `warm_up` and `shut_down` are its lifespan; the runner calls them.

    `max_message_bytes` is the limit of a websocket's message, after decompression. What an application does behind its
    answers may take `background_s` seconds longer than the last of them.
    """

    def __init__(
        self, application: ASGICallable, max_message_bytes: int = 16 * 1024 * 1024, background_s: float = 10.0
    ) -> None:
        super().__init__(type(application).__name__)
        self.asgi_application = application
        self.max_message_bytes = max_message_bytes
        self._background_s = background_s
        self._lifespan = Lifespan(application)
        self._sockets = make_socket_application(self)
        self._running: set[asyncio.Task[None]] = set()

    @property
    def state(self) -> dict[str, Any]:
        """What the application's lifespan leaves for its requests."""
        return self._lifespan.state

    async def warm_up(self) -> None:
        """Let the application prepare itself.

        Raises:
            ASGIError: it can't.
        """
        await self._lifespan.start()

    async def shut_down(self) -> None:
        """Let what runs in the background end, within `background_s` seconds, then the application clean up."""
        if self._running:
            _, late = await asyncio.wait(self._running, timeout=self._background_s)
            for task in late:
                app_log.warning("the application was still busy with a request after its answer: %s", task.get_name())
                task.cancel()
        await self._lifespan.stop()

    def __call__(self, request: HTTPRequest) -> None:
        """Answer the request, when the application does."""
        if request.raw_head.find(b"pgrade") > 0 and _is_websocket(request):
            self._sockets(request)
            return
        self._start(Exchange(request, self.record, is_streaming=False))

    def body_receiver(self, request: HTTPRequest) -> BodyReceiver | None:
        """Who takes the body while it arrives; None for a short one, which is buffered."""
        length = request.find_header(b"content-length")
        if length is not None and int(length) <= _BUFFERED_BODY_BYTES:
            return None
        exchange = Exchange(request, self.record, is_streaming=True)
        self._start(exchange)
        return _Upload(exchange)

    def _start(self, exchange: Exchange) -> None:
        loop = asyncio.get_running_loop()
        task = asyncio.Task(self._run(exchange), loop=loop, name=exchange.request.path, eager_start=True)
        if not task.done():
            self._running.add(task)
            task.add_done_callback(self._running.discard)

    async def _run(self, exchange: Exchange) -> None:
        request = exchange.request
        try:
            scope = make_scope(request, "http", self._lifespan.state)
            scope["extensions"] = {"http.response.pathsend": {}}
            await self.asgi_application(scope, exchange.receive, exchange.send)
            if not exchange.is_complete:
                app_log.error("%s %s: the ASGI application returned without an answer", request.method, request.path)
        except ClientDisconnected:
            pass
        except (Exception, SystemExit):  # the request ends here; the process is not the application's to end
            app_log.exception("%s %s: the ASGI application failed", request.method, request.path)
        finally:
            exchange.fail()


class _Upload:
    """Carries a body to its exchange while it arrives."""

    def __init__(self, exchange: Exchange) -> None:
        self._exchange = exchange

    def data_received(self, chunk: bytes) -> Awaitable[None] | None:
        return self._exchange.feed(chunk)

    def body_complete(self) -> None:
        self._exchange.end_body()

    def connection_lost(self) -> None:
        self._exchange.disconnect()


def _is_websocket(request: HTTPRequest) -> bool:
    upgrade = request.find_header(b"upgrade")
    return upgrade is not None and upgrade.lower() == b"websocket"
