"""OAuth 1.0 and 1.0a (RFC 5849), and Twitter and FriendFeed, which spoke it.

The secret of the request token waits in a signed cookie, so that only the browser that began can go on.
"""

import asyncio
import base64
import hashlib
import hmac
import time
from collections.abc import Mapping
from typing import Any, ClassVar
from urllib.parse import parse_qsl, quote, urljoin, urlsplit

from framework.auth.base import AuthError, AuthMixin, form, gen_log, make_secret, parse_json, started

Token = dict[str, Any]


def escape(value: Any) -> str:
    """Percent-encoding as RFC 5849 §3.6 wants it: everything but unreserved characters."""
    return quote(value if isinstance(value, bytes) else str(value).encode(), safe="~")


def base_string(method: str, url: str, parameters: Mapping[str, Any]) -> str:
    """What is signed (RFC 5849 §3.4.1). `url` may have a query; its parameters count."""
    parts = urlsplit(url)
    port = parts.port
    default = {"http": 80, "https": 443}.get(parts.scheme.lower())
    host = (parts.hostname or "").lower() + (f":{port}" if port not in (None, default) else "")
    pairs = [*parameters.items(), *parse_qsl(parts.query, keep_blank_values=True)]
    encoded = sorted((escape(name), escape(value)) for name, value in pairs)
    normal = "&".join(f"{name}={value}" for name, value in encoded)
    address = f"{parts.scheme.lower()}://{host}{parts.path or '/'}"
    return "&".join((method.upper(), escape(address), escape(normal)))


def sign(method: str, url: str, parameters: Mapping[str, Any], consumer_secret: str, token_secret: str = "") -> str:
    """The HMAC-SHA1 signature of a request (RFC 5849 §3.4.2)."""
    key = f"{escape(consumer_secret)}&{escape(token_secret)}".encode()
    digest = hmac.new(key, base_string(method, url, parameters).encode(), hashlib.sha1).digest()
    return base64.b64encode(digest).decode()


