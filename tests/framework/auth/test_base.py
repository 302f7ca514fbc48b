"""Who gets a result, and what the browser keeps."""

import asyncio

import pytest

from framework.auth.base import AuthError, AuthMixin, describe_error, started
from framework.testing import Client
from framework.web import Application, RequestHandler, asynchronous


class Handler(AuthMixin, RequestHandler):
    @started(fails_with_none=True)
    async def quiet(self, fails):
        await asyncio.sleep(0)
        if fails:
            raise AuthError("wrong")
        return "user"

    @started(fails_with_none=False)
    async def loud(self, path, fails=False):
        await asyncio.sleep(0)
        if fails:
            raise AuthError("wrong")
        return path


def answer(method, **settings):
    class Tested(Handler):
        get = method

    return Client(Application([("/", Tested)], cookie_secret="x", log_function=lambda _: None)).fetch("/")


@pytest.mark.parametrize(("fails", "result"), [(False, "user"), (True, "None")])
def test_failure_is_none_when_awaited_and_in_a_callback(fails, result, caplog):
    async def awaits(self):
        self.write(str(await self.quiet(fails)))

    @asynchronous
    def calls(self):
        self.quiet(fails, callback=lambda user: self.finish(str(user)))

    @asynchronous
    def calls_as_in_2011(self):
        self.quiet(lambda user: self.finish(str(user)), fails)

    for method in (awaits, calls, calls_as_in_2011):
        assert answer(method).text == result
    assert ("quiet: wrong" in caplog.text) == fails


def test_failed_request_raises_when_awaited_and_is_none_in_a_callback():
    async def awaits(self):
        with pytest.raises(AuthError):
            await self.loud("/me", fails=True)
        self.write(await self.loud("/me"))

    @asynchronous
    def calls(self):
        self.loud("/me", lambda found: self.finish(str(found)), fails=True)

    assert answer(awaits).text == "/me"
    assert answer(calls).text == "None"


def test_error_in_a_callback_is_the_answer_of_its_request(caplog):
    @asynchronous
    def calls(self):
        self.quiet(lambda user: 1 / 0, False)

    assert answer(calls).status == 500


def test_flow_is_remembered_once_and_only_where_it_was_signed():
    class Flow(AuthMixin, RequestHandler):
        def get(self):
            self.write({"found": self.recall_flow("f")})

        def post(self):
            self.remember_flow("f", {"state": "s"})

    client = Client(Application([("/", Flow)], cookie_secret="x", log_function=lambda _: None))
    header = client.fetch("/", "POST").headers["Set-Cookie"].lower()
    assert "httponly" in header and "samesite=lax" in header and "max-age=900" in header
    assert client.fetch("/").json() == {"found": {"state": "s"}}
    assert client.fetch("/").json() == {"found": None}
    client.cookies["f"] = "forged"
    assert client.fetch("/").json() == {"found": None}


@pytest.mark.parametrize(
    ("found", "text"),
    [(None, ""), ([], ""), ({"error": "a", "error_description": "b"}, "a: b"), ({"error": {"x": 1}}, "{'x': 1}")],
)
def test_provider_s_words(found, text):
    assert describe_error(found) == text
