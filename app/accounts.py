"""Signing in by nickname, signing out, and the choice of a language."""

import re

from app.pages import Page, User, needs_database
from framework import locale
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
        self.render("login.html", problem=None, next=self.get_next_url())

    @needs_database
    async def post(self) -> None:
        name = clean_name(self.get_argument("name", ""))
        if name is None:
            problem = self.locale.translate("A nickname has 2 to 40 characters.")
            self.set_status(400)
            self.render("login.html", problem=problem, next=self.get_next_url())
            return
        self.remember_user(User(await self.app.feed.sign_in(name), name))
        self.redirect(self.get_next_url(), status=303)


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
