"""unittest's test cases for code on the loop, with the names of 2011 and of today.

    class MyTest(AsyncHTTPTestCase):
        def get_app(self):
            return Application([("/", MainHandler)])

        def test_main(self):
            self.assertEqual(self.fetch("/").body, b"Hello, world")

Each test has a loop of its own. What a callback raises fails the test, wherever it was called from.
"""

import asyncio
import functools
import logging
import os
import re
import socket
import ssl
import sys
import tempfile
import unittest
from collections.abc import Callable, Coroutine
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self, overload

from framework.httpserver import HTTPServer
from framework.ioloop import IOLoop, catching
from framework.netutil import bind_sockets
from framework.testing.certificate import write_certificate
from framework.testing.client import Application, Response, exchange

if TYPE_CHECKING:
    from framework.httpclient import AsyncHTTPClient


def get_async_test_timeout() -> float:
    """Seconds that a test may wait: ASYNC_TEST_TIMEOUT of the environment, else 5."""
    try:
        return float(os.environ.get("ASYNC_TEST_TIMEOUT", ""))
    except ValueError:
        return 5.0


def bind_unused_port(reuse_port: bool = False, address: str = "127.0.0.1") -> tuple[socket.socket, int]:
    """A listening socket on a free port of this machine, and the port."""
    (listener,) = bind_sockets(0, address, reuse_port=reuse_port)
    return listener, listener.getsockname()[1]


def get_unused_port() -> int:
    """A port that was free a moment ago. Of 2011: bind_unused_port does not lose it to somebody else."""
    listener, port = bind_unused_port()
    listener.close()
    return port


class AsyncTestCase(unittest.TestCase):
    """A test with a loop: `stop()` from a callback ends `wait()`, and @gen_test methods are coroutines."""

    def __init__(self, methodName: str = "runTest") -> None:
        super().__init__(methodName)
        self._stopped: list[Any] = []
        self._failure: BaseException | None = None

    def setUp(self) -> None:
        super().setUp()
        self.io_loop = self.get_new_ioloop()
        self.io_loop.make_current()

    def tearDown(self) -> None:
        loop = self.io_loop.asyncio_loop
        pending = asyncio.all_tasks(loop)
        for task in pending:
            task.cancel()
        if pending:
            loop.run_until_complete(asyncio.gather(*pending, return_exceptions=True))
        loop.run_until_complete(loop.shutdown_asyncgens())
        self.io_loop.clear_current()
        self.io_loop.close()
        super().tearDown()
        self._rethrow()

    def get_new_ioloop(self) -> IOLoop:
        """Hook: the loop of a test."""
        return IOLoop()

    def run(self, result: unittest.TestResult | None = None) -> unittest.TestResult | None:
        """Run the test; exceptions of the callbacks it starts are its own."""
        with catching(self._take_exception):
            return super().run(result)

    def _take_exception(self, error: BaseException) -> bool:
        if self._failure is None:
            self._failure = error
            self.io_loop.asyncio_loop.call_soon(self.stop)
        else:
            logging.getLogger("framework.application").error("another exception in a callback", exc_info=error)
        return True

    def _rethrow(self) -> None:
        failure, self._failure = self._failure, None
        if failure is not None:
            raise failure

    def stop(self, _arg: Any = None, **kwargs: Any) -> None:
        """End wait(), now or when it is called, which returns the argument (or the keywords)."""
        self._stopped.append(kwargs or _arg)
        if self.io_loop.running():
            self.io_loop.stop()

    def wait(self, condition: Callable[[], bool] | None = None, timeout: float | None = None) -> Any:
        """Run the loop until stop() is called (and the condition holds); what stop() was given.

        Raises:
            AssertionError: it takes longer than `timeout` seconds, by default get_async_test_timeout().
        """
        timeout = get_async_test_timeout() if timeout is None else timeout
        late = []
        loop = self.io_loop.asyncio_loop

        def give_up() -> None:
            late.append(True)
            loop.stop()

        timer = loop.call_later(timeout, give_up)
        try:
            while not self._failure and (not self._stopped or (condition is not None and not condition())):
                self.io_loop.start()
                if late:
                    raise self.failureException(f"wait(): expected stop() within {timeout} seconds")
        finally:
            timer.cancel()
        self._rethrow()
        found = self._stopped[-1]
        self._stopped.clear()
        return found


