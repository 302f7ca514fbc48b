"""Cross-site request forgery: a token in a cookie that only our own pages can repeat.

The cookie holds a random token under a random mask, and each use of the token in a page gets a mask of its own, so a
compressed page does not leak it byte by byte (BREACH; CVE-2014-9720):

    2|mask|token xor mask|timestamp      all in hex but the time; as Tornado's version 2

A bare token (version 1) is read too. There is no exemption for `X-Requested-With: XMLHttpRequest`: a plug-in could
forge it (the hole that the seed's 1.1.1 closed). Where a browser says that another site sent the request
(`Sec-Fetch-Site`), that is the end of it, whatever token it has.
"""

import hmac
import os
import re
import time
from typing import Any

from framework.escape import Safe, xhtml_escape
from framework.web.arguments import Arguments
from framework.web.cookiejar import CookieJar
from framework.web.errors import HTTPError

_TOKEN_BYTES = 16
_is_v2 = re.compile(r"2\|([0-9a-f]{8})\|([0-9a-f]{8,128})\|[0-9]{1,20}").fullmatch
_is_v1 = re.compile(r"[0-9a-f]{32}").fullmatch

SAFE_METHODS = frozenset(("GET", "HEAD", "OPTIONS"))


def format_token(token: bytes, version: int = 2) -> str:
    """The token as cookie, form field or header carry it; each call gives version 2 another mask."""
    if version == 1:
        return token.hex()
    mask = os.urandom(4)
    return f"2|{mask.hex()}|{_xor(token, mask).hex()}|{int(time.time())}"


def parse_token(text: str) -> bytes | None:
    """The token within what a client sent; None if there is none."""
    found = _is_v2(text)
    if found is not None and len(found[2]) % 2 == 0:
        return _xor(bytes.fromhex(found[2]), bytes.fromhex(found[1]))
    return bytes.fromhex(text) if _is_v1(text) else None


def _xor(data: bytes, mask: bytes) -> bytes:
    return bytes(byte ^ mask[at % 4] for at, byte in enumerate(data))


class Xsrf(CookieJar, Arguments):
    """The token of this client, and the check that a request has it."""

    _xsrf_secret: bytes | None = None

    @property
    def xsrf_token(self) -> str:
        """The token for this page. Asking for it sets the cookie if the client has none."""
        version = int(self.application.settings.get("xsrf_cookie_version", 2))
        return format_token(self._xsrf_token_bytes(), version)

    def _xsrf_token_bytes(self) -> bytes:
        if self._xsrf_secret is None:
            settings = self.application.settings
            name = settings.get("xsrf_cookie_name", "_xsrf")
            token = parse_token(self.get_cookie(name, "") or "")
            if token is None:
                token = os.urandom(_TOKEN_BYTES)
                # Scripts read it (the seed's getCookie), so it is not HttpOnly.
                attributes: dict[str, Any] = {"samesite": "lax", "secure": self.request.protocol == "https"}
                attributes |= settings.get("xsrf_cookie_kwargs", {})
                version = int(settings.get("xsrf_cookie_version", 2))
                self.set_cookie(name, format_token(token, version), **attributes)
            self._xsrf_secret = token
        return self._xsrf_secret

    def check_xsrf_cookie(self) -> None:
        """Make sure that the request comes from a page of ours. Override it to exempt a handler.

        Raises:
            HTTPError: 403, if the token is missing or not the cookie's, or the browser says another site sent it.
        """
        find_header = self.request.find_header
        if find_header(b"sec-fetch-site") == b"cross-site":
            raise HTTPError(403, "XSRF: Sec-Fetch-Site says cross-site")
        header = find_header(b"x-xsrftoken") or find_header(b"x-csrftoken") or b""
        given = self.get_argument("_xsrf", None) or header.decode("latin-1")
        if not given:
            raise HTTPError(403, "'_xsrf' argument missing from %s", self.request.method)
        token = parse_token(given)
        name = self.application.settings.get("xsrf_cookie_name", "_xsrf")
        expected = parse_token(self.get_cookie(name, "") or "")
        if not token:
            raise HTTPError(403, "'_xsrf' argument has an invalid form")
        if not expected or not hmac.compare_digest(token, expected):
            raise HTTPError(403, "XSRF cookie does not match %s argument", self.request.method)

    def give_xsrf_cookie(self) -> None:
        """Called for every request while `xsrf_cookies` is set: who has no token gets one. Override it to give none."""
        self._xsrf_token_bytes()

    def xsrf_form_html(self) -> Safe:
        """The hidden field that makes a form's POST pass."""
        return Safe(f'<input type="hidden" name="_xsrf" value="{xhtml_escape(self.xsrf_token)}"/>')
