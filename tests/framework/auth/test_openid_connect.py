"""Sign-in at a certified provider, and at one that lies."""

import asyncio
import base64
import contextlib
import hashlib
import hmac
import json
import logging
from urllib.parse import urlencode

import pytest
from joserfc import jws

from framework.auth import OpenIDConnectMixin, base
from framework.auth import provider as providers
from framework.testing import serving
from framework.web import Application, RequestHandler, asynchronous
from tests.support.front import free_port
from tests.support.providers import Browser, Lies, arguments_of, certified_provider, make_provider

SECRET = "a secret with +/%: in it"


class SignIn(OpenIDConnectMixin, RequestHandler):
    async def get(self):
        if self.get_argument("state", None):
            self.write({"user": await self.get_authenticated_user()})
        else:
            await self.authorize_redirect()


class SignInAsIn2011(OpenIDConnectMixin, RequestHandler):
    @asynchronous
    def get(self):
        if self.get_argument("state", None):
            self.get_authenticated_user(self._on_auth)
            return
        self.authorize_redirect()

    def _on_auth(self, user):
        self.write({"user": user})
        self.finish()


class Refresh(OpenIDConnectMixin, RequestHandler):
    async def get(self):
        self.write({"token": await self.refresh_token(self.get_argument("token"))})


class SignOut(OpenIDConnectMixin, RequestHandler):
    async def get(self):
        self.redirect(await self.get_logout_url(self.get_argument("id_token")))


def make_site(**settings):
    routes = [("/sign-in", SignIn), ("/old", SignInAsIn2011), ("/refresh", Refresh), ("/sign-out", SignOut)]
    return Application(routes, cookie_secret="x" * 32, openid_connect=settings, log_function=lambda handler: None)


@contextlib.asynccontextmanager
async def certified(path="/sign-in", **settings):
    """Address of the page that begins the sign-in at the certified provider, and a browser."""
    port = free_port()
    with certified_provider(f"http://127.0.0.1:{port}{path}") as issuer:
        site = make_site(**{"issuer": issuer, "client_id": "squall", "client_secret": SECRET, **settings})
        server = site.listen(port, "127.0.0.1")
        browser = Browser()
        try:
            yield f"http://127.0.0.1:{port}{path}", browser
        finally:
            browser.close()
            server.stop()
            await server.close_all_connections()


@pytest.mark.parametrize(
    "settings",
    [
        {},
        {"client_id": "public", "client_secret": None},
        {"client_id": "elliptic", "client_secret": "e"},
        {"userinfo": False},
        {"max_age": 3600},
    ],
)
def test_visitor_signs_in_at_a_certified_provider(settings):
    async def scenario():
        async with certified(**settings) as (address, browser):
            back = await browser.sign_in(address, until=f"{address}?")
            _, page = await browser.open(back)
            user = json.loads(page.body)["user"]
            assert user["sub"] == "ann"
            assert user["access_token"] and user["id_token"]
            if settings.get("userinfo", True):
                assert (user["email"], user["name"]) == ("ann@example.com", "The ann")
            # The same answer once more: the browser has forgotten what it belonged to.
            _, page = await browser.open(back)
            assert json.loads(page.body) == {"user": None}

    asyncio.run(scenario())


def test_callbacks_of_2011():
    async def scenario():
        async with certified("/old") as (address, browser):
            _, page = await browser.open(await browser.sign_in(address, until=f"{address}?"))
            assert json.loads(page.body)["user"]["sub"] == "ann"

    asyncio.run(scenario())


def test_refresh_and_sign_out():
    async def scenario():
        async with certified(scope=["openid", "offline_access"]) as (address, browser):
            _, page = await browser.open(await browser.sign_in(f"{address}", until=f"{address}?"))
            user = json.loads(page.body)["user"]
            site = address.rpartition("/")[0]
            _, page = await browser.open(f"{site}/refresh?{urlencode({'token': user['refresh_token']})}")
            assert json.loads(page.body)["token"]["access_token"] != user["access_token"]
            _, page = await browser.open(f"{site}/refresh?token=wrong")
            assert json.loads(page.body)["token"] is None
            url, page = await browser.open(f"{site}/sign-out?{urlencode({'id_token': user['id_token']})}")
            assert "/session/end" in url and page.code == 200

    asyncio.run(scenario())


