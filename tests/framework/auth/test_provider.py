"""What a provider says of itself, and how often it is asked."""

import asyncio

import pytest
from joserfc.jwk import ECKey

from framework.auth import AuthError
from framework.auth import provider as providers
from framework.auth.provider import Provider, provider_of

GOOD = {
    **dict.fromkeys(("authorization_endpoint", "token_endpoint", "jwks_uri"), "https://a.example/x"),
    "issuer": "https://a.example",
}


def test_https_issuer_needs_https_addresses():
    providers.check_metadata(GOOD, "https://a.example")
    with pytest.raises(AuthError, match="jwks_uri: expected an https URL"):
        providers.check_metadata({**GOOD, "jwks_uri": "http://a.example/x"}, "https://a.example")


def test_metadata_and_keys_are_kept_and_strange_tokens_do_not_make_us_ask_in_a_hurry():
    asked = []
    keys = {"keys": [ECKey.generate_key("P-256", {"kid": "one"}).as_dict(private=False)]}

    async def ask(url):
        asked.append(url.rpartition("/")[2])
        return GOOD if url.endswith("openid-configuration") else keys

    async def scenario():
        provider = Provider("https://a.example")
        for kid in ("one", "one", None, "strange", "stranger"):
            assert (await provider.keys(ask, kid)).keys[0].kid == "one"
        assert provider_of("https://a.example") is provider_of("https://a.example")

    asyncio.run(scenario())
    assert asked == ["openid-configuration", "x"]


def test_keys_that_can_not_be_had_are_asked_for_again():
    answers = iter([GOOD, AuthError("away"), {"keys": [ECKey.generate_key("P-256").as_dict(private=False)]}])

    async def ask(url):
        answer = next(answers)
        if isinstance(answer, AuthError):
            raise answer
        return answer

    async def scenario():
        provider = Provider("https://a.example")
        with pytest.raises(AuthError, match="away"):
            await provider.keys(ask, None)
        assert len((await provider.keys(ask, None)).keys) == 1

    asyncio.run(scenario())