class OAuthMixin(AuthMixin):
    """A subclass names its provider by the three URLs, and itself by `_oauth_consumer_token`."""

    _OAUTH_REQUEST_TOKEN_URL: ClassVar[str] = ""
    _OAUTH_AUTHORIZE_URL: ClassVar[str] = ""
    _OAUTH_ACCESS_TOKEN_URL: ClassVar[str] = ""
    _OAUTH_VERSION: ClassVar[str] = "1.0a"
    _OAUTH_NO_CALLBACKS: ClassVar[bool] = False
    _OAUTH_COOKIE: ClassVar[str] = "_oauth_request_token"

    # ---- hooks

    def _oauth_consumer_token(self) -> Token:
        """Hook: `key` and `secret` of this site at the provider."""
        raise TypeError(f"{type(self).__name__} has no _oauth_consumer_token()")

    async def _oauth_get_user_future(self, access_token: Token) -> Token | None:
        """Hook: the user that a token stands for. Classes of 2011 define `_oauth_get_user(token, callback)` instead."""
        hook = getattr(self, "_oauth_get_user", None)
        if hook is None:
            return {}
        found: asyncio.Future[Token | None] = asyncio.get_running_loop().create_future()

        def take(user: Token | None) -> None:
            if not found.done():
                found.set_result(user)

        hook(access_token, take)
        return await found

    # ---- the flow

    @started(fails_with_none=False)
    async def authorize_redirect(
        self, callback_uri: str | None = None, extra_params: dict[str, Any] | None = None, http_client: Any = None
    ) -> None:
        """Send the visitor to the provider, who sends them back to callback_uri ("oob": the visitor brings a number).

        Raises:
            AuthError: (when awaited) the provider gives no request token.
        """
        await self._redirect(self._OAUTH_AUTHORIZE_URL, callback_uri, extra_params)

    async def _redirect(self, address: str, callback_uri: str | None, extra_params: dict[str, Any] | None) -> None:
        if callback_uri and self._OAUTH_NO_CALLBACKS:
            raise AuthError("this provider takes no callback_uri")
        callback = urljoin(self.request.full_url(), callback_uri) if callback_uri not in (None, "oob") else callback_uri
        parameters = dict(extra_params or {})
        if self._OAUTH_VERSION == "1.0a":
            parameters["oauth_callback"] = callback or "oob"
        token = await self._ask_token(self._OAUTH_REQUEST_TOKEN_URL, parameters, None)
        if self._OAUTH_VERSION == "1.0a" and token.get("oauth_callback_confirmed") != "true":
            # Without it the provider would send the visitor anywhere: the session fixation of 1.0.
            raise AuthError("the provider did not confirm the callback")
        self.remember_flow(self._OAUTH_COOKIE, {"key": token["key"], "secret": token["secret"]})
        arguments = {"oauth_token": token["key"]}
        if self._OAUTH_VERSION == "1.0" and callback and callback != "oob":
            arguments["oauth_callback"] = callback
        self.redirect(self.provider_url(address, arguments))

    @started(fails_with_none=True)
    async def get_authenticated_user(self, http_client: Any = None) -> Token | None:
        """The user that came back, with `access_token` (key, secret and what else the provider gave)."""
        request_token = self.recall_flow(self._OAUTH_COOKIE)
        key = self.get_argument("oauth_token", "")
        if request_token is None or not hmac.compare_digest(key.encode(), str(request_token.get("key")).encode()):
            raise AuthError("oauth_token: the answer does not belong to a request of this browser")
        parameters = {}
        if self._OAUTH_VERSION == "1.0a":
            parameters["oauth_verifier"] = self.get_argument("oauth_verifier", "")
            if not parameters["oauth_verifier"]:
                raise AuthError("oauth_verifier is missing")
        access_token = await self._ask_token(self._OAUTH_ACCESS_TOKEN_URL, parameters, request_token)
        user = await self._oauth_get_user_future(access_token)
        if user is None:
            raise AuthError("the provider named no user")
        return {**user, "access_token": access_token}

    async def _ask_token(self, url: str, parameters: Token, token: Token | None) -> Token:
        signed = {**parameters, **self._oauth_parameters(url, token, parameters)}
        response = await self.ask_provider(self.provider_url(url, signed))
        if response.code != 200:
            raise AuthError(f"{url}: {response.code} {(response.body or b'')[:200].decode('latin-1')!r}")
        try:
            found = dict(parse_qsl((response.body or b"").decode(), strict_parsing=True))
        except ValueError as error:
            raise AuthError(f"{url}: expected a form") from error
        if not found.get("oauth_token") or "oauth_token_secret" not in found:
            raise AuthError(f"{url}: expected oauth_token and oauth_token_secret")
        return {"key": found.pop("oauth_token"), "secret": found.pop("oauth_token_secret"), **found}

    def _oauth_parameters(
        self, url: str, token: Token | None, parameters: Mapping[str, Any], method: str = "GET"
    ) -> dict[str, str]:
        consumer = self._oauth_consumer_token()
        oauth = {
            "oauth_consumer_key": str(consumer["key"]),
            "oauth_signature_method": "HMAC-SHA1",
            "oauth_timestamp": str(int(time.time())),
            "oauth_nonce": make_secret(),
            "oauth_version": "1.0",
        }
        if token is not None:
            oauth["oauth_token"] = token["key"]
        every = {name: value for name, value in {**parameters, **oauth}.items() if value is not None}
        secret = token["secret"] if token is not None else ""
        return {**oauth, "oauth_signature": sign(method, url, every, str(consumer["secret"]), secret)}

    def _oauth_request_parameters(
        self, url: str, access_token: Token, parameters: Mapping[str, Any] | None = None, method: str = "GET"
    ) -> dict[str, str]:
        """The OAuth parameters of a signed request; `parameters` are those of the query and of a form's body."""
        return self._oauth_parameters(url, access_token, parameters or {}, method)

    async def ask_signed(
        self, url: str, access_token: Token | None, post_args: dict[str, Any] | None, args: dict[str, Any]
    ) -> Any:
        """The JSON value that a signed request gives.

        Raises:
            AuthError: it gives none.
        """
        method = "GET" if post_args is None else "POST"
        if access_token is not None:
            args = {**args, **self._oauth_request_parameters(url, access_token, {**args, **(post_args or {})}, method)}
        address = self.provider_url(url, args)
        options: dict[str, Any] = {}
        if post_args is not None:
            headers = {"Content-Type": "application/x-www-form-urlencoded"}
            options = {"method": "POST", "body": form(post_args), "headers": headers}
        response = await self.ask_provider(address, **options)
        if not 200 <= response.code < 300:
            raise AuthError(f"{url}: {response.code}")
        return parse_json(response.body or b"", url)


