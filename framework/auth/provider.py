"""What an OpenID Connect provider says of itself: addresses and keys (Discovery 1.0), kept for a while."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from framework.auth.base import AuthError
from framework.auth.idtoken import import_keys

if TYPE_CHECKING:
    from joserfc.jwk import KeySet

METADATA_KEPT_S = 3600.0
# A token with a key that we do not know makes us ask for the keys: not more often than this, whoever sends such tokens.
KEYS_PAUSE_S = 10.0

Ask = Callable[[str], Awaitable[dict[str, Any]]]


class Provider:
    """One provider, known by its issuer. `ask` fetches a JSON object from a URL."""

    def __init__(self, issuer: str) -> None:
        self.issuer = issuer
        self._metadata: dict[str, Any] | None = None
        self._metadata_until = 0.0
        self._keys: KeySet | None = None
        self._keys_asked_at = -KEYS_PAUSE_S
        self._lock = asyncio.Lock()

    async def metadata(self, ask: Ask) -> dict[str, Any]:
        """The provider's addresses and abilities.

        Raises:
            AuthError: it says nothing, or something about another issuer, or names addresses without TLS.
        """
        async with self._lock:
            if self._metadata is None or time.monotonic() > self._metadata_until:
                found = await ask(self.issuer.rstrip("/") + "/.well-known/openid-configuration")
                check_metadata(found, self.issuer)
                self._metadata = found
                self._metadata_until = time.monotonic() + METADATA_KEPT_S
            return self._metadata

    async def keys(self, ask: Ask, kid: str | None) -> "KeySet":
        """The provider's keys, the one called `kid` among them if it has it; asked for again when one is unknown.

        Raises:
            AuthError: it gives none.
        """
        metadata = await self.metadata(ask)
        async with self._lock:
            known = self._keys
            is_missing = known is None or (kid is not None and all(key.kid != kid for key in known.keys))
            if is_missing and time.monotonic() - self._keys_asked_at >= KEYS_PAUSE_S:
                # The first time, this loads cryptography: a tenth of a second that the loop must not wait.
                keys = await asyncio.to_thread(import_keys, await ask(metadata["jwks_uri"]))
                self._keys_asked_at = time.monotonic()
                known = self._keys = keys
            if known is None:
                raise AuthError("the provider's keys could not be had a moment ago")
            return known


def check_metadata(metadata: dict[str, Any], issuer: str) -> None:
    """Nothing, if the document is that of the issuer and names what is needed.

    Raises:
        AuthError: it does not.
    """
    if metadata.get("issuer") != issuer:
        raise AuthError(f"discovery: expected the issuer {issuer}, got {metadata.get('issuer')!r}")
    for name in ("authorization_endpoint", "token_endpoint", "jwks_uri", "userinfo_endpoint", "end_session_endpoint"):
        address = metadata.get(name)
        if address is None and name in ("userinfo_endpoint", "end_session_endpoint"):
            continue
        scheme = _scheme_of(address)
        # Where the issuer itself is without TLS (a developer's machine), its addresses may be.
        if scheme != "https" and not (scheme == "http" and issuer.startswith("http:")):
            raise AuthError(f"discovery: {name}: expected an https URL, got {address!r}")


def _scheme_of(address: Any) -> str:
    """The scheme of an address that can be sent in a Location; "" if it can't."""
    if not isinstance(address, str) or not address.isprintable():
        return ""
    try:
        return urlsplit(address).scheme
    except ValueError:
        return ""


_providers: dict[tuple[asyncio.AbstractEventLoop, str], Provider] = {}


def provider_of(issuer: str) -> Provider:
    """The provider, the same for all requests of this loop."""
    key = asyncio.get_running_loop(), issuer
    if key not in _providers:
        for old in [one for one in _providers if one[0].is_closed()]:
            del _providers[old]
        _providers[key] = Provider(issuer)
    return _providers[key]
