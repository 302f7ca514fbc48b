"""Queues, redirects, styles of calling."""

import asyncio
import contextlib
import gc
import os

import pytest

from framework.httpclient import (
    AddressPolicy,
    AddressRefusedError,
    AsyncHTTPClient,
    HTTPClient,
    HTTPError,
    HTTPRequest,
    HTTPTimeoutError,
    RedirectError,
)
from framework.ioloop import catching
from framework.testing import serving
from framework.web import Application, RequestHandler
from tests.support.rawhttp import hello


class Redirect(RequestHandler):
    def get(self):
        self.redirect(self.get_argument("to"), status=int(self.get_argument("code", "302")))

    post = get


class Show(RequestHandler):
    def get(self):
        self.write({"method": self.request.method, "headers": dict(self.request.headers.get_all())})

    post = get


APPLICATION = Application([("/to", Redirect), ("/show", Show)], log_function=lambda _: None)


def with_client(use, application=APPLICATION, **options):
    """What `use(client, url)` returns."""

    async def run():
        async with serving(application) as port:
            client = AsyncHTTPClient(force_instance=True, **options)
            try:
                return await use(client, f"http://127.0.0.1:{port}")
            finally:
                client.close()

    return asyncio.run(run())


def test_item_135_response_says_where_it_came_from_and_how_long_it_took():
    async def use(client, url):
        return await client.fetch(url + "/to?to=/show"), url

    response, url = with_client(use)
    assert response.effective_url == url + "/show"
    assert response.request.url.endswith("/to?to=/show")
    assert response.http_version == "HTTP/1.1"
    names = {"queue", "namelookup", "connect", "pretransfer", "starttransfer", "total", "redirect"}
    assert names <= response.time_info.keys()
    assert 0 < response.time_info["total"] <= response.request_time


def test_credentials_do_not_follow_to_another_origin():
    async def use(client, url):
        async with serving(APPLICATION) as port:
            there = f"http://127.0.0.1:{port}/show"
            headers = {"Authorization": "secret", "Cookie": "secret"}
            kept = await client.fetch(f"{url}/to?to=/show", headers=headers)
            lost = await client.fetch(f"{url}/to?to={there}", headers=headers, auth_username="me")
            return kept.json()["headers"], lost.json()["headers"]

    kept, lost = with_client(use)
    assert kept["Authorization"] == kept["Cookie"] == "secret"
    assert not {"Authorization", "Cookie"} & lost.keys()


def test_redirects_have_an_end():
    async def use(client, url):
        with pytest.raises(RedirectError, match="more than 5"):
            await client.fetch(url)

    def answer(request):
        request.connection.answer(b"HTTP/1.1 302 F\r\nLocation: /again\r\nContent-Length: 0\r\n\r\n")

    with_client(use, answer)


def test_redirect_not_followed_is_an_error_with_the_answer():
    async def use(client, url):
        return await client.fetch(url + "/to?to=/show", raise_error=False, follow_redirects=False)

    response = with_client(use)
    assert response.code == 302
    assert response.headers["Location"] == "/show"
    assert isinstance(response.error, HTTPError)


def test_policy_is_asked_again_after_a_redirect():
    async def use(client, url):
        with pytest.raises(AddressRefusedError, match=r"127\.0\.0\.2"):
            await client.fetch(url + "/to?to=http://127.0.0.2:1/")

    with_client(use, addresses=AddressPolicy(allow=["127.0.0.1/32"]))


