"""Tokens by themselves; what becomes of a sign-in with a wrong one is in test_openid_connect."""

import json
import subprocess
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st
from joserfc import jws
from joserfc.jwk import ECKey, OctKey, OKPKey, RSAKey

from framework.auth import AuthError
from framework.auth.idtoken import check_claims, import_keys, read_header, verify

RSA, EC, ED = RSAKey.generate_key(2048), ECKey.generate_key("P-256"), OKPKey.generate_key("Ed25519")


@pytest.mark.parametrize(("key", "algorithm"), [(RSA, "RS256"), (RSA, "PS256"), (EC, "ES256"), (ED, "Ed25519")])
def test_signature_by_each_kind_of_key(key, algorithm):
    token = jws.serialize_compact({"alg": algorithm}, json.dumps({"sub": "x"}), key, algorithms=[algorithm])
    keys = import_keys({"keys": [one.as_dict(private=False) for one in (RSA, EC, ED)]})
    assert verify(token, keys) == {"sub": "x"}


def test_token_that_does_not_name_its_key_among_several_is_refused():
    two = import_keys({"keys": [RSA.as_dict(private=False), RSAKey.generate_key(2048).as_dict(private=False)]})
    token = jws.serialize_compact({"alg": "RS256"}, "{}", RSA)
    with pytest.raises(AuthError, match="which of several keys"):
        verify(token, two)


def test_keys_that_can_not_verify_are_left_out():
    odd = [None, {"kty": "RSA"}, {"kty": "RSA", "n": 1, "e": "x"}, OctKey.generate_key(256).as_dict()]
    encryption = {**RSA.as_dict(private=False), "use": "enc"}
    assert len(import_keys({"keys": [*odd, encryption, EC.as_dict(private=True)]}).keys) == 1
    for document in ({}, {"keys": None}, {"keys": odd}):
        with pytest.raises(AuthError, match="no key for signatures"):
            import_keys(document)


@given(
    st.one_of(
        st.text(), st.from_regex(r"[A-Za-z0-9_-]{0,20}[.][A-Za-z0-9_-]{0,20}[.][A-Za-z0-9_-]{0,9}", fullmatch=True)
    )
)
def test_any_text_is_a_token_or_an_error(text):
    with pytest.raises(AuthError):
        read_header(text)


claims = st.dictionaries(
    st.sampled_from(["iss", "sub", "aud", "azp", "exp", "iat", "nbf", "nonce", "auth_time"]),
    st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), st.text(), st.lists(st.text())),
)


@given(claims)
def test_any_claims_are_right_or_an_error(given_claims):
    with pytest.raises(AuthError):
        check_claims(given_claims, "https://a.example", "squall", "nonce of 256 bits", 1e9, 60)


def test_sign_in_that_is_too_old():
    good = {"iss": "i", "sub": "s", "aud": "c", "exp": 2000, "iat": 1000, "nonce": "n", "auth_time": 900}
    check_claims(good, "i", "c", "n", 1000, 100)
    with pytest.raises(AuthError, match="too long ago"):
        check_claims({**good, "auth_time": 700}, "i", "c", "n", 1000, 100)


def test_cryptography_waits_for_the_first_token() -> None:
    program = "import framework.auth, sys; print({'joserfc', 'cryptography'} & sys.modules.keys())"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout == "set()\n"
