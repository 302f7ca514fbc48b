"""OpenID 2.0 at python3-openid's server, and at one that lies."""

import asyncio
import json
from urllib.parse import parse_qsl, urlencode, urlsplit

import pytest

from framework.auth import GoogleMixin, OpenIdMixin, YahooMixin
from framework.testing import serving
from framework.web import Application, RequestHandler, asynchronous, authenticated
from tests.support.openid2 import lying_provider, openid_provider
from tests.support.providers import Browser

SETTINGS = {"cookie_secret": "x", "log_function": lambda handler: None}


@pytest.fixture(scope="module")
def endpoint():
    with openid_provider() as address:
        yield address


class SeedPage:
    """The seed's handler, but that it says what it was given."""

    @asynchronous
    def get(self):
        if self.get_argument("openid.mode", None):
            self.get_authenticated_user(self._on_auth)
            return
        self.authenticate_redirect()

    def _on_auth(self, user):
        if not user:
            self.finish({"user": None})
            return
        self.finish({"user": user})


def use(endpoint, scenario, mixin=OpenIdMixin, page=SeedPage, **settings):
    """What the scenario returns; it gets a browser and the address of the page."""

    async def whole():
        handler = type("Handler", (page, mixin, RequestHandler), {"_OPENID_ENDPOINT": endpoint})
        async with serving(Application([("/auth", handler)], **{**SETTINGS, **settings})) as site:
            browser = Browser()
            try:
                return await scenario(browser, f"http://127.0.0.1:{site}/auth")
            finally:
                browser.close()

    return asyncio.run(whole())


async def finish(browser, address):
    _, page = await browser.open(address)
    return json.loads(page.body)["user"] if page.code == 200 else page.code


@pytest.mark.parametrize("mixin", [OpenIdMixin, GoogleMixin, YahooMixin])
@pytest.mark.parametrize("settings", [{}, {"cookie_secret": None}])
def test_item_107_108_109_visitor_signs_in(endpoint, mixin, settings, caplog):
    user = use(endpoint, finish, mixin, **settings)
    assert user.pop("claimed_id").endswith("/ann")
    assert user == {
        "email": "ann@example.com",
        "first_name": "Ann",
        "last_name": "Example",
        "name": "Ann Example",
        "locale": "en",
        "username": "ann",
    }
    assert ("OpenID 2.0" in caplog.text) == (mixin is not OpenIdMixin) or mixin is not OpenIdMixin


def test_awaiting_and_fewer_attributes(endpoint):
    class Page:
        async def get(self):
            if self.get_argument("openid.mode", None):
                self.write({"user": await self.get_authenticated_user()})
            else:
                self.authenticate_redirect(callback_uri="/auth?keep=1", ax_attrs=["email"])

    user = use(endpoint, finish, page=Page)
    assert (user["email"], user["name"]) == ("ann@example.com", "ann")
    assert "username" not in user


def change(url, **fields):
    """The URL with openid fields that are others; None leaves one out."""
    parts = urlsplit(url)
    pairs = dict(parse_qsl(parts.query, keep_blank_values=True))
    for name, value in fields.items():
        pairs["openid." + name.replace("__", ".")] = value
    return parts._replace(query=urlencode({key: value for key, value in pairs.items() if value is not None})).geturl()


LIES = {
    "canceled": lambda url: change(url, mode="cancel"),
    "another user": lambda url: change(url, claimed_id="http://evil.example/", identity="http://evil.example/"),
    "another e-mail": lambda url: url.replace("ann%40example.com", "root%40example.com"),
    "truncated signature": lambda url: change(url, sig="AAAA"),
    "no signature": lambda url: change(url, sig=None),
    "nothing signed": lambda url: change(url, signed=""),
    "address not signed": lambda url: change(url, signed="op_endpoint,response_nonce,assoc_handle,claimed_id"),
    "user not signed": lambda url: change(url, signed="op_endpoint,return_to,response_nonce,assoc_handle"),
    "another endpoint": lambda url: change(url, op_endpoint="http://evil.example/"),
    "a page that is no address": lambda url: change(url, return_to="http://["),
    "another page": lambda url: change(url, return_to="http://evil.example/auth"),
    "another nonce": lambda url: change(url, response_nonce="2020-01-01T00:00:00Zx"),
    "another handle": lambda url: change(url, assoc_handle="x"),
    "another flow": lambda url: url.replace("openid_flow=", "openid_flow=x"),
    "a field twice": lambda url: url + "&openid.mode=id_res",
}


@pytest.mark.parametrize("lie", LIES.values(), ids=LIES)
def test_item_110_forged_answer_is_nobody(endpoint, lie, caplog):
    async def scenario(browser, address):
        url, _ = await browser.open(address, until=f"{address}?")
        return await finish(browser, lie(url))

    assert use(endpoint, scenario) is None
    assert "get_authenticated_user:" in caplog.text


@pytest.mark.parametrize("settings", [{}, {"cookie_secret": None}])
def test_item_110_replayed_answer_is_nobody(endpoint, settings, caplog):
    async def scenario(browser, address):
        url, _ = await browser.open(address, until=f"{address}?")
        return [await finish(browser, url), await finish(browser, url)]

    first, second = use(endpoint, scenario, **settings)
    assert first["username"] == "ann" and second is None


UNSIGNED = {
    "openid.ax.type.x": "http://axschema.org/namePerson/friendly",
    "openid.ax.value.x": "root",
    "openid.sreg.nickname": "root",
}


def test_unsigned_attributes_do_not_count(endpoint):
    async def scenario(browser, address):
        url, _ = await browser.open(address, until=f"{address}?")
        return await finish(browser, url + "&" + urlencode(UNSIGNED))

    assert use(endpoint, scenario)["username"] == "ann"


@pytest.mark.parametrize(
    ("status", "body"),
    [
        (200, "is_valid:false\n"),
        (200, "error:not is_valid:true at all\n"),
        (500, "is_valid:true\n"),
        (200, "x" * 2_000_000),
        (302, "is_valid:true\n"),
    ],
)
def test_item_110_provider_that_does_not_stand_by_its_answer(status, body, caplog):
    async def whole():
        async with serving(lying_provider(status, body)) as port:
            return await asyncio.to_thread(use, f"http://127.0.0.1:{port}/op", finish)

    assert asyncio.run(whole()) is None


def test_example_of_the_blog_signs_in_and_comes_back(endpoint):
    class Login(GoogleMixin, RequestHandler):
        _OPENID_ENDPOINT = endpoint

        @asynchronous
        def get(self):
            if self.get_argument("openid.mode", None):
                self.get_authenticated_user(self.async_callback(self._on_auth))
                return
            self.authenticate_redirect()

        def _on_auth(self, user):
            self.set_secure_cookie("user", user["email"])
            self.redirect(self.get_argument("next", "/"))

    class Home(RequestHandler):
        def get_current_user(self):
            return self.get_secure_cookie("user")

        @authenticated
        def get(self):
            self.write(b"Hello, " + self.current_user)

    async def scenario():
        routes = [("/", Home), ("/login", Login)]
        async with serving(Application(routes, login_url="/login", **SETTINGS)) as port:
            browser = Browser()
            url, page = await browser.open(f"http://127.0.0.1:{port}/")
            browser.close()
            return urlsplit(url).path, page.body

    assert asyncio.run(scenario()) == ("/", b"Hello, ann@example.com")
