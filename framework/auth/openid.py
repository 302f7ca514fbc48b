"""OpenID 2.0 with attribute exchange, and Google and Yahoo as they spoke it until 2015.

Every answer is checked with the provider itself (check_authentication): no association, and so no shared secret to
keep. An attribute that the provider did not sign does not count.
"""

from typing import Any, ClassVar
from urllib.parse import parse_qsl, urljoin, urlsplit

from framework.auth.base import AuthError, form, make_secret, started
from framework.auth.oauth1 import OAuthMixin, warn_gone

_NS = "http://specs.openid.net/auth/2.0"
_SELECT = f"{_NS}/identifier_select"
_AX = "http://openid.net/srv/ax/1.0"
_OAUTH = "http://specs.openid.net/extensions/oauth/1.0"
_ATTRIBUTES = {
    "email": "http://axschema.org/contact/email",
    "language": "http://axschema.org/pref/language",
    "username": "http://axschema.org/namePerson/friendly",
    "name": "http://axschema.org/namePerson",
    "firstname": "http://axschema.org/namePerson/first",
    "lastname": "http://axschema.org/namePerson/last",
}
_NAMES = ("name", "firstname", "lastname")
# OpenID 2.0 §10.1: these must be signed, or the answer is nothing.
_MUST_BE_SIGNED = ("op_endpoint", "return_to", "response_nonce", "assoc_handle")
_COOKIE = "_openid_flow"


class OpenIdMixin(OAuthMixin):
    """A subclass names its provider by `_OPENID_ENDPOINT`.

    With a `cookie_secret` an answer counts in the browser that began, once, and within a quarter of an hour.
    """

    _OPENID_ENDPOINT: ClassVar[str] = ""

    def authenticate_redirect(
        self,
        callback_uri: str | None = None,
        ax_attrs: Any = ("name", "email", "language", "username"),
        callback: Any = None,
    ) -> None:
        """Send the visitor to the provider, and back to callback_uri (by default this page).

        `ax_attrs` are the attributes that are asked for: name, email, language, username.
        """
        arguments = self._openid_args(callback_uri or self.request.uri, ax_attrs)
        self.redirect(self.provider_url(self._OPENID_ENDPOINT, arguments))
        if callback is not None:
            callback()

    def _openid_args(self, callback_uri: str, ax_attrs: Any, oauth_scope: str | None = None) -> dict[str, Any]:
        return_to = urljoin(self.request.full_url(), callback_uri)
        if self.settings.get("cookie_secret"):
            token = make_secret()
            self.remember_flow(_COOKIE, {"token": token})
            return_to = self.provider_url(return_to, {"openid_flow": token})
        arguments = {
            "openid.ns": _NS,
            "openid.claimed_id": _SELECT,
            "openid.identity": _SELECT,
            "openid.return_to": return_to,
            "openid.realm": urljoin(return_to, "/"),
            "openid.mode": "checkid_setup",
        }
        wanted = [name for name in ax_attrs if name != "name"]
        if "name" in ax_attrs:
            wanted += _NAMES
        wanted = [name for name in dict.fromkeys(wanted) if name in _ATTRIBUTES]
        if wanted:
            arguments |= {"openid.ns.ax": _AX, "openid.ax.mode": "fetch_request"}
            arguments |= {f"openid.ax.type.{name}": _ATTRIBUTES[name] for name in wanted}
            arguments["openid.ax.required"] = ",".join(wanted)
        if oauth_scope:
            arguments |= {
                "openid.ns.oauth": _OAUTH,
                "openid.oauth.consumer": self.request.host.partition(":")[0],
                "openid.oauth.scope": oauth_scope,
            }
        return arguments

    @started(fails_with_none=True)
    async def get_authenticated_user(self, http_client: Any = None) -> dict[str, Any] | None:
        """Who came back: claimed_id, email, first_name, last_name, name, locale, username; those that were signed."""
        answer = await self._verified_answer()
        return self._user_of(answer)

    async def _verified_answer(self) -> dict[str, str]:
        """The signed fields of the provider's answer."""
        given = {name: self.get_argument(name) for name in self.request.arguments if name.startswith("openid.")}
        if given.get("openid.mode") != "id_res":
            raise AuthError(f"openid.mode: expected id_res, got {given.get('openid.mode')!r}")
        if any(len(values) > 1 for name, values in self.request.arguments.items() if name.startswith("openid.")):
            raise AuthError("openid: a field stands there twice")
        signed = given.get("openid.signed", "").split(",")
        missing = [name for name in _MUST_BE_SIGNED if name not in signed or f"openid.{name}" not in given]
        if missing or ("openid.claimed_id" in given) != ("claimed_id" in signed):
            raise AuthError(f"openid.signed: expected {', '.join(missing) or 'claimed_id'} among them")
        if given["openid.op_endpoint"] != self._OPENID_ENDPOINT:
            raise AuthError(f"openid.op_endpoint: expected {self._OPENID_ENDPOINT}")
        self._check_return_to(given["openid.return_to"])
        self._check_browser()
        body = form({**given, "openid.mode": "check_authentication"})
        headers = {"Content-Type": "application/x-www-form-urlencoded"}
        response = await self.ask_provider(self._OPENID_ENDPOINT, method="POST", body=body, headers=headers)
        lines = (response.body or b"").decode("latin-1").split("\n")
        if response.code != 200 or "is_valid:true" not in lines:
            raise AuthError(f"the provider does not stand by this answer ({response.code})")
        return {name: given[f"openid.{name}"] for name in signed if f"openid.{name}" in given}

    def _check_return_to(self, return_to: str) -> None:
        """OpenID 2.0 §11.1: the answer came to the address that it was meant for."""
        try:
            meant, here = urlsplit(return_to), urlsplit(self.request.full_url())
        except ValueError as error:
            raise AuthError(f"openid.return_to: expected a URL, got {return_to!r}") from error
        if (meant.scheme, meant.netloc, meant.path) != (here.scheme, here.netloc, here.path):
            raise AuthError(f"openid.return_to: expected this page, got {return_to!r}")
        arguments = set(parse_qsl(here.query, keep_blank_values=True))
        if any(pair not in arguments for pair in parse_qsl(meant.query, keep_blank_values=True)):
            raise AuthError("openid.return_to: it had arguments that are missing here")

    def _check_browser(self) -> None:
        if self.settings.get("cookie_secret"):
            flow = self.recall_flow(_COOKIE)
            if flow is None or flow.get("token") != self.get_argument("openid_flow", ""):
                raise AuthError("the answer does not belong to a request of this browser, or came before")

    def _user_of(self, answer: dict[str, str]) -> dict[str, Any]:
        prefix = next((name[3:] for name, value in answer.items() if name.startswith("ns.") and value == _AX), "ax")

        def find(attribute: str) -> str:
            for name, value in answer.items():
                if name.startswith(f"{prefix}.type.") and value == _ATTRIBUTES[attribute]:
                    alias = name.rpartition(".")[2]
                    return answer.get(f"{prefix}.value.{alias}") or answer.get(f"{prefix}.value.{alias}.1") or ""
            return ""

        first, last, email = find("firstname"), find("lastname"), find("email")
        name = find("name") or " ".join(part for part in (first, last) if part) or email.partition("@")[0]
        user = {
            "claimed_id": answer.get("claimed_id"),
            "email": email,
            "first_name": first,
            "last_name": last,
            "name": name,
            "locale": find("language").lower(),
            "username": find("username"),
        }
        return {key: value for key, value in user.items() if value}


