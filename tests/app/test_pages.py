"""What all pages share: headers, languages, and the page that is shown while the database is away."""

from collections.abc import Callable

import pytest

from app.application import FeedApplication
from app.pages import RETRY_AFTER_S, hash_hue
from framework.database import Address, Pool
from framework.testing import Client
from tests.app.conftest import Scenario

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
            facts = await client.fetch_async("/", headers={"Accept": "application/json"})
            assert (facts.status, facts.json()) == (503, {"error": 503})
            assert (await client.fetch_async("/hello")).status == 200
        finally:
            await application.feed.pool.close()
            application.feed.pool = pool

    run(scenario)


def test_hash_hue_is_one_of_six() -> None:
    assert {hash_hue(name) for name in ("a", "b", "c", "d", "e", "f")} == set(range(6))
