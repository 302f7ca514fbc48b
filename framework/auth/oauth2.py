"""OAuth 2.0 (RFC 6749) with PKCE (RFC 7636), and the named providers that speak it."""

import base64
import hashlib
import hmac
from typing import Any, ClassVar

from framework.auth.base import AuthError, AuthMixin, form, gen_log, make_secret, parse_json, read_json, started


class OAuth2Mixin(AuthMixin):
    """A subclass names its provider by `_OAUTH_AUTHORIZE_URL` and `_OAUTH_ACCESS_TOKEN_URL`."""

    _OAUTH_AUTHORIZE_URL: ClassVar[str] = ""
    _OAUTH_ACCESS_TOKEN_URL: ClassVar[str] = ""
    _OAUTH_USES_PKCE: ClassVar[bool] = False
    _FLOW_COOKIE: ClassVar[str] = "_oauth2_flow"

    @started(fails_with_none=False)
    async def authorize_redirect(
        self,
        redirect_uri: str | None = None,
        client_id: str | None = None,
        client_secret: str | None = None,
        extra_params: dict[str, Any] | None = None,
        scope: list[str] | None = None,
        response_type: str = "code",
    ) -> None:
        """Send the visitor to the provider, who sends them back to redirect_uri with a code.

        With a `cookie_secret` the request is bound to this browser by a state: a code that somebody else's browser
        got is refused when it comes back. `client_secret` is not sent; 2011 passed it here.
        """
        arguments: dict[str, Any] = {
            "redirect_uri": redirect_uri,
            "client_id": client_id,
            "response_type": response_type,
            "scope": " ".join(scope) if scope else None,
        }
        if self.settings.get("cookie_secret"):
            flow = {"state": make_secret(), "verifier": make_secret(), "redirect_uri": redirect_uri}
            arguments["state"] = flow["state"]
            if self._OAUTH_USES_PKCE:
                arguments |= {"code_challenge": challenge_of(str(flow["verifier"])), "code_challenge_method": "S256"}
            self.remember_flow(self._FLOW_COOKIE, flow)
        self.redirect(self.provider_url(self._OAUTH_AUTHORIZE_URL, {**arguments, **(extra_params or {})}))

    def check_state(self) -> dict[str, Any]:
        """What was remembered of this browser's request; empty if no `cookie_secret` is set.

        Raises:
            AuthError: the answer belongs to another request, or to none.
        """
        if not self.settings.get("cookie_secret"):
            return {}
        flow = self.recall_flow(self._FLOW_COOKIE)
        state = self.get_query_argument("state", "")
        if flow is None or not hmac.compare_digest(state.encode(), str(flow.get("state")).encode()):
            raise AuthError("state: the answer does not belong to a request of this browser")
        if self.get_query_argument("error", ""):
            text = self.get_query_argument("error_description", "")
            raise AuthError(f"the provider says {self.get_query_argument('error')}: {text}"[:300])
        return flow

    async def fetch_token(self, code: str, redirect_uri: str, client_id: str, client_secret: str) -> dict[str, Any]:
        """What the provider gives for a code: `access_token` and what else it likes.

        Raises:
            AuthError: it gives nothing for it.
        """
        flow = self.check_state()
        values = {
            "grant_type": "authorization_code",
            "code": code,
            "redirect_uri": redirect_uri,
            "client_id": client_id,
            "client_secret": client_secret or None,
            "code_verifier": flow.get("verifier") if self._OAUTH_USES_PKCE else None,
        }
        token = await self.ask_json(
            self._OAUTH_ACCESS_TOKEN_URL,
            method="POST",
            body=form(values),
            headers={"Content-Type": "application/x-www-form-urlencoded", "Accept": "application/json"},
        )
        if not isinstance(token.get("access_token"), str):
            raise AuthError("the provider gave no access_token")
        return token

    @started(fails_with_none=False)
    async def oauth2_request(
        self,
        url: str,
        access_token: str | None = None,
        post_args: dict[str, Any] | None = None,
        **args: Any,
    ) -> dict[str, Any]:
        """The JSON object that a URL of the provider's gives on a user's behalf.

        Raises:
            AuthError: (when awaited) it gives none.
        """
        headers = {"Authorization": f"Bearer {access_token}"} if access_token else {}
        url = self.provider_url(url, args)
        if post_args is not None:
            headers["Content-Type"] = "application/x-www-form-urlencoded"
            return await self.ask_json(url, method="POST", body=form(post_args), headers=headers)
        return await self.ask_json(url, headers=headers)