class TwitterMixin(OAuthMixin):
    """Twitter's version 1.1 of 2012. Twitter has closed it to most; any endpoint that speaks it can be named.

    Settings: `twitter_consumer_key` and `twitter_consumer_secret`.
    """

    _OAUTH_REQUEST_TOKEN_URL = "https://api.twitter.com/oauth/request_token"
    _OAUTH_ACCESS_TOKEN_URL = "https://api.twitter.com/oauth/access_token"
    _OAUTH_AUTHORIZE_URL = "https://api.twitter.com/oauth/authorize"
    _OAUTH_AUTHENTICATE_URL: ClassVar[str] = "https://api.twitter.com/oauth/authenticate"
    _TWITTER_BASE_URL: ClassVar[str] = "https://api.twitter.com/1.1"
    _OAUTH_COOKIE = "_twitter_request_token"

    @started(fails_with_none=False)
    async def authenticate_redirect(self, callback_uri: str | None = None, http_client: Any = None) -> None:
        """As authorize_redirect, without asking again who has agreed before."""
        warn_gone(self, "Twitter has closed this interface to most applications")
        await self._redirect(self._OAUTH_AUTHENTICATE_URL, callback_uri, None)

    @started(fails_with_none=False)
    async def twitter_request(
        self,
        path: str,
        access_token: Token | None = None,
        post_args: dict[str, Any] | None = None,
        **args: Any,
    ) -> Any:
        """What a path ("/statuses/update") gives on a user's behalf.

        Raises:
            AuthError: (when awaited) it gives nothing.
        """
        address = path if path.startswith(("http:", "https:")) else f"{self._TWITTER_BASE_URL}{path}.json"
        return await self.ask_signed(address, access_token, post_args, args)

    def _oauth_consumer_token(self) -> Token:
        require = self.application.require_setting
        return {
            "key": require("twitter_consumer_key", "Twitter sign-in"),
            "secret": require("twitter_consumer_secret", "Twitter sign-in"),
        }

    async def _oauth_get_user_future(self, access_token: Token) -> Token | None:
        user = await self.twitter_request("/account/verify_credentials", access_token=access_token)
        if not isinstance(user, dict) or not user.get("screen_name"):
            return None
        return {**user, "username": user["screen_name"]}


class FriendFeedMixin(OAuthMixin):
    """FriendFeed, which closed in 2015; any endpoint that speaks its interface can be named.

    Settings: `friendfeed_consumer_key` and `friendfeed_consumer_secret`.
    """

    _OAUTH_VERSION = "1.0"
    _OAUTH_REQUEST_TOKEN_URL = "https://friendfeed.com/account/oauth/request_token"
    _OAUTH_ACCESS_TOKEN_URL = "https://friendfeed.com/account/oauth/access_token"
    _OAUTH_AUTHORIZE_URL = "https://friendfeed.com/account/oauth/authorize"
    _FRIENDFEED_BASE_URL: ClassVar[str] = "http://friendfeed-api.com/v2"
    _OAUTH_NO_CALLBACKS = True
    _OAUTH_COOKIE = "_friendfeed_request_token"

    @started(fails_with_none=False)
    async def friendfeed_request(
        self,
        path: str,
        access_token: Token | None = None,
        post_args: dict[str, Any] | None = None,
        **args: Any,
    ) -> Any:
        """What a path ("/entry") gives on a user's behalf.

        Raises:
            AuthError: (when awaited) it gives nothing.
        """
        warn_gone(self, "FriendFeed closed in 2015")
        return await self.ask_signed(self._FRIENDFEED_BASE_URL + path, access_token, post_args, args)

    def _oauth_consumer_token(self) -> Token:
        require = self.application.require_setting
        return {
            "key": require("friendfeed_consumer_key", "FriendFeed sign-in"),
            "secret": require("friendfeed_consumer_secret", "FriendFeed sign-in"),
        }

    async def _oauth_get_user_future(self, access_token: Token) -> Token | None:
        name = access_token.get("username")
        if not name:
            return None
        args = {"include": "id,name,description"}
        user = await self.friendfeed_request(f"/feedinfo/{escape(name)}", access_token=access_token, **args)
        return {**user, "username": user.get("id")} if isinstance(user, dict) else None


_warned: set[type] = set()


def warn_gone(handler: AuthMixin, text: str) -> None:
    """Say, once for each class, that a service is no more what it was."""
    if type(handler) not in _warned:
        _warned.add(type(handler))
        gen_log.warning("%s: %s; see OpenIDConnectMixin", type(handler).__name__, text)