def test_answer_in_another_browser_is_nobody_s():
    async def scenario():
        async with certified() as (address, browser):
            back = await browser.sign_in(address, until=f"{address}?")
            other = Browser()
            _, page = await other.open(back)
            assert json.loads(page.body) == {"user": None}
            other.close()

    asyncio.run(scenario())


def test_two_tabs_at_once():
    async def scenario():
        async with certified() as (address, browser):
            first = await browser.sign_in(address, until=f"{address}?")
            second = await browser.sign_in(address, until=f"{address}?")
            for back in (second, first):
                _, page = await browser.open(back)
                assert json.loads(page.body)["user"]["sub"] == "ann"

    asyncio.run(scenario())


# ---- a provider that lies


@pytest.fixture(scope="module")
def lies():
    return Lies()


def sign_in_with(lies, prepare=lambda lies, browser: None, change=lambda url: url, **settings):
    """The user that a visitor is after a sign-in at the provider that answers as told."""

    async def scenario():
        address = ""
        async with serving(make_provider(lies, lambda: address)) as port:
            address = f"http://127.0.0.1:{port}"
            settings.setdefault("issuer", address)
            async with serving(make_site(client_id="squall", client_secret="s", **settings)) as site:
                browser = Browser()
                try:
                    at = f"http://127.0.0.1:{site}/sign-in"
                    back, page = await browser.open(at, until=f"{at}?")
                    if page is not None:
                        return page.code
                    prepare(lies, browser)
                    _, page = await browser.open(change(back))
                    assert page.code == 200, page.body
                    return json.loads(page.body)["user"]
                finally:
                    browser.close()

    lies.nonce = ""
    return asyncio.run(scenario())


@pytest.fixture
def honest(lies):
    lies.reset()
    yield lies
    lies.reset()


def test_honest_provider(honest):
    assert sign_in_with(honest)["name"] == "Ann"


def unsigned(header, claims):
    def part(value):
        return base64.urlsafe_b64encode(json.dumps(value).encode()).rstrip(b"=").decode()

    return f"{part({**header, 'alg': 'none'})}.{part(claims)}."


def signed_by_the_public_key(lies):
    def sign(header, claims):
        def part(value):
            return base64.urlsafe_b64encode(value).rstrip(b"=")

        key = lies.key.as_pem(private=False)
        text = part(json.dumps({**header, "alg": "HS256"}).encode()) + b"." + part(json.dumps(claims).encode())
        return (text + b"." + part(hmac.new(key, text, hashlib.sha256).digest())).decode()

    return sign


def at_hash(token):
    digest = hashlib.sha256(token).digest()[:16]
    return base64.urlsafe_b64encode(digest).rstrip(b"=").decode()


CLAIMS = {
    "wrong issuer": {"iss": "http://evil.example"},
    "wrong audience": {"aud": "another"},
    "several audiences, no azp": {"aud": ["squall", "another"]},
    "issued to another": {"aud": ["squall", "another"], "azp": "another"},
    "expired": {"exp": 1},
    "no expiry": {"exp": None},
    "expiry is text": {"exp": "9999999999"},
    "expiry is true": {"exp": True},
    "of the future": {"iat": 9_999_999_999},
    "not valid yet": {"nbf": 9_999_999_999},
    "wrong nonce": {"nonce": "another"},
    "no nonce": {"nonce": None},
    "nonce is a list": {"nonce": ["x"]},
    "no subject": {"sub": None},
    "subject is a number": {"sub": 42},
    "subject is too long": {"sub": "x" * 256},
    "another access token": {"at_hash": at_hash(b"b")},
    "hash of the access token is half a character": {"at_hash": "\ud800"},
    "nonce is half a character": {"nonce": "\ud800"},
    "expires never": {"exp": float("nan")},
    "expires at the end of time": {"exp": float("inf")},
}


@pytest.mark.parametrize("claims", CLAIMS.values(), ids=CLAIMS)
def test_wrong_claim_is_nobody(honest, claims, caplog):
    honest.claims = claims
    assert sign_in_with(honest) is None
    assert "get_authenticated_user: id_token:" in caplog.text


