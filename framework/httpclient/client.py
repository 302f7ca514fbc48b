"""The clients: AsyncHTTPClient for handlers, HTTPClient for scripts."""

import asyncio
import contextvars
import copy
from collections import OrderedDict
from collections.abc import Callable
from typing import Any, ClassVar
from urllib.parse import unquote

from framework.httpclient.addresses import AddressPolicy
from framework.httpclient.errors import HTTPError, HTTPTimeoutError, RedirectError
from framework.httpclient.multi import Multi, share_cookies
from framework.httpclient.redirects import REDIRECTS, follow_redirect
from framework.httpclient.request import DEFAULTS, HTTPRequest, HTTPResponse, is_unsafe, normalize_url
from framework.httpclient.transfer import Means, Transfer
from framework.ioloop import IOLoop
from framework.log import app_log

type Callback = Callable[[HTTPResponse], object]


class AsyncHTTPClient:
    """Fetches without blocking. Called without arguments, it is the same one wherever this loop runs.

    `max_clients` requests are under way at a time, others wait in a queue. (The seed's 10 made requests time out in the
    queue, which users reported for years as time-outs of servers.) `defaults` are values for fields of requests that
    leave them at None. `addresses` says where connections may go; None: everywhere. With `cookies`, those that servers
    set are kept as a browser would, and shared by all requests of this client: one client for each user, then.
    """

    MAX_CLIENTS: ClassVar[int] = 100
    _configured: ClassVar[dict[str, Any]] = {}

    def __new__(cls, io_loop: Any = None, **options: Any) -> "AsyncHTTPClient":
        if options.pop("force_instance", False) or options:
            return super().__new__(cls)
        loop = IOLoop.current().asyncio_loop
        known: AsyncHTTPClient | None = getattr(loop, "_framework_http_client", None)
        if known is None or known.is_closed or type(known) is not cls:
            known = super().__new__(cls)
            setattr(loop, "_framework_http_client", known)  # noqa: B010
        return known

    def __init__(
        self,
        io_loop: Any = None,
        *,
        max_clients: int | None = None,
        defaults: dict[str, Any] | None = None,
        addresses: AddressPolicy | None = None,
        cookies: bool = False,
        force_instance: bool = False,
        max_simultaneous_connections: int | None = None,
    ) -> None:
        if hasattr(self, "_queue"):
            return  # the loop's own client, once more
        configured = self._configured
        self.loop = IOLoop.current().asyncio_loop
        self.max_clients = max_clients or configured.get("max_clients") or self.MAX_CLIENTS
        self.defaults = {**DEFAULTS, **configured.get("defaults", {}), **(defaults or {})}
        self.addresses = addresses or configured.get("addresses")
        self.is_closed = False
        self._queue: OrderedDict[Fetch, None] = OrderedDict()  # a queue that one can leave in the middle
        self._running: set[Fetch] = set()
        multi = Multi(self.loop, max_simultaneous_connections or self.max_clients)
        self.means = Means(multi, self.addresses, share_cookies() if cookies else None)

    @classmethod
    def configure(cls, impl: Any = None, **options: Any) -> None:
        """Set max_clients, defaults and addresses of the clients made from here on; `impl` is of the past."""
        unknown = options.keys() - {"max_clients", "defaults", "addresses"}
        if unknown:
            raise TypeError(f"configure(): expected max_clients, defaults or addresses, got {sorted(unknown)}")
        cls._configured = options

    @classmethod
    def instance(cls) -> "AsyncHTTPClient":
        """The loop's client."""
        return cls()

    def fetch(
        self,
        request: HTTPRequest | str,
        callback: Callback | bool | None = None,
        raise_error: bool = True,
        **kwargs: Any,
    ) -> "asyncio.Future[HTTPResponse]":
        """The answer, when awaited or given to the callback. The callback gets failures as `response.error` too.

        Raises:
            HTTPError: (when awaited, unless raise_error is false) the status is 400 or more, or there is no answer.
            ValueError: (at once) the request is none that could be sent.
        """
        if self.is_closed:
            raise RuntimeError("fetch(): this client is closed")
        if isinstance(callback, bool):
            raise_error, callback = callback, None
        if not isinstance(request, HTTPRequest):
            request = HTTPRequest(request, **kwargs)
        elif kwargs:
            raise ValueError("fetch(): expected no keywords beside an HTTPRequest")
        else:
            request = copy.copy(request)  # the caller may use his own again, with another client
        self._complete(request)
        fetch = Fetch(self, request, callback, raise_error)
        self._queue[fetch] = None
        self._start_next()
        if fetch in self._queue:
            fetch.wait_in_queue()
        return fetch.future

    def _complete(self, request: HTTPRequest) -> None:
        """Put all defaults into the request, and its URL into order."""
        fields = vars(request)
        for name, value in self.defaults.items():
            if fields[name] is None and not (name == "max_body_bytes" and request.streaming_callback is not None):
                fields[name] = value
        request.check_body()
        request.url, username, password = normalize_url(request.url)
        if username is not None and request.auth_username is None:
            request.auth_username, request.auth_password = unquote(username), unquote(password or "")
            if is_unsafe(request.auth_username) or is_unsafe(request.auth_password):
                raise ValueError("URL: expected no control characters in user name and password")

    def _start_next(self) -> None:
        while self._queue and len(self._running) < self.max_clients and not self.is_closed:
            fetch, _ = self._queue.popitem(last=False)
            if not fetch.future.done():
                self._running.add(fetch)
                fetch.start()

    def ended(self, fetch: "Fetch") -> None:
        """Take note that a fetch is over; the next one may begin."""
        self._running.discard(fetch)
        self._start_next()

    def leave_queue(self, fetch: "Fetch") -> None:
        """Take a fetch out of the queue."""
        self._queue.pop(fetch, None)

    @property
    def waiting(self) -> int:
        """How many requests wait in the queue."""
        return len(self._queue)

    def close(self) -> None:
        """Close all connections; requests under way fail."""
        if self.is_closed:
            return
        self.is_closed = True
        for fetch in [*self._running, *self._queue]:
            fetch.fail(HTTPError(599, "the client was closed"))
        self._queue.clear()
        self.means.multi.close()
        if getattr(self.loop, "_framework_http_client", None) is self:
            delattr(self.loop, "_framework_http_client")

    def handle_callback_exception(self, callback: Callable[..., object]) -> None:
        """Hook of the seed: an exception left a callback."""
        app_log.error("uncaught exception in the callback %r of a fetch", callback, exc_info=True)


