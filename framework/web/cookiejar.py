"""The cookies of a handler: received, set, signed."""

from datetime import UTC, datetime, timedelta
from typing import Any

from framework.cookies import Cookie, format_set_cookie, is_cookie_name
from framework.signing import create_signed_value, decode_signed_value, get_signature_key_version
from framework.web.output import Responder


class CookieJar(Responder):
    """Cookies of request and answer. Names of 2011 (secure) and of today (signed) are the same methods."""

    @property
    def cookies(self) -> dict[str, Cookie]:
        """What the client sent, by name; a bad one costs nothing but itself."""
        return self.request.cookies

    def get_cookie(self, name: str, default: str | None = None) -> str | None:
        """The received value of this name, or the default."""
        cookie = self.cookies.get(name)
        return default if cookie is None else str(cookie)

    def set_cookie(
        self,
        name: str,
        value: str | bytes,
        domain: str | None = None,
        expires: float | tuple[int, ...] | datetime | None = None,
        path: str = "/",
        expires_days: float | None = None,
        **attributes: Any,
    ) -> None:
        """Set a cookie; see framework.cookies.format_set_cookie for the attributes.

        Raises:
            ValueError: name, value or an attribute holds what a cookie can't.
        """
        if expires_days is not None and not expires:
            expires = datetime.now(UTC) + timedelta(days=expires_days)
        named = {"domain": domain or None, "expires": expires, "path": path or None, **attributes}
        line = format_set_cookie(name, value, named)
        if self._new_cookies is None:
            self._new_cookies = {}
            self._is_untouched = False
        # The same name at another path or domain is another cookie.
        self._new_cookies[name, domain or "", path] = line

    def clear_cookie(self, name: str, path: str = "/", domain: str | None = None, **attributes: Any) -> None:
        """Tell the client to forget a cookie; path and domain must be those it was set with."""
        long_ago = datetime.now(UTC) - timedelta(days=365)
        if name.lower().startswith(("__host-", "__secure-")):
            attributes.setdefault("secure", True)
        self.set_cookie(name, "", path=path, expires=long_ago, domain=domain, **attributes)

    def clear_all_cookies(self, path: str = "/", domain: str | None = None, **attributes: Any) -> None:
        """clear_cookie for every cookie that was sent."""
        for name in self.cookies:
            # What strangers send need be no name; such a cookie was never ours.
            if is_cookie_name(name):
                place = (path, domain) if not name.lower().startswith("__host-") else ("/", None)
                self.clear_cookie(name, *place, **attributes)

    # ---- signed

    def set_signed_cookie(
        self,
        name: str,
        value: str | bytes,
        expires_days: float | None = 30,
        version: int | None = None,
        **attributes: Any,
    ) -> None:
        """Set a cookie that the client can read and can't change. Needs the setting `cookie_secret`."""
        self.set_cookie(name, self.create_signed_value(name, value, version), expires_days=expires_days, **attributes)

    def create_signed_value(self, name: str, value: str | bytes, version: int | None = None) -> bytes:
        """The value as set_signed_cookie sends it, for other ways to the client and back."""
        secret = self.application.require_setting("cookie_secret", "signed cookies")
        key_version = self.application.settings.get("key_version")
        if isinstance(secret, dict) and key_version is None:
            raise ValueError("key_version is not set; with several versions of cookie_secret it says which one signs")
        return create_signed_value(secret, name, value, version, key_version=key_version)

    def get_signed_cookie(
        self,
        name: str,
        value: str | bytes | None = None,
        max_age_days: float = 31,
        min_version: int | None = None,
    ) -> bytes | None:
        """The value of a cookie that we signed; None if there is none, or it is old or forged."""
        secret = self.application.require_setting("cookie_secret", "signed cookies")
        if min_version is None:
            min_version = self.application.settings.get("signed_cookie_min_version")
        if value is None:
            value = self.get_cookie(name)
        return decode_signed_value(secret, name, value, max_age_days, min_version=min_version)

    def get_signed_cookie_key_version(self, name: str, value: str | bytes | None = None) -> int | None:
        """The key version that a signed cookie names; None if it names none."""
        if value is None:
            value = self.get_cookie(name)
        return None if value is None else get_signature_key_version(value)

    set_secure_cookie = set_signed_cookie
    get_secure_cookie = get_signed_cookie
    get_secure_cookie_key_version = get_signed_cookie_key_version