def challenge_of(verifier: str) -> str:
    """The S256 challenge of a verifier (RFC 7636 §4.2)."""
    return base64.urlsafe_b64encode(hashlib.sha256(verifier.encode()).digest()).rstrip(b"=").decode()


class GoogleOAuth2Mixin(OAuth2Mixin):
    """Google by OAuth 2. The setting `google_oauth` holds `key` and `secret`. OpenIDConnectMixin gives the user."""

    _OAUTH_AUTHORIZE_URL = "https://accounts.google.com/o/oauth2/v2/auth"
    _OAUTH_ACCESS_TOKEN_URL = "https://oauth2.googleapis.com/token"
    _OAUTH_USERINFO_URL: ClassVar[str] = "https://openidconnect.googleapis.com/v1/userinfo"
    _OAUTH_SETTINGS_KEY: ClassVar[str] = "google_oauth"
    _OAUTH_USES_PKCE = True
    _FLOW_COOKIE = "_google_flow"

    def get_google_oauth_settings(self) -> dict[str, str]:
        """Hook: `key` and `secret` of this site at Google."""
        found: dict[str, str] = self.application.require_setting(self._OAUTH_SETTINGS_KEY, "Google sign-in")
        return found

    @started(fails_with_none=True)
    async def get_authenticated_user(
        self, redirect_uri: str, code: str, client_id: str | None = None, client_secret: str | None = None
    ) -> dict[str, Any] | None:
        """What Google gives for the code that it sent the visitor back with: access_token, id_token, …"""
        if client_id is None or client_secret is None:
            settings = self.get_google_oauth_settings()
            client_id, client_secret = client_id or settings["key"], client_secret or settings["secret"]
        return await self.fetch_token(code, redirect_uri, client_id, client_secret)


class FacebookGraphMixin(OAuth2Mixin):
    """Facebook by its Graph API."""

    _OAUTH_AUTHORIZE_URL = "https://www.facebook.com/dialog/oauth"
    _OAUTH_ACCESS_TOKEN_URL = "https://graph.facebook.com/oauth/access_token"
    _FACEBOOK_BASE_URL: ClassVar[str] = "https://graph.facebook.com"
    _FLOW_COOKIE = "_facebook_flow"
    _FIELDS: ClassVar[tuple[str, ...]] = ("id", "name", "first_name", "last_name", "locale", "picture", "link")

    @started(fails_with_none=True)
    async def get_authenticated_user(
        self,
        redirect_uri: str,
        client_id: str,
        client_secret: str,
        code: str,
        extra_fields: Any = None,
    ) -> dict[str, Any] | None:
        """The user: id, name and the like, `access_token`, and `session_expires` (text, seconds)."""
        token = await self.fetch_token(code, redirect_uri, client_id, client_secret)
        fields = {*self._FIELDS, *(extra_fields or ())}
        access_token = token["access_token"]
        user: dict[str, Any] = await self.facebook_request(
            "/me",
            access_token=access_token,
            appsecret_proof=hmac.new(client_secret.encode(), access_token.encode(), hashlib.sha256).hexdigest(),
            fields=",".join(sorted(fields)),
        )
        if not user.get("id"):
            raise AuthError("Facebook named no user")
        found = {field: user.get(field) for field in fields}
        return {**found, "access_token": access_token, "session_expires": str(token.get("expires_in", ""))}

    @started(fails_with_none=False)
    async def facebook_request(
        self,
        path: str,
        access_token: str | None = None,
        post_args: dict[str, Any] | None = None,
        **args: Any,
    ) -> Any:
        """What a path of the Graph API ("/me/feed") gives on a user's behalf.

        Raises:
            AuthError: (when awaited) it gives nothing.
        """
        url = self.provider_url(self._FACEBOOK_BASE_URL + path, {"access_token": access_token, **args})
        if post_args is not None:
            headers = {"Content-Type": "application/x-www-form-urlencoded"}
            return read_json(await self.ask_provider(url, method="POST", body=form(post_args), headers=headers), url)
        return await self.ask_json(url)


