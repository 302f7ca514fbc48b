"""Signing in and out, and choosing a language."""

import asyncio
from collections.abc import Awaitable, Callable

import pytest

from app.accounts import clean_name
from app.application import FeedApplication
from framework.database import Address
from framework.testing import Client
from tests.app.conftest import Scenario, serving
from tests.app.test_entries import signed_in
from tests.support.front import free_port
from tests.support.providers import Browser, certified_provider

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


def test_name_in_other_letters_is_shown_as_it_was_written_first(run: Run) -> None:
    async def scenario(application: FeedApplication) -> None:
        await signed_in(application, "Ada")
        again = await signed_in(application, "aDA")
        page = (await again.fetch_async("/")).text
        assert "Ada" in page and "aDA" not in page

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


def with_provider(database: Address, scenario: Callable[[FeedApplication, str, Browser], Awaitable[None]]) -> None:
    """Runs a scenario with an application whose visitors may sign in at a certified provider."""

    async def whole() -> None:
        port = free_port()
        with certified_provider(f"http://127.0.0.1:{port}/login/openid") as issuer:
            provider = {"issuer": issuer, "client_id": "squall", "client_secret": "a secret with +/%: in it"}
            async with serving(database, openid_connect=provider, openid_name="the club") as application:
                server = application.listen(port, "127.0.0.1")
                browser = Browser()
                await scenario(application, f"http://127.0.0.1:{port}", browser)
                browser.close()
                server.stop()
                await server.close_all_connections()

    asyncio.run(whole())


async def come_in(browser: Browser, site: str) -> str:
    """The home page, after signing in at the provider."""
    back = await browser.sign_in(f"{site}/login/openid", until=f"{site}/login/openid?", user="ann")
    url, page = await browser.open(back)
    assert url == f"{site}/"
    return str(page.body.decode())


def test_visitor_of_a_provider_is_the_same_user_each_time(database: Address) -> None:
    async def scenario(application: FeedApplication, site: str, browser: Browser) -> None:
        _, page = await browser.open(f"{site}/login")
        assert "Sign in with the club" in page.body.decode()
        assert "The ann" in await come_in(browser, site)
        assert "The ann" in await come_in(Browser(), site)
        assert await application.pool.get("SELECT COUNT(*) AS n FROM users") == {"n": 1}

    with_provider(database, scenario)


def test_name_of_a_provider_s_user_is_no_key_to_the_account(database: Address) -> None:
    async def scenario(application: FeedApplication, site: str, browser: Browser) -> None:
        await come_in(browser, site)
        stranger = Client(application)
        await stranger.fetch_async("/login")
        answer = await stranger.fetch_async(
            "/login", "POST", body={"name": "The ann", "_xsrf": stranger.cookies["_xsrf"]}
        )
        assert answer.status == 400
        assert "user" not in stranger.cookies

    with_provider(database, scenario)


def test_name_that_is_taken_gets_a_number(run: Run) -> None:
    async def scenario(application: FeedApplication) -> None:
        feed = application.feed
        await feed.sign_in("Ann")
        one = await feed.sign_in_as("https://a.example", "1", "Ann")
        two = await feed.sign_in_as("https://b.example", "1", "Ann")
        assert (one[1], two[1]) == ("Ann 2", "Ann 3")
        assert await feed.sign_in_as("https://a.example", "1", "Renamed") == one

    run(scenario)


def test_without_a_provider_there_is_no_button_and_no_page(run: Run) -> None:
    async def scenario(application: FeedApplication) -> None:
        client = Client(application)
        assert "/login/openid" not in (await client.fetch_async("/login")).text
        assert (await client.fetch_async("/login/openid")).status == 404

    run(scenario)


def test_provider_that_is_away_is_said(database: Address) -> None:
    async def scenario() -> None:
        provider = {"issuer": f"http://127.0.0.1:{free_port()}", "client_id": "squall"}
        async with serving(database, openid_connect=provider, openid_name="x") as application:
            assert (await Client(application).fetch_async("/login/openid")).status == 502

    asyncio.run(scenario())
