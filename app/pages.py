"""What all pages share: who asks, in which language, what an error looks like, and the headers for browsers."""

import asyncio
import functools
import uuid
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any, cast

from framework.database import DatabaseUnavailable
from framework.escape import json_decode, json_encode
from framework.log import app_log
from framework.web import RequestHandler

if TYPE_CHECKING:
    from app.application import FeedApplication

RETRY_AFTER_S = 2
# Waiting for a turn and asking have limits of their own in the pool; but a page asks several times, one after the
# other, and is to say within two seconds that the database is away.
PATIENCE_S = 1.5

SECURITY_HEADERS = {
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self';"
        " form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
    ),
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "same-origin",
    "X-Frame-Options": "DENY",
    "Cross-Origin-Opener-Policy": "same-origin",
}


class User:
    """Who is signed in, as the signed cookie says."""

    def __init__(self, user_id: int, name: str) -> None:
        self.id = user_id
        self.name = name


class Page(RequestHandler):
    """The base of every handler that shows a page or answers its scripts."""

    @property
    def app(self) -> "FeedApplication":
        return cast("FeedApplication", self.application)

    def set_default_headers(self) -> None:
        for name, value in SECURITY_HEADERS.items():
            self.set_header(name, value)
        # Pages show who is signed in; an ETag makes asking again cheap.
        self.set_header("Cache-Control", "private, no-cache")

    def get_current_user(self) -> User | None:
        cookie = self.get_signed_cookie("user")
        if not cookie:
            return None
        user = json_decode(cookie)
        return User(user["id"], user["name"])

    def remember_user(self, user: User) -> None:
        """Sign the visitor in with a cookie."""
        is_secure = self.request.protocol == "https"
        value = json_encode({"id": user.id, "name": user.name})
        self.set_signed_cookie("user", value, httponly=True, samesite="lax", secure=is_secure)

    def get_user_locale(self) -> str | None:
        return self.get_cookie("locale")

    def get_template_namespace(self) -> dict[str, Any]:
        return {**super().get_template_namespace(), "hash_hue": hash_hue, "new_id": uuid.uuid4}

    @property
    def wants_json(self) -> bool:
        """Whether the client asked for JSON rather than for a page."""
        accept = self.request.find_header(b"accept")
        return accept is not None and b"application/json" in accept

    def handle_exception(self, error: BaseException) -> bool:
        if isinstance(error, DatabaseUnavailable) and not self._finished:
            app_log.warning("%s %s: %s", self.request.method, self.request.path, error)
            self.send_error(503)
            return True
        return super().handle_exception(error)

    def write_error(self, status_code: int, **kwargs: Any) -> None:
        if self.settings.get("debug") and kwargs.get("exc_info"):
            super().write_error(status_code, **kwargs)
            return
        if status_code == 503:
            self.set_header("Retry-After", str(RETRY_AFTER_S))
        if self.wants_json:
            self.finish({"error": status_code})
            return
        # The error page must not need what may have failed: no user, no database.
        self.finish(self.render_string("error.html", status=status_code, current_user=None))


def hash_hue(name: str) -> int:
    """One of six colours for a face, the same one that feed.js computes."""
    return sum(map(ord, name)) % 6


def needs_database(verb: Callable[..., Awaitable[None]]) -> Callable[..., Awaitable[None]]:
    """The verb, cut off with 503 after PATIENCE_S."""

    @functools.wraps(verb)
    async def limited(self: Page, *args: str) -> None:
        try:
            async with asyncio.timeout(PATIENCE_S):
                await verb(self, *args)
        except TimeoutError as error:
            raise DatabaseUnavailable(f"no answer within {PATIENCE_S} s") from error

    return limited