class AsyncHTTPTestCase(AsyncTestCase):
    """A test with a server of the application that get_app() gives."""

    _client_context: ssl.SSLContext | None = None
    _http_client: "AsyncHTTPClient | None" = None

    def setUp(self) -> None:
        super().setUp()
        self._app = self.get_app()
        self.http_server = self.get_http_server()
        listener, self._port = bind_unused_port()
        self.io_loop.run_sync(lambda: self.http_server.add_sockets([listener]))

    def tearDown(self) -> None:
        if self._http_client is not None:
            self._http_client.close()
        self.http_server.stop()
        self.io_loop.run_sync(self.http_server.close_all_connections)
        super().tearDown()

    @property
    def http_client(self) -> "AsyncHTTPClient":
        """The client of this test, for tests that are coroutines."""
        if self._http_client is None:
            self._http_client = self.get_http_client()
        return self._http_client

    def get_http_client(self) -> "AsyncHTTPClient":
        """Hook: a client for this test; by default that of its loop."""
        from framework.httpclient import AsyncHTTPClient  # tests without it need no libcurl

        return AsyncHTTPClient()

    def get_app(self) -> Application:
        """Hook: the application under test. Every test case overrides it."""
        raise TypeError(f"{type(self).__name__}.get_app() is not defined")

    def get_http_server(self) -> HTTPServer:
        """Hook: the server."""
        return HTTPServer(self._app, **self.get_httpserver_options())

    def get_httpserver_options(self) -> dict[str, Any]:
        """Hook: keywords for the server."""
        return {}

    def get_http_port(self) -> int:
        """The port of the server."""
        return self._port

    def get_protocol(self) -> str:
        """Hook: http or https."""
        return "http"

    def get_url(self, path: str) -> str:
        """The address of a path on the server."""
        return f"{self.get_protocol()}://127.0.0.1:{self._port}{path}"

    def fetch(self, path: str, raise_error: bool = False, **kwargs: Any) -> Response:
        """The answer to one request; see framework.testing.exchange for the keywords.

        Raises:
            HTTPError: the status is 400 or more, with `raise_error`.
        """
        made = functools.partial(exchange, self._port, path, ssl_context=self._client_context, **kwargs)
        response = self.io_loop.run_sync(made, timeout=get_async_test_timeout())
        if raise_error:
            response.rethrow()
        assert isinstance(response, Response)
        return response


class AsyncHTTPSTestCase(AsyncHTTPTestCase):
    """The same over TLS, with a certificate that is made for the test."""

    def setUp(self) -> None:
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self._certfile, self._keyfile = write_certificate(Path(folder.name))
        self._client_context = ssl.create_default_context(cafile=self._certfile)
        super().setUp()

    def get_http_client(self) -> "AsyncHTTPClient":
        """Hook: a client that trusts the server's certificate, and no other."""
        from framework.httpclient import AsyncHTTPClient

        return AsyncHTTPClient(force_instance=True, defaults={"ca_certs": self._certfile})

    def get_httpserver_options(self) -> dict[str, Any]:
        """Hook: keywords for the server."""
        return {"ssl_options": self.get_ssl_options()}

    def get_ssl_options(self) -> dict[str, Any]:
        """Hook: the server's TLS options."""
        return {"certfile": self._certfile, "keyfile": self._keyfile}

    def get_protocol(self) -> str:
        """https."""
        return "https"


type _Method = Callable[..., Coroutine[Any, Any, Any]]


@overload
def gen_test(func: _Method, *, timeout: float | None = None) -> Callable[..., Any]: ...
@overload
def gen_test(func: None = None, *, timeout: float | None = None) -> Callable[[_Method], Callable[..., Any]]: ...
def gen_test(func: _Method | None = None, *, timeout: float | None = None) -> Any:
    """A coroutine method of an AsyncTestCase as a test; it fails after `timeout` seconds."""
    if func is None:
        return functools.partial(gen_test, timeout=timeout)

    @functools.wraps(func)
    def run(self: AsyncTestCase, *args: Any, **kwargs: Any) -> Any:
        limit = get_async_test_timeout() if timeout is None else timeout
        return self.io_loop.run_sync(functools.partial(func, self, *args, **kwargs), timeout=limit)

    return run


class ExpectLog(logging.Filter):
    """Takes the log records that match, and fails if there were none: `with ExpectLog(gen_log, "bad cookie"): …`.

    `logged_stack` tells whether one had a traceback; `level` limits what counts.
    """

    def __init__(
        self, logger: logging.Logger | str, regex: str, required: bool = True, level: int | None = None
    ) -> None:
        super().__init__()
        self.logger = logging.getLogger(logger) if isinstance(logger, str) else logger
        self.regex = re.compile(regex)
        self.required = required
        self.level = level
        self.matched = 0
        self.logged_stack = False

    def filter(self, record: logging.LogRecord) -> bool:
        is_meant = self.level is None or record.levelno == self.level
        if not is_meant or not self.regex.match(record.getMessage()):
            return True
        self.matched += 1
        self.logged_stack = self.logged_stack or bool(record.exc_info)
        return False

    def __enter__(self) -> Self:
        self.logger.addFilter(self)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.logger.removeFilter(self)
        if kind is None and self.required and not self.matched:
            raise AssertionError(f"expected a log record like {self.regex.pattern!r}")


class LogTrapTestCase(unittest.TestCase):
    """Of 2011: shows the log of a test only if it fails."""

    def run(self, result: unittest.TestResult | None = None) -> unittest.TestResult | None:
        """Run the test with the root logger's handlers holding their records back."""
        trap = _Trap()
        root = logging.getLogger()
        handlers, root.handlers = root.handlers, [trap]
        failures = _count_failures(result)
        try:
            return super().run(result)
        finally:
            root.handlers = handlers
            if _count_failures(result) > failures:
                for record in trap.kept:
                    root.handle(record)


class _Trap(logging.Handler):
    def __init__(self) -> None:
        super().__init__()
        self.kept: list[logging.LogRecord] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.kept.append(record)


def _count_failures(result: unittest.TestResult | None) -> int:
    return len(result.failures) + len(result.errors) if result is not None else 0


def main(**kwargs: Any) -> None:
    """Run the tests of the calling module or of those named on the command line, as unittest.main does."""
    unittest.main(**{"module": None if len(sys.argv) > 1 else "__main__", **kwargs})
