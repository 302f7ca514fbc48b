import asyncio
import gc
import weakref

import pytest

from framework.template import DictLoader
from framework.testing import Client, call
from framework.web import Application, HTTPError, RequestHandler, UIModule, asynchronous


def client(handler, **settings):
    return Client(Application([("/", handler)], **settings))


def test_item_102_error_in_a_callback_is_the_answer_of_the_request_that_asked_for_it():
    class Handler(RequestHandler):
        @asynchronous
        def get(self):
            from framework.ioloop import IOLoop

            IOLoop.current().add_callback(self.on_ready)

        def on_ready(self):
            raise HTTPError(503)

    assert client(Handler).fetch("/").status == 503


def test_error_in_a_callback_of_a_coroutine_is_found_as_well():
    class Handler(RequestHandler):
        async def get(self):
            from framework.ioloop import IOLoop

            self._auto_finish = False
            IOLoop.current().add_callback(self.on_ready)

        def on_ready(self):
            raise KeyError("x")

    assert client(Handler).fetch("/").status == 500


def test_item_104_others_are_served_while_one_waits():
    order = []

    class Handler(RequestHandler):
        async def get(self):
            if self.get_argument("wait", ""):
                await released.wait()
            order.append(self.request.query)

    async def scenario():
        global released
        released = asyncio.Event()
        browser = client(Handler)
        waiting = [asyncio.ensure_future(browser.fetch_async(f"/?wait={number}")) for number in range(10)]
        await asyncio.sleep(0)
        await browser.fetch_async("/")
        released.set()
        await asyncio.gather(*waiting)

    asyncio.run(scenario())
    assert order[0] == "" and len(order) == 11


def test_item_106_on_connection_close_tells_that_the_client_left():
    left = []

    class Handler(RequestHandler):
        @asynchronous
        def get(self):
            pass

        def on_connection_close(self):
            left.append(self.request.path)

    async def scenario():
        browser = client(Handler)
        request = browser.make_request("/")
        browser.application(request)
        request.connection.leave()

    asyncio.run(scenario())
    assert left == ["/"]


def test_client_that_left_during_prepare_meets_no_verb():
    class Handler(RequestHandler):
        async def prepare(self):
            await asyncio.sleep(0)
            self.request.connection.leave()

        def get(self):
            raise AssertionError("the verb was called")

        def on_connection_close(self):
            pass

    async def scenario():
        browser = client(Handler)
        request = browser.make_request("/")
        browser.application(request)
        while browser.application.running:
            await asyncio.sleep(0)
        return bytes(request.connection.out)

    assert asyncio.run(scenario()) == b""


def test_verb_after_an_asynchronous_prepare_may_return_anything(caplog):
    class Handler(RequestHandler):
        async def prepare(self):
            await asyncio.sleep(0)

        def get(self):
            return "text"

    assert client(Handler).fetch("/").status == 200
    assert "the str that the verb returned is dropped" in caplog.text


def test_verb_that_returns_a_value_is_told_so(caplog):
    class Handler(RequestHandler):
        def get(self):
            return "text"

    assert client(Handler).fetch("/").status == 200
    assert "the str that the verb returned is dropped" in caplog.text


@pytest.mark.parametrize("target", ["/", "/?late"])
def test_own_finish_is_called_however_the_request_ends(target):
    class Handler(RequestHandler):
        def get(self):
            self.write("x")
            if self.request.query:
                self.finish()

        def finish(self):
            self.write("y")
            return super().finish()

    assert client(Handler).fetch(target).text == "xy"


def test_verb_may_return_what_finish_returns():
    class Handler(RequestHandler):
        def get(self):
            return self.finish("x")

        async def post(self):
            await self.finish("y")

    assert client(Handler).fetch("/").text == "x"
    assert client(Handler).fetch("/", "POST").text == "y"


def test_verb_may_return_a_future():
    class Handler(RequestHandler):
        def get(self):
            self.write("x")
            return asyncio.get_running_loop().create_future()

        def post(self):
            self.write("y")
            return asyncio.ensure_future(asyncio.sleep(0))

    assert client(Handler).fetch("/", "POST").text == "y"


def test_cancelled_request_cuts_the_connection():
    class Handler(RequestHandler):
        async def get(self):
            await asyncio.sleep(100)

    async def scenario():
        browser = client(Handler)
        request = browser.make_request("/")
        answer = asyncio.ensure_future(call(browser.application, request))
        await asyncio.sleep(0)
        (task,) = browser.application.running
        task.cancel()
        with pytest.raises(ConnectionAbortedError):
            await answer
        await asyncio.sleep(0)
        assert not browser.application.running

    asyncio.run(scenario())


class Quiet(UIModule):
    def render(self):
        return "<hr>"


@pytest.mark.parametrize("method", ["GET", "POST", "PUT", "DELETE", "PATCH"])
def test_finished_request_leaves_no_cycle(method):
    """Handlers go when their request ends, not when the collector comes by."""
    seen = []

    class Handler(RequestHandler):
        def get(self):
            self.write("x")

        async def post(self):
            await asyncio.sleep(0)
            self.write("x")

        def put(self):
            self.set_header("X-Y", "z")

        def delete(self):
            raise HTTPError(403)

        def patch(self):
            self.render("page.html")

        def on_finish(self):
            seen.append(weakref.ref(self))

    browser = client(
        Handler, template_loader=DictLoader({"page.html": "{{ modules.Quiet() }}"}), ui_modules={"Quiet": Quiet}
    )
    gc.collect()
    gc.disable()
    try:
        browser.fetch("/", method)
        assert seen[0]() is None
    finally:
        gc.enable()