def test_max_clients_holds_and_the_queue_says_so():
    running = 0
    most = 0

    async def count(request):
        nonlocal running, most
        running += 1
        most = max(most, running)
        await asyncio.sleep(0.001)
        running -= 1
        request.connection.answer(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")

    async def use(client, url):
        await asyncio.gather(*[client.fetch(url) for _ in range(20)])
        return client.waiting

    assert with_client(use, count, max_clients=3) == 0
    assert most == 3

    async def wait(client, url):
        slow = client.fetch(url, request_timeout=5)
        with pytest.raises(HTTPTimeoutError, match="in the queue: all 1 clients"):
            await client.fetch(url, request_timeout=0.05)
        slow.cancel()

    with_client(wait, lambda request: None, max_clients=1)


def test_cancelled_fetch_makes_room():
    async def use(client, url):
        first = client.fetch(url)
        await asyncio.sleep(0)
        first.cancel()
        with pytest.raises(HTTPTimeoutError, match="waiting for the answer"):
            await client.fetch(url, request_timeout=0.05)

    with_client(use, lambda request: None, max_clients=1)


def test_callback_gets_the_answer_and_the_error():
    async def use(client, url):
        got = asyncio.Queue()
        client.fetch(url + "/show", got.put_nowait)
        client.fetch(url + "/nothing", callback=got.put_nowait)
        return {response.code: response for response in [await got.get(), await got.get()]}

    responses = with_client(use)
    assert responses[200].error is None
    with pytest.raises(HTTPError, match="HTTP 404: Not Found"):
        responses[404].rethrow()


def test_error_in_a_callback_reaches_who_asked():
    async def use(client, url):
        caught = asyncio.get_running_loop().create_future()

        def fail(response):
            raise LookupError("mine")

        def handle(error):
            caught.set_result(error)
            return True

        with catching(handle):
            client.fetch(url + "/show", fail)
        return await caught

    assert isinstance(with_client(use), LookupError)


def test_defaults_fill_what_a_request_leaves_open():
    async def use(client, url):
        first = await client.fetch(url + "/show")
        second = await client.fetch(HTTPRequest(url + "/show", user_agent="other"))
        return [response.json()["headers"]["User-Agent"] for response in (first, second)]

    assert with_client(use, defaults={"user_agent": "mine"}) == ["mine", "other"]


def test_bad_arguments_are_errors_at_once():
    async def use(client, url):
        for arguments in (("ftp://a/",), (HTTPRequest(url), None, True)):
            with pytest.raises(ValueError):
                client.fetch(*arguments, **({"body": b""} if len(arguments) > 1 else {}))

    with_client(use)


def test_one_client_per_loop_and_another_with_options():
    async def run():
        one = AsyncHTTPClient()
        assert AsyncHTTPClient() is one is AsyncHTTPClient.instance()
        other = AsyncHTTPClient(max_clients=2)
        assert other is not one
        other.close()
        one.close()
        again = AsyncHTTPClient()
        assert again is not one
        again.close()

    asyncio.run(run())


def test_closing_fails_what_runs():
    async def use(client, url):
        waiting = client.fetch(url)
        await asyncio.sleep(0)
        client.close()
        with pytest.raises(HTTPError, match="closed"):
            await waiting
        with pytest.raises(RuntimeError):
            client.fetch(url)

    with_client(use, lambda request: None)


def test_connections_are_reused_and_nothing_is_left():
    async def use(client, url):
        for _ in range(3):
            await client.fetch(url)
        before = len(os.listdir("/proc/self/fd"))
        for _ in range(300):
            await client.fetch(url)
        for _ in range(100):
            with pytest.raises(HTTPError):
                await client.fetch(url.replace("http", "https"))
        gc.collect()
        return len(os.listdir("/proc/self/fd")) - before

    assert with_client(use, hello) <= 4


def refuse_redirects(request):
    request.connection.answer(b"HTTP/1.1 302 Found\r\nLocation: file:///x\r\nContent-Length: 0\r\n\r\n")


def break_off(request):
    request.connection.write(b"HTTP/1.1 500 No\r\nContent-Length: 9\r\n\r\nabc")
    request.connection.close()


def fail_to_take(chunk):
    raise LookupError


@pytest.mark.parametrize("application", [hello, refuse_redirects, break_off])
@pytest.mark.parametrize("fields", [{}, {"raise_error": False}, {"streaming_callback": fail_to_take}], ids=str)
def test_failed_fetch_leaves_nothing_for_the_collector(application, fields):
    """An error that knows its response, which knows its error, would keep the bodies of both until it is found."""

    async def run():
        client = AsyncHTTPClient(force_instance=True)
        async with serving(application) as port:

            async def fetch():
                with contextlib.suppress(HTTPError, LookupError):
                    await client.fetch(f"http://127.0.0.1:{port}/", method="POST", body=b"x", **fields)

            await fetch()
            gc.collect()
            gc.disable()
            try:
                for _ in range(5):
                    await fetch()
                gc.set_debug(gc.DEBUG_SAVEALL)
                gc.collect()
                found = [thing for thing in gc.garbage if type(thing).__module__.startswith("framework.httpclient")]
            finally:
                gc.set_debug(0)
                gc.garbage.clear()
                gc.enable()
            client.close()
            return found

    assert asyncio.run(run()) == []


def test_item_135_blocking_client():
    async def run():
        async with serving(hello) as port:
            return await asyncio.to_thread(fetch, f"http://127.0.0.1:{port}")

    def fetch(url):
        with HTTPClient() as client:
            with pytest.raises(ValueError):
                client.fetch("nonsense")
            return client.fetch(url + "/a").body, client.fetch(url + "/b").body

    assert asyncio.run(run()) == (b"GET /a 0", b"GET /b 0")


def test_one_switch_gives_every_client_a_policy(monkeypatch):
    monkeypatch.setattr(AsyncHTTPClient, "_configured", {})
    AsyncHTTPClient.configure(addresses=AddressPolicy())

    async def run():
        own = AsyncHTTPClient(max_clients=1)
        async with serving(hello) as port:
            for client in (AsyncHTTPClient(), own):
                with pytest.raises(AddressRefusedError):
                    await client.fetch(f"http://127.0.0.1:{port}/")
                client.close()

    asyncio.run(run())