class FacebookMixin(AuthMixin):
    """Facebook Connect of 2009, signed by MD5. Facebook has switched it off: use FacebookGraphMixin.

    It works against whatever speaks it at `_FACEBOOK_LOGIN_URL` and `_FACEBOOK_REST_URL`. Settings: `facebook_api_key`
    and `facebook_secret`.
    """

    _FACEBOOK_LOGIN_URL: ClassVar[str] = "http://www.facebook.com/login.php"
    _FACEBOOK_REST_URL: ClassVar[str] = "http://api.facebook.com/restserver.php"

    @started(fails_with_none=False)
    async def authenticate_redirect(
        self, callback_uri: str | None = None, cancel_uri: str | None = None, extended_permissions: Any = None
    ) -> None:
        """Send the visitor to the sign-in page, and back to callback_uri."""
        gen_log.warning("FacebookMixin: Facebook has switched this interface off; see FacebookGraphMixin")
        here = self.request.full_url()
        permissions = [extended_permissions] if isinstance(extended_permissions, str) else extended_permissions
        arguments = {
            "api_key": self.application.require_setting("facebook_api_key", "Facebook sign-in"),
            "v": "1.0",
            "fbconnect": "true",
            "display": "page",
            "return_session": "true",
            "next": _absolute(here, callback_uri or self.request.uri),
            "cancel_url": _absolute(here, cancel_uri) if cancel_uri else None,
            "req_perms": ",".join(permissions) if permissions else None,
        }
        self.redirect(self.provider_url(self._FACEBOOK_LOGIN_URL, arguments))

    def authorize_redirect(
        self,
        extended_permissions: Any,
        callback_uri: str | None = None,
        cancel_uri: str | None = None,
    ) -> Any:
        """As authenticate_redirect, and asks for permissions, as "read_stream"."""
        return self.authenticate_redirect(callback_uri, cancel_uri, extended_permissions)

    @started(fails_with_none=True)
    async def get_authenticated_user(self) -> dict[str, Any] | None:
        """The user whose session the provider's answer holds."""
        session = parse_json(self.get_argument("session", "null"), "session")
        if not isinstance(session, dict) or not isinstance(session.get("sig"), str):
            raise AuthError("session: expected a JSON object with a signature")
        given = {name: value for name, value in session.items() if name != "sig"}
        if not hmac.compare_digest(self._sign(given).encode(), session["sig"].encode()):
            raise AuthError("session: the signature is wrong")
        fields = "uid,first_name,last_name,name,locale,pic_square,profile_url,username"
        users = await self.facebook_request(
            method="facebook.users.getInfo",
            session_key=session.get("session_key"),
            uids=session.get("uid"),
            fields=fields,
        )
        if not isinstance(users, list) or not users or not isinstance(users[0], dict):
            raise AuthError("the provider named no user")
        user = {name: users[0].get(name) for name in fields.split(",")}
        return {**user, "session_key": session.get("session_key"), "session_expires": session.get("expires")}

    @started(fails_with_none=False)
    async def facebook_request(self, method: str, **args: Any) -> Any:
        """What a method of the REST interface gives.

        Raises:
            AuthError: (when awaited) it gives an error.
        """
        values = {name: value for name, value in args.items() if value is not None}
        values |= {"method": method if method.startswith("facebook.") else f"facebook.{method}", "v": "1.0"}
        values |= {"api_key": self.application.require_setting("facebook_api_key", "Facebook sign-in")}
        values |= {"format": "json", "call_id": str(self.request.start_time)}
        values["sig"] = self._sign(values)
        response = await self.ask_provider(self.provider_url(self._FACEBOOK_REST_URL, values))
        found = parse_json(response.body or b"null", method)
        if response.code != 200 or (isinstance(found, dict) and "error_code" in found):
            raise AuthError(f"{method}: {response.code} {found}"[:300])
        return found

    def _sign(self, values: dict[str, Any]) -> str:
        secret = self.application.require_setting("facebook_secret", "Facebook sign-in")
        text = "".join(f"{name}={values[name]}" for name in sorted(values)) + secret
        return hashlib.md5(text.encode(), usedforsecurity=False).hexdigest()


def _absolute(here: str, address: str) -> str:
    from urllib.parse import urljoin

    return urljoin(here, address)
