import asyncio
import logging
import unittest

import pytest

from framework.httpclient import AsyncHTTPClient, CurlError
from framework.testing import (
    AsyncHTTPSTestCase,
    AsyncHTTPTestCase,
    AsyncTestCase,
    ExpectLog,
    LogTrapTestCase,
    bind_unused_port,
    gen_test,
    get_async_test_timeout,
    get_unused_port,
)
from framework.web import Application, HTTPError, RequestHandler


def outcome(case, name="test"):
    """The failures and errors of one test."""
    result = unittest.TestResult()
    case(name).run(result)
    return [text for _, text in result.failures + result.errors]


class Main(RequestHandler):
    async def get(self):
        await asyncio.sleep(0)
        self.write("Hello, world")

    def post(self):
        self.set_status(int(self.get_argument("status")))


class TestOfAnApplication(AsyncHTTPTestCase):
    def get_app(self):
        return Application([("/", Main)])

    def test_fetch(self):
        response = self.fetch("/")
        self.assertEqual((response.code, response.body, response.error), (200, b"Hello, world", None))
        self.assertEqual(self.fetch("/", method="HEAD").body, b"")

    def test_error(self):
        self.assertEqual(self.fetch("/", method="POST", body="status=418").code, 418)
        with self.assertRaises(HTTPError):
            self.fetch("/nowhere", raise_error=True)

    def test_address(self):
        self.assertEqual(self.get_url("/x"), f"http://127.0.0.1:{self.get_http_port()}/x")

    @gen_test
    async def test_coroutine(self):
        await asyncio.sleep(0)


class TestOfAnApplicationOverTLS(AsyncHTTPSTestCase):
    def get_app(self):
        class Protocol(RequestHandler):
            def get(self):
                self.write(self.request.protocol)

        return Application([("/", Protocol)])

    def test_fetch(self):
        self.assertTrue(self.get_url("/").startswith("https://"))
        self.assertEqual(self.fetch("/").body, b"https")

    @gen_test
    async def test_client_that_trusts_the_certificate(self):
        self.assertIs(self.http_client, self.http_client)
        self.assertEqual((await self.http_client.fetch(self.get_url("/"))).body, b"https")

    @gen_test
    async def test_client_that_does_not(self):
        client = AsyncHTTPClient(force_instance=True)
        with self.assertRaises(CurlError):
            await client.fetch(self.get_url("/"))
        client.close()


class TestOfCallbacks(AsyncTestCase):
    def test_wait_gives_what_stop_was_given(self):
        self.io_loop.add_callback(self.stop, 5)
        self.assertEqual(self.wait(), 5)
        self.io_loop.add_callback(self.stop, a=1)
        self.assertEqual(self.wait(), {"a": 1})
        self.stop(6)
        self.assertEqual(self.wait(), 6)

    def test_wait_for_a_condition(self):
        seen = []

        def step():
            seen.append(1)
            self.stop()
            self.io_loop.add_callback(step)

        self.io_loop.add_callback(step)
        self.wait(condition=lambda: len(seen) >= 3)
        self.assertEqual(len(seen), 3)

    @gen_test(timeout=1)
    async def test_coroutine_with_a_limit(self):
        await asyncio.sleep(0)


def test_exception_in_a_callback_fails_the_test():
    class Case(AsyncTestCase):
        def test(self):
            self.io_loop.add_callback(lambda: 1 / 0)
            self.wait()

    assert "ZeroDivisionError" in outcome(Case)[0]


def test_waiting_too_long_fails_the_test():
    class Case(AsyncTestCase):
        def test(self):
            self.wait(timeout=0.01)

        @gen_test(timeout=0.01)
        async def test_coroutine(self):
            await asyncio.sleep(10)

    assert "expected stop() within 0.01 seconds" in outcome(Case)[0]
    assert "TimeoutError" in outcome(Case, "test_coroutine")[0]


def test_application_is_needed():
    class Case(AsyncHTTPTestCase):
        def test(self):
            pass

    assert "get_app() is not defined" in outcome(Case)[0]


def test_expected_log_is_taken(caplog):
    log = logging.getLogger("framework.general")
    with ExpectLog(log, "bad .*", level=logging.WARNING) as expected:
        log.warning("bad cookie")
        log.error("bad error")
        log.warning("other")
    assert expected.matched == 1
    assert [record.getMessage() for record in caplog.records] == ["bad error", "other"]
    with pytest.raises(AssertionError), ExpectLog("framework.general", "never"):
        pass
    with ExpectLog("framework.general", "never", required=False):
        pass
    with ExpectLog(log, "failed") as expected:
        try:
            raise KeyError("x")
        except KeyError:
            log.exception("failed")
    assert expected.logged_stack


def test_trapped_log_is_shown_for_failures_only():
    class Case(LogTrapTestCase):
        def test_good(self):
            logging.getLogger().error("quiet")

        def test_bad(self):
            logging.getLogger().error("loud")
            self.fail("on purpose")

    shown = []

    class Shown(logging.Handler):
        def emit(self, record):
            shown.append(record.getMessage())

    handler = Shown()
    logging.getLogger().addHandler(handler)
    try:
        outcome(Case, "test_good")
        outcome(Case, "test_bad")
    finally:
        logging.getLogger().removeHandler(handler)
    assert shown == ["loud"]


def test_ports_are_free():
    listener, port = bind_unused_port()
    assert listener.getsockname()[1] == port
    listener.close()
    assert 0 < get_unused_port() < 65536


def test_time_limit_is_a_setting(monkeypatch):
    assert get_async_test_timeout() == 5
    monkeypatch.setenv("ASYNC_TEST_TIMEOUT", "7.5")
    assert get_async_test_timeout() == 7.5


class TestOfTheClient(AsyncHTTPTestCase):
    def get_app(self):
        return Application([], log_function=lambda _: None)

    @gen_test
    async def test_fetch(self):
        response = await self.http_client.fetch(self.get_url("/nowhere"), raise_error=False)
        self.assertEqual(response.code, 404)