def test_right_hash_of_the_access_token(honest):
    honest.claims = {"at_hash": at_hash(b"a"), "aud": ["squall", "b"], "azp": "squall"}
    assert sign_in_with(honest)["sub"] == "42"


SIGNATURES = {
    "unsigned": lambda lies: setattr(lies, "sign", unsigned),
    "HMAC with the public key": lambda lies: setattr(lies, "sign", signed_by_the_public_key(lies)),
    "another key of the same name": lambda lies: setattr(
        lies, "sign", lambda header, claims: jws.serialize_compact(header, json.dumps(claims), lies.other_key)
    ),
    "truncated": lambda lies: setattr(lies, "mangle", lambda token: token[:-5]),
    "changed": lambda lies: setattr(lies, "mangle", lambda token: token.replace(".e", ".f", 1)),
    "no signature": lambda lies: setattr(lies, "mangle", lambda token: token.rpartition(".")[0] + "."),
    "no token at all": lambda lies: setattr(lies, "mangle", lambda token: "x.y.z"),
    "huge": lambda lies: setattr(lies, "mangle", lambda token: token + "A" * 100_000),
    "header nested too deep": lambda lies: setattr(lies, "mangle", lambda token: "W1tb" * 8000 + ".x.y"),
    "five parts": lambda lies: setattr(lies, "mangle", lambda token: token + ".a.b"),
    "unknown key": lambda lies: lies.header.update(kid="two"),
    "a critical extension": lambda lies: lies.header.update(crit=["b64"], b64=False),
    "no keys published": lambda lies: setattr(lies, "published", []),
}


@pytest.mark.parametrize("lie", SIGNATURES.values(), ids=SIGNATURES)
def test_wrong_signature_is_nobody(honest, lie, caplog):
    lie(honest)
    with contextlib.suppress(ValueError):  # joserfc refuses to write the critical extension, too: then nothing is sent
        assert sign_in_with(honest) is None


ANSWERS = {
    "an error": (400, '{"error": "invalid_grant"}'),
    "no JSON": (200, "<html>"),
    "a list": (200, "[]"),
    "nested too deep": (200, "[" * 100_000),
    "huge": (200, "x" * 2_000_000),
    "nothing": (200, ""),
    "a redirection": (302, ""),
    "broken": (500, "{}"),
    "no token": (200, "{}"),
    "a token of another type": (200, '{"access_token": "a", "token_type": "mac", "id_token": "x"}'),
    "no ID token": (200, '{"access_token": "a", "token_type": "Bearer"}'),
    "half a character": (200, '{"access_token": "\\ud800", "token_type": "Bearer", "id_token": "x"}'),
    "an ID token that is a number": (200, '{"access_token": "a", "token_type": "Bearer", "id_token": 1}'),
}


@pytest.mark.parametrize("answer", ANSWERS.values(), ids=ANSWERS)
def test_token_endpoint_that_fails_is_nobody(honest, answer, caplog):
    honest.raw_token_answer = answer
    assert sign_in_with(honest) is None
    assert "get_authenticated_user:" in caplog.text


def test_userinfo_of_somebody_else_is_nobody(honest, caplog):
    honest.userinfo = {"sub": "43"}
    assert sign_in_with(honest) is None


def test_userinfo_does_not_change_what_was_signed(honest):
    honest.userinfo = {"iss": "http://evil.example", "aud": "x", "access_token": "stolen"}
    user = sign_in_with(honest)
    assert user["iss"].startswith("http://127.0.0.1:") and user["access_token"] == "a"


@pytest.mark.parametrize(
    "change",
    [
        lambda url: url.replace("state=", "state=x"),
        lambda url: url.partition("&state=")[0] + "&state=short",
        lambda url: url.replace("iss=", "iss=http://evil.example/"),
        lambda url: url + "&error=access_denied&error_description=no",
    ],
)
def test_changed_answer_is_nobody(honest, change, caplog):
    assert sign_in_with(honest, change=change) in (None, 302)


WHILE_THE_VISITOR_IS_AWAY = {
    "another issuer": {"issuer": "http://evil.example"},
    "methods are a number": {"token_endpoint_auth_methods_supported": 5, "userinfo_endpoint": "/"},
    "token endpoint is half an address": {"token_endpoint": "http://["},
    "keys elsewhere": {"jwks_uri": "http://127.0.0.1:1/keys"},
    "a document without end": {"more": "x" * 2_000_000},
}


