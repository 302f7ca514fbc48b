"""Signing in by nickname or at an OpenID Connect provider, signing out, and the choice of a language."""

import re
from typing import Any

from app.pages import Page, User, needs_database
from framework import locale
from framework.auth import AuthError, OpenIDConnectMixin
from framework.log import app_log
from framework.web import HTTPError

NAME_CHARS = (2, 40)
_CONTROL = re.compile(r"[\x00-\x1f\x7f\u200e\u200f\u202a-\u202e\u2066-\u2069]")  # and what turns the writing direction


def clean_name(text: str) -> str | None:
    """A nickname without control characters and doubled blanks; None if it is too short or too long."""
    name = " ".join(_CONTROL.sub("", text).split())
    return name if NAME_CHARS[0] <= len(name) <= NAME_CHARS[1] else None


class LoginHandler(Page):
    """The page to sign in with, and what it sends."""

    def get(self) -> None:
        self.show(None)

    def show(self, problem: str | None) -> None:
        """The page, with what is wrong about the last attempt."""
        if problem is not None:
            self.set_status(400)
        provider = self.app.environment.openid_name
        self.render("login.html", problem=problem, next=self.get_next_url(), provider=provider)

    @needs_database
    async def post(self) -> None:
        name = clean_name(self.get_argument("name", ""))
        if name is None:
            self.show(self.locale.translate("A nickname has 2 to 40 characters."))
            return
        if await self.app.feed.is_claimed(name):
            self.show(self.locale.translate("This nickname belongs to somebody who signs in at a provider."))
            return
        self.remember_user(User(*await self.app.feed.sign_in(name)))
        self.redirect(self.get_next_url(), status=303)


class OpenIDHandler(OpenIDConnectMixin, Page):
    """Sends the visitor to the provider, and takes them in when they come back."""

    @needs_database
    async def _take_in(self, user: dict[str, Any]) -> None:
        name = clean_name(str(user.get("nickname") or user.get("name") or user.get("preferred_username") or ""))
        user_id, name = await self.app.feed.sign_in_as(user["iss"], user["sub"], name or "?" * 2)
        self.remember_user(User(user_id, name))
        self.redirect(self.get_next_url(), status=303)

    async def get(self) -> None:
        if not self.app.environment.openid_connect:
            raise HTTPError(404)
        if not self.get_query_argument("state", ""):
            await self._leave()
            return
        user = await self.get_authenticated_user()
        if user is None:
            self.redirect("/login", status=303)
            return
        await self._take_in(user)

    async def _leave(self) -> None:
        try:
            await self.authorize_redirect()
        except AuthError as error:
            app_log.error("sign-in: %s", error)
            raise HTTPError(502) from error


class LogoutHandler(Page):
    def post(self) -> None:
        self.clear_cookie("user")
        self.redirect("/", status=303)


class LocaleHandler(Page):
    """Remembers the language that a visitor chose."""

    def post(self) -> None:
        code = self.get_argument("locale")
        if code not in locale.get_supported_locales():
            raise HTTPError(400)
        self.set_cookie("locale", code, expires_days=365, samesite="lax", httponly=True)
        self.redirect(self.get_next_url(), status=303)