CurlAsyncHTTPClient = AsyncHTTPClient2 = AsyncHTTPClient


class Fetch:
    """One request from the queue to its answer, along all redirects."""

    def __init__(
        self, client: AsyncHTTPClient, request: HTTPRequest, callback: Callback | None, raise_error: bool
    ) -> None:
        self.future: asyncio.Future[HTTPResponse] = client.loop.create_future()
        self._client = client
        self._original = self._request = request
        self._callback = callback
        self._raises = raise_error and callback is None
        self._context = contextvars.copy_context() if callback is not None else None
        self._begun_s = client.loop.time()
        self._queued_s = 0.0
        self._redirected_s = 0.0
        self._hops = 0
        self._transfer: Transfer | None = None
        self._timer: asyncio.TimerHandle | None = None
        self.future.add_done_callback(self._on_done)

    def wait_in_queue(self) -> None:
        """Give up if no client gets free in time."""
        limit_s = self._request.request_timeout
        if limit_s:
            self._timer = self._client.loop.call_later(limit_s, self._expire)

    def _expire(self) -> None:
        client = self._client
        stage = f"in the queue: all {client.max_clients} clients (max_clients) are busy"
        client.leave_queue(self)
        self.fail(HTTPTimeoutError(stage, self._elapsed_s(), f"request_timeout={self._request.request_timeout}"))

    def _elapsed_s(self) -> float:
        return self._client.loop.time() - self._begun_s

    def start(self) -> None:
        """Send the request, or what a redirect made of it."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        client, request = self._client, self._request
        elapsed_s = self._elapsed_s()
        if not self._hops:
            self._queued_s = elapsed_s
        left_s = 0.0
        if request.request_timeout:
            left_s = max(0.001, request.request_timeout - elapsed_s)
        transfer = self._transfer = Transfer(request, client.means, self._interrupt)
        try:
            transfer.set_up(left_s)
            client.means.multi.add(transfer.curl, self._end)
        except Exception as error:
            self.fail(error)

    def _end(self, errno: int, message: str) -> None:
        """The transfer is over: follow where it leads, or hand the answer over."""
        transfer = self._transfer
        if transfer is None:
            return
        if transfer.taking is not None:
            transfer.taking.add_done_callback(lambda _: self._end(errno, message))
            return
        try:
            self._conclude(transfer, errno, message)
        except Exception as error:  # nobody else would end the fetch
            self.fail(error)

    def _conclude(self, transfer: Transfer, errno: int, message: str) -> None:
        error = transfer.find_error(errno, message, self._elapsed_s())
        location = transfer.headers.get("Location")
        if error is None and self._request.follow_redirects and transfer.code in REDIRECTS and location is not None:
            try:
                if self._hops >= (self._request.max_redirects or 0):
                    raise RedirectError(f"more than {self._request.max_redirects} redirects, the next to {location!r}")
                self._request = follow_redirect(self._request, transfer.url, transfer.code, location)
            except RedirectError as refused:
                error = refused
                # Both tracebacks know this frame, which knows the error: a cycle that would wait for the collector.
                for known in (refused, refused.__cause__):
                    if known is not None:
                        known.__traceback__ = None
            else:
                self._hops += 1
                self._redirected_s += transfer.read_times()["total"]
                transfer.close()
                self.start()
                return
        self._answer(transfer, error)

    def _interrupt(self) -> None:
        """The transfer has failed and libcurl need not know why."""
        transfer = self._transfer
        if transfer is not None and not self._client.is_closed:
            self._client.means.multi.remove(transfer.curl)
            self._answer(transfer, transfer.failure)

    def _answer(self, transfer: Transfer, error: BaseException | None) -> None:
        if error is not None and not isinstance(error, HTTPError):
            self.fail(error)
            return
        transfer.buffer.seek(0)
        times = {"queue": self._queued_s, "redirect": self._redirected_s, **transfer.read_times()}
        response = HTTPResponse(
            self._original,
            error.code if error is not None else transfer.code,
            transfer.headers,
            transfer.buffer,
            transfer.url,
            error,
            self._elapsed_s(),
            times,
            (error.message if error is not None else transfer.reason) or None,
            self._original.start_time,
        )
        response.http_version = transfer.http_version
        self._finish(response)

    def fail(self, error: BaseException) -> None:
        """End without an answer of the server."""
        if self.future.done():
            return
        if not isinstance(error, HTTPError) and self._callback is None:
            self.future.set_exception(error)
            return
        if not isinstance(error, HTTPError):
            wrapped = HTTPError(599, f"{type(error).__name__}: {error}")
            wrapped.__cause__ = error
            error = wrapped
        response = HTTPResponse(
            self._original, error.code, error=error, request_time=self._elapsed_s(), reason=error.message
        )
        self._finish(response)

    def _finish(self, response: HTTPResponse) -> None:
        if self.future.done():
            return
        if self._raises and (error := response.error) is not None:
            self.future.set_exception(error)
        else:
            self.future.set_result(response)
            if self._callback is not None and self._context is not None:
                run = IOLoop.current().run_callback
                self._client.loop.call_soon(run, self._callback, response, context=self._context)

    def _on_done(self, future: "asyncio.Future[HTTPResponse]") -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        transfer, self._transfer = self._transfer, None
        if transfer is not None:
            if not self._client.is_closed:
                self._client.means.multi.remove(transfer.curl)
            transfer.close()
        if not self._client.is_closed:
            self._client.leave_queue(self)
            self._client.ended(self)


class HTTPClient:
    """Fetches and waits. For scripts and threads without a loop: in a handler it would stop the whole process."""

    def __init__(self, max_simultaneous_connections: int | None = None, **options: Any) -> None:
        self._runner = asyncio.Runner()
        self._options = {"max_simultaneous_connections": max_simultaneous_connections, **options}
        self._client: AsyncHTTPClient | None = None

    def fetch(self, request: HTTPRequest | str, **kwargs: Any) -> HTTPResponse:
        """The answer.

        Raises:
            HTTPError: its status is 400 or more, or there is none.
            ValueError: the request is none that could be sent.
            RuntimeError: a loop runs in this thread.
        """
        return self._runner.run(self._fetch(request, kwargs))

    async def _fetch(self, request: HTTPRequest | str, kwargs: dict[str, Any]) -> HTTPResponse:
        if self._client is None:
            self._client = AsyncHTTPClient(force_instance=True, **self._options)
        return await self._client.fetch(request, **kwargs)

    def close(self) -> None:
        """Close all connections."""
        if self._client is not None:
            self._runner.run(self._close(self._client))
        self._runner.close()

    async def _close(self, client: AsyncHTTPClient) -> None:
        client.close()

    def __enter__(self) -> "HTTPClient":
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.close()