class GoogleMixin(OpenIdMixin):
    """Google by OpenID 2.0, with OAuth 1.0 beside it. Google switched it off in 2015: use GoogleOAuth2Mixin.

    Settings for authorize_redirect: `google_consumer_key` and `google_consumer_secret`.
    """

    _OPENID_ENDPOINT = "https://www.google.com/accounts/o8/ud"
    _OAUTH_ACCESS_TOKEN_URL = "https://www.google.com/accounts/OAuthGetAccessToken"

    def authenticate_redirect(self, *args: Any, **kwargs: Any) -> None:
        """See OpenIdMixin."""
        warn_gone(self, "Google switched OpenID 2.0 off in 2015")
        super().authenticate_redirect(*args, **kwargs)

    def authorize_redirect(  # type: ignore[override]
        self,
        oauth_scope: str,
        callback_uri: str | None = None,
        ax_attrs: Any = ("name", "email", "language", "username"),
        callback: Any = None,
    ) -> None:
        """As authenticate_redirect, and asks for access to `oauth_scope`."""
        warn_gone(self, "Google switched OpenID 2.0 off in 2015")
        arguments = self._openid_args(callback_uri or self.request.uri, ax_attrs, oauth_scope)
        self.redirect(self.provider_url(self._OPENID_ENDPOINT, arguments))
        if callback is not None:
            callback()

    @started(fails_with_none=True)
    async def get_authenticated_user(self, http_client: Any = None) -> dict[str, Any] | None:
        """As in OpenIdMixin; `access_token` is there if access was asked for and granted."""
        answer = await self._verified_answer()
        user = self._user_of(answer)
        prefix = next((name[3:] for name, value in answer.items() if name.startswith("ns.") and value == _OAUTH), "")
        key = answer.get(f"{prefix}.request_token") if prefix else None
        if not key:
            return user
        return {
            **user,
            "access_token": await self._ask_token(self._OAUTH_ACCESS_TOKEN_URL, {}, {"key": key, "secret": ""}),
        }

    def _oauth_consumer_token(self) -> dict[str, Any]:
        require = self.application.require_setting
        return {
            "key": require("google_consumer_key", "Google sign-in"),
            "secret": require("google_consumer_secret", "Google sign-in"),
        }


class YahooMixin(OpenIdMixin):
    """Yahoo by OpenID 2.0, which it no longer speaks; any endpoint that does can be named."""

    _OPENID_ENDPOINT = "https://open.login.yahooapis.com/openid/op/auth"

    def authenticate_redirect(self, *args: Any, **kwargs: Any) -> None:
        """See OpenIdMixin."""
        warn_gone(self, "Yahoo no longer speaks OpenID 2.0")
        super().authenticate_redirect(*args, **kwargs)
