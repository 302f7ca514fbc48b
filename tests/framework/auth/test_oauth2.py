"""OAuth 2 of the named providers, against peers that speak it and peers that lie."""

import asyncio
import hashlib
import hmac
import json
from urllib.parse import urlencode

import pytest

from framework.auth import FacebookGraphMixin, FacebookMixin, GoogleOAuth2Mixin
from framework.auth.oauth2 import challenge_of
from framework.testing import serving
from framework.web import Application, HTTPError, RequestHandler
from tests.support.providers import Browser, arguments_of

ANSWER = {"access_token": "t", "expires_in": 3600}


class Peer:
    """An OAuth 2 provider with a little of Facebook's Graph behind it."""

    def __init__(self):
        self.asked = {}
        self.answer = (200, json.dumps(ANSWER))
        self.me = {"id": "7", "name": "Ann"}

    def routes(self):
        peer = self

        class Authorize(RequestHandler):
            def get(self):
                peer.asked = {name: self.get_argument(name) for name in self.request.arguments}
                back = {"code": "c", "state": self.get_argument("state", "")}
                self.redirect(self.get_argument("redirect_uri") + "?" + urlencode(back))

        class Token(RequestHandler):
            def post(self):
                if self.get_argument("code") != "c" or self.get_argument("client_secret") != "secret":
                    raise HTTPError(400)
                verifier = self.get_argument("code_verifier", None)
                if verifier is not None and challenge_of(verifier) != peer.asked["code_challenge"]:
                    raise HTTPError(400)
                status, body = peer.answer
                self.set_status(status)
                self.finish(body)

        class Me(RequestHandler):
            def get(self):
                proof = hmac.new(b"secret", b"t", hashlib.sha256).hexdigest()
                if self.get_argument("access_token") != "t" or self.get_argument("appsecret_proof") != proof:
                    raise HTTPError(400)
                self.write(peer.me)

        class Feed(RequestHandler):
            def post(self):
                self.write({"id": "1", "said": self.get_argument("message"), "by": self.get_argument("access_token")})

        class Rest(RequestHandler):
            def get(self):
                values = {name: self.get_argument(name) for name in self.request.arguments if name != "sig"}
                text = "".join(f"{name}={values[name]}" for name in sorted(values)) + "secret"
                if hashlib.md5(text.encode()).hexdigest() != self.get_argument("sig"):
                    raise HTTPError(403)
                self.write(json.dumps([{"uid": 7, "name": "Ann"}]))

        return [("/authorize", Authorize), ("/token", Token), ("/me", Me), ("/me/feed", Feed), ("/rest", Rest)]


def use(mixin, get, peer, scenario, **settings):
    """What the scenario returns; it gets a browser and the address of a page whose `get` is given."""

    async def whole():
        async with serving(Application(peer.routes(), log_function=lambda _: None)) as port:
            at = f"http://127.0.0.1:{port}"

            class Page(mixin, RequestHandler):
                _OAUTH_AUTHORIZE_URL = f"{at}/authorize"
                _OAUTH_ACCESS_TOKEN_URL = f"{at}/token"
                _FACEBOOK_BASE_URL = at
                _FACEBOOK_LOGIN_URL = f"{at}/login"
                _FACEBOOK_REST_URL = f"{at}/rest"

            Page.get = get
            settings.setdefault("cookie_secret", "x")
            async with serving(Application([("/page", Page)], log_function=lambda _: None, **settings)) as site:
                browser = Browser()
                try:
                    return await scenario(browser, f"http://127.0.0.1:{site}/page")
                finally:
                    browser.close()

    return asyncio.run(whole())


async def sign_in_by_google(self):
    here = self.request.full_url().partition("?")[0]
    if self.get_argument("code", None):
        self.write({"user": await self.get_authenticated_user(redirect_uri=here, code=self.get_argument("code"))})
    else:
        await self.authorize_redirect(
            redirect_uri=here,
            client_id=self.get_google_oauth_settings()["key"],
            scope=["profile", "email"],
            extra_params={"approval_prompt": "auto"},
        )


async def sign_in_by_facebook(self):
    here = self.request.full_url().partition("?")[0]
    if self.get_argument("code", False):
        user = await self.get_authenticated_user(
            redirect_uri=here, client_id="key", client_secret="secret", code=self.get_argument("code")
        )
        self.write({"user": user})
    else:
        self.authorize_redirect(redirect_uri=here, client_id="key", extra_params={"scope": "read_stream,email"})


