"""The routes for tests of the appliance."""

from collections.abc import Callable

from app.application import FeedApplication
from app.settings import Settings
from framework.database import Address
from framework.testing import Client
from tests.app.conftest import Scenario


def test_diagnosis_routes(run: Callable[[Scenario], None]) -> None:
    async def scenario(application: FeedApplication) -> None:
        client = Client(application, remote_ip="192.0.2.7")
        echo = (await client.fetch_async("/test/echo", headers={"X-Odd": "1"})).json()
        assert (echo["remote_ip"], echo["headers"]["x-odd"]) == ("192.0.2.7", "1")
        assert (await client.fetch_async("/test/slot")).json()["slot"] == "0"
        assert (await client.fetch_async("/test/block?ms=1")).text == "blocked"

    run(scenario)


def test_diagnosis_routes_are_off_by_default() -> None:
    application = FeedApplication(Settings(Address("/nowhere", "test"), ("0123456789abcdef",)))
    for path in ("/test/echo", "/test/block", "/test/slot"):
        assert Client(application).fetch(path).status == 404
