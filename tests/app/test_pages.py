"""What all pages share: headers, languages, and the page that is shown while the database is away."""

import asyncio
from collections.abc import Callable

import pytest

from app import pages
from app.application import FeedApplication
from app.pages import RETRY_AFTER_S, hash_hue
from framework.database import Address, Pool
from framework.testing import Client
from tests.app.conftest import Scenario
from tests.support.mysql import Server

Run = Callable[[Scenario], None]


def test_security_headers(run: Run) -> None:
    async def scenario(application: FeedApplication) -> None:
        headers = (await Client(application).fetch_async("/")).headers
        assert "default-src 'none'" in headers["Content-Security-Policy"]
        assert headers["X-Content-Type-Options"] == "nosniff"

    run(scenario)


@pytest.mark.parametrize(
    ("accept", "text"),
    [
        ("de-AT", 'lang="de" dir="ltr"'),
        ("ar", 'lang="ar" dir="rtl"'),
        ("fr", 'lang="en-US" dir="ltr"'),
        ("de", "Anmelden"),
    ],
)
def test_language_of_the_browser(run: Run, accept: str, text: str) -> None:
    async def scenario(application: FeedApplication) -> None:
        assert text in (await Client(application).fetch_async("/", headers={"Accept-Language": accept})).text

    run(scenario)


def test_database_away_is_503_with_retry_after(run: Run) -> None:
    async def scenario(application: FeedApplication) -> None:
        pool, application.feed.pool = application.feed.pool, Pool(Address("/nowhere", "test"))
        try:
            client = Client(application)
            page = await client.fetch_async("/")
            assert (page.status, page.headers["Retry-After"]) == (503, str(RETRY_AFTER_S))
            assert "Nothing is lost" in page.text
            assert "Sign in" not in page.text  # whoever is signed in still is
            facts = await client.fetch_async("/", headers={"Accept": "application/json"})
            assert (facts.status, facts.json()) == (503, {"error": 503})
            assert (await client.fetch_async("/hello")).status == 200
        finally:
            await application.feed.pool.close()
            application.feed.pool = pool

    run(scenario)


def test_hung_database_is_503_also_for_those_who_wait_for_a_turn(
    run: Run, mysql_server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pages, "PATIENCE_S", 0.1)

    async def scenario(application: FeedApplication) -> None:
        pool = application.pool  # whose limits alone would not end this test
        pool.acquire_timeout_s = pool.statement_timeout_s = 600
        mysql_server.freeze()
        try:
            visits = (Client(application).fetch_async("/") for _ in range(3 * pool.size))
            assert {answer.status for answer in await asyncio.gather(*visits)} == {503}
        finally:
            mysql_server.thaw()
        monkeypatch.setattr(pages, "PATIENCE_S", 600)
        assert (await Client(application).fetch_async("/")).status == 200

    run(scenario)


def test_hash_hue_is_one_of_six() -> None:
    assert {hash_hue(name) for name in ("a", "b", "c", "d", "e", "f")} == set(range(6))
