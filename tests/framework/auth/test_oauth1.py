"""OAuth 1.0 and 1.0a against oauthlib, which checks every signature; and against answers that lie."""

import asyncio
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st
from oauthlib.oauth1.rfc5849 import signature

from framework.auth import FriendFeedMixin, OAuthMixin, TwitterMixin
from framework.auth.oauth1 import base_string, sign
from framework.testing import serving
from framework.web import Application, RequestHandler, asynchronous
from tests.support.oauth1 import CONSUMER, SECRET, Peer
from tests.support.providers import Browser

SETTINGS = {
    **{f"{name}_consumer_key": CONSUMER for name in ("twitter", "friendfeed")},
    **{f"{name}_consumer_secret": SECRET for name in ("twitter", "friendfeed")},
    "cookie_secret": "x",
    "log_function": lambda handler: None,
}


class Page(RequestHandler):
    """Signs in: the awaiting way."""

    async def get(self):
        if self.get_argument("oauth_token", None):
            self.write({"user": await self.get_authenticated_user()})
        else:
            await self.authorize_redirect(callback_uri=self.request.path)


class PageOf2011(RequestHandler):
    """Signs in: the seed's way."""

    @asynchronous
    def get(self):
        if self.get_argument("oauth_token", None):
            self.get_authenticated_user(self.async_callback(self._on_auth))
            return
        self.authenticate_redirect(callback_uri="/page")

    def _on_auth(self, user):
        self.write({"user": user})
        self.finish()


def use(peer, mixin, page, scenario, **attributes):
    """What the scenario returns; it gets a browser and the address of the page."""

    async def whole():
        async with serving(peer.application()) as port:
            at = f"http://127.0.0.1:{port}"
            addresses = {
                "_OAUTH_REQUEST_TOKEN_URL": f"{at}/request_token",
                "_OAUTH_AUTHORIZE_URL": f"{at}/authorize",
                "_OAUTH_AUTHENTICATE_URL": f"{at}/authorize",
                "_OAUTH_ACCESS_TOKEN_URL": f"{at}/access_token",
                "_TWITTER_BASE_URL": at,
                "_FRIENDFEED_BASE_URL": at,
            }
            handler = type("Handler", (page, mixin, RequestHandler), {**addresses, **attributes})
            async with serving(Application([("/page", handler)], **SETTINGS)) as site:
                browser = Browser()
                try:
                    return await scenario(browser, f"http://127.0.0.1:{site}/page")
                finally:
                    browser.close()

    return asyncio.run(whole())


async def finish(browser, address):
    _, page = await browser.open(address)
    return json.loads(page.body)["user"] if page.code == 200 else page.code


@pytest.mark.parametrize("page", [Page, PageOf2011])
def test_item_107_109_twitter(page):
    user = use(Peer(), TwitterMixin, page, finish)
    assert (user["username"], user["name"]) == ("ann", "Ann")
    assert user["access_token"]["key"] and user["access_token"]["secret"]


def test_item_107_friendfeed_is_gone_and_works_where_it_is_spoken(caplog):
    class Begin(RequestHandler):
        async def get(self):
            if self.get_argument("oauth_token", None):
                self.write({"user": await self.get_authenticated_user()})
            else:
                await self.authorize_redirect()

    async def scenario(browser, address):
        await browser.open(address)
        return await finish(browser, address + "?oauth_token=rt")

    user = use(Peer("1.0"), FriendFeedMixin, Begin, scenario)
    assert (user["username"], user["access_token"]["key"]) == ("ann", "at")
    assert "FriendFeed closed in 2015" in caplog.text


def test_version_1_0_with_a_callback():
    class Mixin(OAuthMixin):
        _OAUTH_VERSION = "1.0"

        def _oauth_consumer_token(self):
            return {"key": CONSUMER, "secret": SECRET}

        def _oauth_get_user(self, access_token, callback):
            callback({"name": access_token["username"]})

    assert use(Peer("1.0"), Mixin, Page, finish)["name"] == "ann"