@pytest.mark.parametrize("metadata", WHILE_THE_VISITOR_IS_AWAY.values(), ids=WHILE_THE_VISITOR_IS_AWAY)
def test_provider_that_has_changed_when_the_visitor_comes_back_is_nobody(honest, metadata, monkeypatch, caplog):
    monkeypatch.setattr(providers, "METADATA_KEPT_S", -1.0)
    assert sign_in_with(honest, lambda lies, browser: lies.metadata.update(metadata)) is None
    assert "get_authenticated_user:" in caplog.text


@pytest.mark.parametrize("path", ["/token", "/keys", "/userinfo", "/.well-known/openid-configuration"])
@pytest.mark.parametrize("lie", ["redirects", "is silent", "is huge"])
def test_endpoint_that_leads_elsewhere_or_nowhere_is_nobody(honest, path, lie, monkeypatch, caplog):
    """Where it leads is not asked: the code, the secret and the token would go there."""
    monkeypatch.setattr(providers, "METADATA_KEPT_S", -1.0)
    monkeypatch.setattr(base, "REQUEST_TIMEOUT_S", 0.3)
    if lie != "is silent":
        monkeypatch.setattr(base, "REQUEST_TIMEOUT_S", 20.0)
    assert sign_in_with(honest, lambda lies, browser: lies.detours.update({path: lie})) is None
    assert honest.asked_elsewhere == 0
    assert f"{path}: " in caplog.text


def test_missing_issuer_is_refused_where_it_was_promised(honest, caplog):
    honest.metadata = {"authorization_response_iss_parameter_supported": True}
    assert sign_in_with(honest, change=lambda url: url.partition("&iss=")[0]) is None


METADATA = {
    "another issuer": {"issuer": "http://evil.example"},
    "no keys": {"jwks_uri": None},
    "token endpoint is no URL": {"token_endpoint": "javascript:alert(1)"},
    "token endpoint is a list": {"token_endpoint": []},
    "token endpoint is half an address": {"token_endpoint": "http://["},
    "authorization endpoint splits the answer": {"authorization_endpoint": "http://a/\r\nSet-Cookie: b=c"},
}


@pytest.mark.parametrize("metadata", METADATA.values(), ids=METADATA)
def test_provider_that_describes_itself_wrongly_is_an_error_of_the_site(honest, metadata, caplog):
    honest.metadata = metadata
    assert sign_in_with(honest) == 500
    assert "discovery:" in caplog.text


def test_provider_that_is_away_is_an_error_of_the_site(honest, caplog):
    assert sign_in_with(honest, issuer=f"http://127.0.0.1:{free_port()}") == 500
    assert "AuthError" in caplog.text


def test_new_keys_are_asked_for_when_a_token_names_one(honest, monkeypatch):
    monkeypatch.setattr(providers, "KEYS_PAUSE_S", 0.0)
    assert sign_in_with(honest)["sub"] == "42"
    assert honest.asked_for_keys == 1


def test_settings_that_are_missing_are_named(caplog):
    async def scenario():
        async with serving(Application([("/", SignIn)], cookie_secret="x", log_function=lambda handler: None)) as port:
            browser = Browser()
            _, page = await browser.open(f"http://127.0.0.1:{port}/")
            browser.close()
            return page.code

    with caplog.at_level(logging.ERROR):
        assert asyncio.run(scenario()) == 500
    assert "openid_connect is not set" in caplog.text


def test_address_of_the_request_names_everything():
    async def scenario():
        lies, address = Lies(), ""
        async with serving(make_provider(lies, lambda: address)) as port:
            address = f"http://127.0.0.1:{port}"
            async with serving(make_site(issuer=address, client_id="squall", scope=["openid"])) as site:
                browser = Browser()
                at = f"http://127.0.0.1:{site}/sign-in"
                url, _ = await browser.open(at, until=address)
                browser.close()
                return at, arguments_of(url)

    at, asked = asyncio.run(scenario())
    assert asked["redirect_uri"] == at
    assert (asked["response_type"], asked["scope"], asked["code_challenge_method"]) == ("code", "openid", "S256")
    assert min(len(asked[name]) for name in ("state", "nonce", "code_challenge")) >= 43
