"""An application under test: without a socket, or with one; and the test cases of the seed.

    Client(application).fetch("/")                     no socket, no server: a request in, its answer out
    async with serving(application) as port: …         a server on a free port of this machine
    class MyTest(AsyncHTTPTestCase): …                 unittest's way: get_app(), self.fetch("/")
    one, other = memory_streams()                      two streams, each the other's end, for protocols of one's own

The rooms: `client` (the first two), `certificate` (for TLS), `cases` (the third, and what belongs to it), `streams`.
"""

from framework.testing.cases import (
    AsyncHTTPSTestCase,
    AsyncHTTPTestCase,
    AsyncTestCase,
    ExpectLog,
    LogTrapTestCase,
    bind_unused_port,
    gen_test,
    get_async_test_timeout,
    get_unused_port,
    main,
)
from framework.testing.client import Client, MemoryConnection, Response, call, exchange, parse_response, serving
from framework.testing.streams import MemoryStream, memory_streams

__all__ = [
    "AsyncHTTPSTestCase",
    "AsyncHTTPTestCase",
    "AsyncTestCase",
    "Client",
    "ExpectLog",
    "LogTrapTestCase",
    "MemoryConnection",
    "MemoryStream",
    "Response",
    "bind_unused_port",
    "call",
    "exchange",
    "gen_test",
    "get_async_test_timeout",
    "get_unused_port",
    "main",
    "memory_streams",
    "parse_response",
    "serving",
]