def test_item_111_tweet_and_entry_on_a_user_s_behalf():
    class Post(RequestHandler):
        async def get(self):
            if not self.get_argument("oauth_token", None):
                await self.authorize_redirect(callback_uri="/page")
                return
            token = (await self.get_authenticated_user())["access_token"]
            text = "text & more: é~+ %"
            said = await self.twitter_request(
                "/statuses/update", post_args={"status": text}, access_token=token, q="a b"
            )
            self.write({"user": said})

    peer = Peer()
    assert use(peer, TwitterMixin, Post, finish) == {"said": "text & more: é~+ %"}

    class Old(RequestHandler):
        @asynchronous
        def get(self):
            token = {"key": "at", "secret": "as"}
            self.friendfeed_request(
                "/entry", post_args={"body": "hi"}, access_token=token, callback=self.async_callback(self._on_post)
            )

        def _on_post(self, new_entry):
            self.finish({"user": new_entry})

    peer.memory.access_tokens["at"] = "as"
    assert use(peer, FriendFeedMixin, Old, finish) == {"said": "hi"}


LIES = {
    "refused": (401, "no"),
    "broken": (500, ""),
    "no form": (200, "<html>"),
    "no secret": (200, "oauth_token=x"),
    "not text": (200, b"\xff\xfe"),
    "elsewhere": (302, ""),
    "huge": (200, "oauth_token=" + "x" * 2_000_000),
}


@pytest.mark.parametrize("lie", LIES.values(), ids=LIES)
def test_item_110_access_token_that_is_none_is_nobody(lie, caplog):
    peer = Peer()
    peer.answer["/access_token"] = lie
    assert use(peer, TwitterMixin, Page, finish) is None
    assert "get_authenticated_user:" in caplog.text


@pytest.mark.parametrize("lie", [*LIES.values(), (200, "oauth_token=x&oauth_token_secret=y")])
def test_request_token_that_is_none_is_an_error_of_the_site(lie, caplog):
    peer = Peer()
    peer.answer["/request_token"] = lie
    assert use(peer, TwitterMixin, Page, finish) == 500


@pytest.mark.parametrize("answer", [(200, "[]"), (200, "{}"), (200, "x"), (403, "{}"), (200, "[" * 9000)])
def test_item_110_provider_that_names_nobody_is_nobody(answer, caplog):
    peer = Peer()
    peer.answer["/account/verify_credentials.json"] = answer
    assert use(peer, TwitterMixin, Page, finish) is None


def test_item_110_answer_of_another_browser_or_changed_or_replayed_is_nobody(caplog):
    async def scenario(browser, address):
        url, _ = await browser.open(address, until=f"{address}?")
        other = Browser()
        found = [await finish(other, url)]
        other.close()
        found.append(await finish(browser, url))
        found.append(await finish(browser, url))
        url, _ = await browser.open(address, until=f"{address}?")
        found.append(await finish(browser, url.replace("oauth_verifier=", "oauth_verifier=x")))
        url, _ = await browser.open(address, until=f"{address}?")
        found.append(await finish(browser, url.replace("oauth_token=", "oauth_token=x")))
        url, _ = await browser.open(address, until=f"{address}?")
        found.append(await finish(browser, url.partition("oauth_verifier=")[0] + "oauth_token="))
        return found

    stolen, good, replayed, verifier, token, _ = use(Peer(), TwitterMixin, Page, scenario)
    assert good["username"] == "ann"
    assert [stolen, replayed, verifier, token] == [None, None, None, None]


text = st.text(st.characters(exclude_categories=("Cs",)), max_size=8)


@given(st.dictionaries(text, text, max_size=5), text, text)
def test_signature_is_the_one_that_oauthlib_makes(parameters, consumer_secret, token_secret):
    url = "HTTP://Example.com:80/a%20b/?z=1&a=%26"
    pairs = [*parameters.items(), ("z", "1"), ("a", "&")]
    normal = signature.normalize_parameters(pairs)
    theirs = signature.signature_base_string("GET", signature.base_string_uri(url), normal)
    assert base_string("get", url, parameters) == theirs
    expected = signature._sign_hmac("SHA-1", theirs, consumer_secret, token_secret)
    assert sign("GET", url, parameters, consumer_secret, token_secret) == expected
