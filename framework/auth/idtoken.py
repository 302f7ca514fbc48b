"""ID tokens: is it signed by the provider, meant for us, of now, and of the request of this browser?

OpenID Connect Core 1.0 §3.1.3.7. The signature is joserfc's work; what it must be signed with, and every claim, is
looked at here. Pure functions: keys, time and expectations come in as values.

joserfc brings cryptography with it, a third of a frontend's memory: it is loaded when somebody first signs in this way.
"""

import base64
import hashlib
import hmac
import math
from typing import TYPE_CHECKING, Any

from framework.auth.base import AuthError, parse_json

if TYPE_CHECKING:
    from joserfc.jwk import KeySet

# Never "none", and never HMAC: its key would be one that the provider publishes (algorithm confusion).
ALGORITHMS = ("RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "Ed25519")
LEEWAY_S = 60
_MAX_TOKEN_BYTES = 32_768
_HASHES = {"256": hashlib.sha256, "384": hashlib.sha384, "512": hashlib.sha512}


def import_keys(document: dict[str, Any]) -> "KeySet":
    """The public keys of a JWK set that can verify signatures; others, and those that are malformed, are left out.

    Raises:
        AuthError: none is left.
    """
    from joserfc.errors import JoseError
    from joserfc.jwk import KeySet

    keys = document.get("keys")
    usable = []
    for key in keys if isinstance(keys, list) else []:
        if isinstance(key, dict) and key.get("kty") in ("RSA", "EC", "OKP") and key.get("use", "sig") == "sig":
            public = {name: value for name, value in key.items() if name not in ("d", "p", "q", "dp", "dq", "qi")}
            try:
                usable += KeySet.import_key_set({"keys": [public]}).keys
            except (JoseError, ValueError, TypeError, KeyError):
                continue
    if not usable:
        raise AuthError("the provider's key set holds no key for signatures")
    return KeySet(usable)


def read_header(token: str) -> dict[str, Any]:
    """The header of a token, which nobody has vouched for yet.

    Raises:
        AuthError: it is no signed token, or its algorithm is not allowed.
    """
    if len(token) > _MAX_TOKEN_BYTES or token.count(".") != 2 or not token.isascii():
        raise AuthError("id_token: expected three parts")
    try:
        header = parse_json(_decode(token.partition(".")[0]), "id_token: its header")
    except ValueError as error:
        raise AuthError("id_token: its header is malformed") from error
    if not isinstance(header, dict) or header.get("alg") not in ALGORITHMS:
        raise AuthError(
            f"id_token: the algorithm {header.get('alg') if isinstance(header, dict) else None!r} is refused"
        )
    return header


def verify(token: str, keys: "KeySet") -> dict[str, Any]:
    """The claims of a token that is signed with one of the keys.

    Raises:
        AuthError: it is not.
    """
    from joserfc import jws
    from joserfc.errors import JoseError
    from joserfc.jwk import KeySet

    header = read_header(token)
    if "kid" not in header and len(keys.keys) > 1:
        kind = {"R": "RSA", "P": "RSA"}.get(header["alg"][0], "OKP" if header["alg"].startswith("Ed") else "EC")
        keys = KeySet([key for key in keys.keys if key.key_type == kind])
        if len(keys.keys) != 1:
            raise AuthError("id_token: it does not say which of several keys it is signed with")
    try:
        verified = jws.deserialize_compact(token, keys if "kid" in header else keys.keys[0], algorithms=[header["alg"]])
    except (JoseError, ValueError, TypeError, KeyError) as error:
        raise AuthError(f"id_token: {error or type(error).__name__}") from error
    claims = parse_json(verified.payload or b"", "id_token: its claims")
    if not isinstance(claims, dict):
        raise AuthError("id_token: expected claims")
    return claims


def check_claims(
    claims: dict[str, Any], issuer: str, client_id: str, nonce: str, now_s: float, max_age_s: float | None = None
) -> None:
    """Nothing, if the claims are those of this provider, for us, now, and in answer to this request.

    Raises:
        AuthError: one of them is not.
    """
    if claims.get("iss") != issuer:
        raise AuthError(f"id_token: expected the issuer {issuer}, got {claims.get('iss')!r}")
    if not isinstance(claims.get("sub"), str) or not claims["sub"] or len(claims["sub"]) > 255:
        raise AuthError("id_token: expected a subject")
    audience = claims.get("aud")
    audiences = audience if isinstance(audience, list) else [audience]
    if client_id not in audiences:
        raise AuthError(f"id_token: it is meant for {audience!r}, not for us")
    if ("azp" in claims or len(audiences) > 1) and claims.get("azp") != client_id:
        raise AuthError(f"id_token: it was issued to {claims.get('azp')!r}, not to us")
    if not _is_number(claims.get("exp")) or claims["exp"] < now_s - LEEWAY_S:
        raise AuthError("id_token: it has expired")
    if not _is_number(claims.get("iat")) or claims["iat"] > now_s + LEEWAY_S:
        raise AuthError("id_token: it was issued in the future")
    if _is_number(claims.get("nbf")) and claims["nbf"] > now_s + LEEWAY_S:
        raise AuthError("id_token: it is not valid yet")
    if not isinstance(claims.get("nonce"), str) or not hmac.compare_digest(claims["nonce"].encode(), nonce.encode()):
        raise AuthError("id_token: it answers another request (nonce)")
    if max_age_s is not None and (
        not _is_number(claims.get("auth_time")) or claims["auth_time"] < now_s - max_age_s - LEEWAY_S
    ):
        raise AuthError("id_token: the user signed in too long ago (auth_time)")


def check_access_token(claims: dict[str, Any], access_token: str, algorithm: str) -> None:
    """Nothing, if the access token is the one that the ID token was issued with, or it does not say (at_hash).

    Raises:
        AuthError: it is another.
    """
    expected = claims.get("at_hash")
    if expected is None:
        return
    digest = _HASHES.get(algorithm[-3:], hashlib.sha512)(access_token.encode()).digest()
    found = base64.urlsafe_b64encode(digest[: len(digest) // 2]).rstrip(b"=")
    if not isinstance(expected, str) or not hmac.compare_digest(found, expected.encode()):
        raise AuthError("id_token: it belongs to another access token (at_hash)")


def _is_number(value: Any) -> bool:
    # Python's JSON knows NaN, and a token that expires at NaN never would.
    is_whole = isinstance(value, int) and not isinstance(value, bool)
    return is_whole or (isinstance(value, float) and math.isfinite(value))


def _decode(part: str) -> bytes:
    return base64.urlsafe_b64decode(part + "=" * (-len(part) % 4))
