"""Sign-in by any OpenID Connect provider: code flow with PKCE, state and nonce, all bound to the browser.

    class SignIn(OpenIDConnectMixin, RequestHandler):
        async def get(self):
            if self.get_argument("code", None) or self.get_argument("error", None):
                user = await self.get_authenticated_user()
                if user is None:
                    raise HTTPError(403)
                self.set_signed_cookie("user", user["sub"])
                self.redirect("/")
            else:
                await self.authorize_redirect()

    Application([...], cookie_secret=..., openid_connect={"issuer": ..., "client_id": ..., "client_secret": ...})

A user is known by issuer and `sub` together; never by an e-mail address, which others may be given later.
"""

import base64
import hmac
import time
from typing import Any, ClassVar
from urllib.parse import quote_plus

from framework.auth.base import AuthError, AuthMixin, form, make_secret, started
from framework.auth.idtoken import check_access_token, check_claims, read_header, verify
from framework.auth.oauth2 import challenge_of
from framework.auth.provider import provider_of

SCOPE = ("openid", "profile", "email")


class OpenIDConnectMixin(AuthMixin):
    """Settings `openid_connect` (or the hook): issuer, client_id, client_secret, scope, redirect_uri, max_age."""

    _OPENID_CONNECT_SETTINGS_KEY: ClassVar[str] = "openid_connect"

    def get_openid_connect_settings(self) -> dict[str, Any]:
        """Hook: the provider and who we are there. Without a client_secret we are a public client."""
        found: dict[str, Any] = self.application.require_setting(self._OPENID_CONNECT_SETTINGS_KEY, "sign-in")
        return found

    @started(fails_with_none=False)
    async def authorize_redirect(
        self,
        redirect_uri: str | None = None,
        scope: list[str] | tuple[str, ...] | None = None,
        extra_params: dict[str, Any] | None = None,
    ) -> None:
        """Send the visitor to the provider, who sends them back to redirect_uri; by default to this very page.

        Raises:
            AuthError: (when awaited) the provider can't be reached, or is not what it should be.
        """
        settings = self.get_openid_connect_settings()
        metadata = await provider_of(settings["issuer"]).metadata(self.ask_json)
        flow = {
            "state": make_secret(),
            "nonce": make_secret(),
            "verifier": make_secret(),
            "redirect_uri": redirect_uri or settings.get("redirect_uri") or self._here(),
        }
        self.remember_flow(_cookie_of(flow["state"]), flow)
        arguments = {
            "response_type": "code",
            "client_id": settings["client_id"],
            "redirect_uri": flow["redirect_uri"],
            "scope": " ".join(scope or settings.get("scope") or SCOPE),
            "state": flow["state"],
            "nonce": flow["nonce"],
            "code_challenge": challenge_of(flow["verifier"]),
            "code_challenge_method": "S256",
            "max_age": settings.get("max_age"),
        }
        self.redirect(self.provider_url(metadata["authorization_endpoint"], {**arguments, **(extra_params or {})}))

    @started(fails_with_none=True)
    async def get_authenticated_user(self) -> dict[str, Any] | None:
        """Who came back from the provider: the ID token's claims, joined by the provider's userinfo, and the tokens.

        `access_token`, `id_token`, and `refresh_token` and `expires_in` if there are any. None if anything about the
        answer is not as it must be; the log says what.
        """
        settings = self.get_openid_connect_settings()
        issuer = settings["issuer"]
        metadata = await provider_of(issuer).metadata(self.ask_json)
        flow = self._check_answer(metadata)
        token = await self._ask_token(
            metadata,
            settings,
            grant_type="authorization_code",
            code=self.get_query_argument("code", ""),
            redirect_uri=flow["redirect_uri"],
            code_verifier=flow["verifier"],
        )
        claims = await self._read_id_token(token, settings, flow["nonce"])
        if metadata.get("userinfo_endpoint") and settings.get("userinfo", True):
            claims = {**await self.fetch_userinfo(token["access_token"], claims["sub"]), **claims}
        return {**claims, **_kept(token)}

    def _check_answer(self, metadata: dict[str, Any]) -> dict[str, Any]:
        """What was remembered of the request that this is the answer to."""
        state = self.get_query_argument("state", "")
        flow = self.recall_flow(_cookie_of(state)) if state else None
        if flow is None or not hmac.compare_digest(state.encode(), str(flow.get("state")).encode()):
            raise AuthError("state: the answer does not belong to a request of this browser, or came too late")
        issuer = self.get_query_argument("iss", "")
        # RFC 9207: another provider's answer must not be taken for this one's (mix-up).
        if issuer != metadata["issuer"] and (issuer or metadata.get("authorization_response_iss_parameter_supported")):
            raise AuthError(f"iss: expected an answer of {metadata['issuer']}, got one of {issuer!r}")
        error = self.get_query_argument("error", "")
        if error:
            raise AuthError(f"the provider says {error}: {self.get_query_argument('error_description', '')}"[:300])
        return flow

    async def _ask_token(self, metadata: dict[str, Any], settings: dict[str, Any], **values: Any) -> dict[str, Any]:
        client_id, secret = settings["client_id"], settings.get("client_secret") or ""
        headers = {"Content-Type": "application/x-www-form-urlencoded", "Accept": "application/json"}
        methods = metadata.get("token_endpoint_auth_methods_supported")
        if secret and (not isinstance(methods, list) or not methods or "client_secret_basic" in methods):
            # RFC 6749 §2.3.1: both are form-encoded first.
            pair = f"{quote_plus(client_id)}:{quote_plus(secret)}"
            headers["Authorization"] = "Basic " + base64.b64encode(pair.encode()).decode()
        else:
            values |= {"client_id": client_id, "client_secret": secret or None}
        token = await self.ask_json(metadata["token_endpoint"], method="POST", body=form(values), headers=headers)
        if not isinstance(token.get("access_token"), str) or str(token.get("token_type")).lower() != "bearer":
            raise AuthError("the provider gave no bearer token")
        return token

    async def _read_id_token(self, token: dict[str, Any], settings: dict[str, Any], nonce: str) -> dict[str, Any]:
        text = token.get("id_token")
        if not isinstance(text, str):
            raise AuthError("the provider gave no id_token")
        header = read_header(text)
        keys = await provider_of(settings["issuer"]).keys(self.ask_json, header.get("kid"))
        claims = verify(text, keys)
        check_claims(claims, settings["issuer"], settings["client_id"], nonce, time.time(), settings.get("max_age"))
        check_access_token(claims, token["access_token"], header["alg"])
        return claims

    async def fetch_userinfo(self, access_token: str, subject: str) -> dict[str, Any]:
        """What the provider tells of a user.

        Raises:
            AuthError: it tells nothing, or of somebody else (OpenID Connect Core §5.3.2).
        """
        metadata = await provider_of(self.get_openid_connect_settings()["issuer"]).metadata(self.ask_json)
        headers = {"Authorization": f"Bearer {access_token}", "Accept": "application/json"}
        found = await self.ask_json(metadata["userinfo_endpoint"], headers=headers)
        if found.get("sub") != subject:
            raise AuthError(f"userinfo: expected the subject {subject!r}, got {found.get('sub')!r}")
        return found

    @started(fails_with_none=True)
    async def refresh_token(self, refresh_token: str) -> dict[str, Any] | None:
        """New tokens for an old refresh token; None if the provider no longer takes it."""
        settings = self.get_openid_connect_settings()
        metadata = await provider_of(settings["issuer"]).metadata(self.ask_json)
        return _kept(await self._ask_token(metadata, settings, grant_type="refresh_token", refresh_token=refresh_token))

    @started(fails_with_none=True)
    async def get_logout_url(self, id_token: str | None = None, redirect_uri: str | None = None) -> str | None:
        """Where to send a user who wants to be signed out at the provider too; None if it has no such address."""
        settings = self.get_openid_connect_settings()
        metadata = await provider_of(settings["issuer"]).metadata(self.ask_json)
        address = metadata.get("end_session_endpoint")
        if address is None:
            return None
        arguments = {
            "client_id": settings["client_id"],
            "id_token_hint": id_token,
            "post_logout_redirect_uri": redirect_uri,
        }
        return self.provider_url(address, arguments)

    def _here(self) -> str:
        return f"{self.request.protocol}://{self.request.host}{self.request.path}"


def _cookie_of(state: str) -> str:
    """A cookie for each request: several tabs may be at the provider at once."""
    return "_oidc_" + "".join(character for character in state[:12] if character.isalnum())


def _kept(token: dict[str, Any]) -> dict[str, Any]:
    names = ("access_token", "id_token", "refresh_token", "expires_in", "scope")
    return {name: token[name] for name in names if name in token}