GOOGLE = {"google_oauth": {"key": "key", "secret": "secret"}}


async def finish(browser, address):
    _, page = await browser.open(address)
    return json.loads(page.body)["user"]


def test_item_107_google():
    peer = Peer()
    assert use(GoogleOAuth2Mixin, sign_in_by_google, peer, finish, **GOOGLE) == ANSWER
    assert (peer.asked["scope"], peer.asked["client_id"]) == ("profile email", "key")
    assert peer.asked["code_challenge_method"] == "S256"
    assert peer.asked["approval_prompt"] == "auto"


def test_item_107_facebook_graph():
    peer = Peer()
    user = use(FacebookGraphMixin, sign_in_by_facebook, peer, finish)
    assert (user["id"], user["name"], user["access_token"], user["session_expires"]) == ("7", "Ann", "t", "3600")
    assert user["locale"] is None
    assert peer.asked["scope"] == "read_stream,email"


@pytest.mark.parametrize(
    "answer",
    [
        (500, ""),
        (400, '{"error": {"message": 1}}'),
        (200, "[]"),
        (200, "{}"),
        (200, "x" * 2_000_000),
        (302, ""),
    ],
)
def test_item_110_token_endpoint_that_fails_is_nobody(answer, caplog):
    peer = Peer()
    peer.answer = answer
    assert use(FacebookGraphMixin, sign_in_by_facebook, peer, finish) is None


def test_item_110_graph_that_names_nobody_is_nobody(caplog):
    peer = Peer()
    peer.me = {"name": "nobody"}
    assert use(FacebookGraphMixin, sign_in_by_facebook, peer, finish) is None


def test_item_110_code_of_somebody_else_is_nobody(caplog):
    async def scenario(browser, address):
        url, _ = await browser.open(address, until=f"{address}?")
        other = Browser()
        found = [await finish(other, url), await finish(browser, url.replace("state=", "state=x")), None]
        other.close()
        return found

    assert use(GoogleOAuth2Mixin, sign_in_by_google, Peer(), scenario, **GOOGLE) == [None, None, None]
    assert "does not belong to a request of this browser" in caplog.text


def test_item_110_answer_works_once(caplog):
    async def scenario(browser, address):
        url, _ = await browser.open(address, until=f"{address}?")
        return [await finish(browser, url), await finish(browser, url)]

    first, second = use(GoogleOAuth2Mixin, sign_in_by_google, Peer(), scenario, **GOOGLE)
    assert first == ANSWER and second is None


def test_item_111_post_on_a_user_s_behalf():
    async def get(self):
        self.write({"user": await self.facebook_request("/me/feed", post_args={"message": "hi"}, access_token="t")})

    assert use(FacebookGraphMixin, get, Peer(), finish) == {"id": "1", "said": "hi", "by": "t"}


def test_item_107_facebook_connect_of_2009_says_that_it_is_gone(caplog):
    def get(self):
        if self.get_argument("session", None):
            self._auto_finish = False
            self.get_authenticated_user(lambda user: self.finish({"user": user}))
        else:
            self.authenticate_redirect()

    async def scenario(browser, address):
        session = {"uid": 7, "session_key": "k", "expires": 1}
        text = "".join(f"{name}={session[name]}" for name in sorted(session)) + "secret"
        session["sig"] = hashlib.md5(text.encode()).hexdigest()
        good = await finish(browser, f"{address}?{urlencode({'session': json.dumps(session)})}")
        forged = await finish(browser, f"{address}?{urlencode({'session': json.dumps({**session, 'uid': 8})})}")
        for broken in ("[" * 5000, '{"sig": "\\ud800"}', '{"sig": "x", "uid": "\\ud800"}', '{"sig": 1}', "{"):
            assert await finish(browser, f"{address}?{urlencode({'session': broken})}") is None
        return good, forged

    settings = {"facebook_api_key": "key", "facebook_secret": "secret"}
    good, forged = use(FacebookMixin, get, Peer(), scenario, **settings)
    assert (good["name"], good["session_key"]) == ("Ann", "k")
    assert forged is None

    async def login(browser, address):
        url, _ = await browser.open(address)
        return arguments_of(url)

    assert use(FacebookMixin, get, Peer(), login, **settings)["next"].endswith("/page")
    assert "switched this interface off" in caplog.text
