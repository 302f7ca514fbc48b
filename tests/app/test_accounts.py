"""Signing in and out, and choosing a language."""

from collections.abc import Callable

import pytest

from app.accounts import clean_name
from app.application import FeedApplication
from framework.testing import Client
from tests.app.conftest import Scenario
from tests.app.test_entries import signed_in

Run = Callable[[Scenario], None]


@pytest.mark.parametrize(
    ("given", "name"),
    [
        (" Ada  Lovelace ", "Ada Lovelace"),
        ("a", None),
        ("x" * 41, None),
        ("\u202eevil", "evil"),
        ("\x00\n", None),
        ("李白", "李白"),
    ],
)
def test_clean_name(given: str, name: str | None) -> None:
    assert clean_name(given) == name


def test_signing_in_again_finds_the_same_user(run: Run) -> None:
    async def scenario(application: FeedApplication) -> None:
        await signed_in(application)
        await signed_in(application)
        assert await application.pool.get("SELECT COUNT(*) AS n FROM users") == {"n": 1}

    run(scenario)


def test_sign_out_forgets_the_user(run: Run) -> None:
    async def scenario(application: FeedApplication) -> None:
        ada = await signed_in(application)
        assert "Ada" in (await ada.fetch_async("/")).text
        answer = await ada.fetch_async("/logout", "POST", body={"_xsrf": ada.cookies["_xsrf"]})
        assert answer.status == 303
        assert "Ada" not in (await ada.fetch_async("/")).text

    run(scenario)


@pytest.mark.parametrize(
    ("wanted", "location"),
    [("/about", "/about"), ("//evil.example", "/"), ("https://evil.example/", "/"), ("/\\evil", "/")],
)
def test_login_goes_on_to_pages_of_ours_only(run: Run, wanted: str, location: str) -> None:
    async def scenario(application: FeedApplication) -> None:
        client = Client(application)
        await client.fetch_async("/login")
        fields = {"name": "Ada", "next": wanted, "_xsrf": client.cookies["_xsrf"]}
        assert (await client.fetch_async("/login", "POST", body=fields)).headers["Location"] == location

    run(scenario)


def test_wrong_name_is_explained(run: Run) -> None:
    async def scenario(application: FeedApplication) -> None:
        client = Client(application)
        await client.fetch_async("/login")
        answer = await client.fetch_async("/login", "POST", body={"name": "a", "_xsrf": client.cookies["_xsrf"]})
        assert answer.status == 400 and "2 to 40 characters" in answer.text

    run(scenario)


def test_forged_cookie_is_nobody(run: Run) -> None:
    async def scenario(application: FeedApplication) -> None:
        client = Client(application)
        client.cookies["user"] = "2|1:0|10:1795485040|4:user|24:eyJpZCI6MSwibmFtZSI6IkEifQ==|" + "0" * 64
        assert "Sign in" in (await client.fetch_async("/")).text

    run(scenario)


def test_language_is_remembered(run: Run) -> None:
    async def scenario(application: FeedApplication) -> None:
        client = Client(application)
        await client.fetch_async("/")
        fields = {"locale": "de", "next": "/about", "_xsrf": client.cookies["_xsrf"]}
        answer = await client.fetch_async("/locale", "POST", body=fields)
        assert (answer.status, answer.headers["Location"]) == (303, "/about")
        assert 'lang="de"' in (await client.fetch_async("/about")).text
        assert (await client.fetch_async("/locale", "POST", body={**fields, "locale": "xx"})).status == 400

    run(scenario)
