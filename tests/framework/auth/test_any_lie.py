"""Lies drawn at random, one for each sign-in: whatever it is, the visitor is nobody, or who was signed for.

The seed is printed with a failure; `SEED` and `COUNT` in the environment make another, longer run.
"""

import asyncio
import json
import os
import random
from urllib.parse import quote

from framework.auth import OpenIDConnectMixin
from framework.auth import provider as providers
from framework.testing import serving
from framework.web import Application, RequestHandler
from tests.support.providers import Browser, Lies, make_provider

SEED, COUNT = int(os.environ.get("SEED", "1")), int(os.environ.get("COUNT", "150"))
PLAIN = [
    *(None, True, False, 0, -1, 10**4000, 1.5, float("nan"), float("inf"), "", "x", "\ud800", "é", "http://["),
    *("http://127.0.0.1:1/", "javascript:x", "\r\nX: y", "a.b.c", "RS256", "none", "HS256", "%zz", "x" * 70_000),
]
FIELDS = {
    "metadata": [
        *(
            "issuer",
            "token_endpoint",
            "jwks_uri",
            "userinfo_endpoint",
            "end_session_endpoint",
            "authorization_endpoint",
        ),
        *("token_endpoint_auth_methods_supported", "authorization_response_iss_parameter_supported"),
    ],
    "claims": ["iss", "sub", "aud", "azp", "exp", "iat", "nbf", "nonce", "at_hash", "auth_time"],
    "header": ["kid", "alg", "crit", "typ", "jwk", "x5c", "jku", "b64", "zip"],
    "token": ["access_token", "token_type", "id_token", "expires_in", "refresh_token", "scope"],
    "userinfo": ["sub", "name", "iss", "email"],
}
KEY_FIELDS = ["kty", "n", "e", "kid", "use", "alg", "key_ops", "x5c"]


class SignIn(OpenIDConnectMixin, RequestHandler):
    async def get(self):
        if self.get_argument("state", None):
            self.write({"user": await self.get_authenticated_user()})
        else:
            await self.authorize_redirect()


class Key:
    """A published key that says of itself what it is told to."""

    def __init__(self, value):
        self.value = value

    def as_dict(self, private):
        return self.value


def draw_value(draw, depth=0):
    values = [*PLAIN]
    if depth < 2:
        inner = [draw_value(draw, depth + 1) for _ in range(3)]
        values += [[], {}, inner, {"x": inner[0]}, {"kty": "RSA", "n": inner[0], "e": inner[1]}]
        values += [
            {"kty": "EC", "crv": inner[0], "x": inner[1], "y": inner[2]},
            {"kty": "OKP", "crv": "Ed25519", "x": ""},
        ]
    return draw.choice(values)


def lie(draw, lies):
    """Have the provider lie once; what about, and how."""
    kind = draw.choice([*FIELDS, "keys", "answer", "bytes"])
    value = draw_value(draw)
    if kind in FIELDS:
        value = {draw.choice(FIELDS[kind]): value}
        setattr(lies, kind, value)
    elif kind == "keys":
        value = draw.choice([value, {**lies.key.as_dict(private=False), draw.choice(KEY_FIELDS): value}])
        lies.published = [Key(value)]
    elif kind == "answer":
        value = draw.choice([json.dumps(value), "[" * 50_000, "{", b"\xff\xfe"])
        lies.raw_token_answer = draw.choice([200, 200, 400, 500]), value
    else:
        lies.mangle = lambda token: "".join(draw.choice(token + "=_-.") if draw.random() < 0.02 else c for c in token)
    return kind, value


def test_any_lie_is_nobody_or_the_truth(monkeypatch, caplog):
    monkeypatch.setattr(providers, "METADATA_KEPT_S", -1.0)
    monkeypatch.setattr(providers, "KEYS_PAUSE_S", 0.0)
    draw = random.Random(SEED)

    async def scenario():
        lies, address = Lies(), ""
        async with serving(make_provider(lies, lambda: address)) as port:
            address = f"http://127.0.0.1:{port}"
            settings = {"issuer": address, "client_id": "squall", "client_secret": "s"}
            site = Application(
                [("/", SignIn)], cookie_secret="x", openid_connect=settings, log_function=lambda handler: None
            )
            async with serving(site) as at:
                browser = Browser()
                for number in range(COUNT):
                    lies.reset()
                    browser.cookies = {}
                    back, _ = await browser.open(f"http://127.0.0.1:{at}/", until=f"http://127.0.0.1:{at}/?")
                    told = lie(draw, lies)
                    _, page = await browser.open(back + quote(draw.choice(["", "", "&error=x", "&iss=x"]), "&="))
                    assert page.code == 200, (SEED, number, told)
                    user = json.loads(page.body)["user"]
                    assert user is None or told[0] == "claims" or user["sub"] == "42", (SEED, number, told)
                browser.close()

    asyncio.run(scenario())
