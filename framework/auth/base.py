"""What all ways to sign in share: who gets the result, what a provider is asked, what the browser keeps meanwhile.

Methods start without being awaited (code of 2011 calls them and returns), may be awaited, and take a callback. A
visitor whose sign-in fails is user None; why it failed is for the log.
"""

import asyncio
import functools
import json
import logging
import secrets
from collections.abc import Callable, Coroutine, Mapping
from typing import Any
from urllib.parse import urlencode

from framework.errors import FrameworkError
from framework.httpclient import AsyncHTTPClient, HTTPResponse
from framework.httputil import url_concat
from framework.ioloop import handle_exception
from framework.web import RequestHandler

app_log = logging.getLogger("framework.application")
gen_log = logging.getLogger("framework.general")

Callback = Callable[[Any], object]

REQUEST_TIMEOUT_S = 10.0
MAX_ANSWER_BYTES = 1_000_000
# A visitor reads the provider's page, finds a password, types a code.
FLOW_S = 900


class AuthError(FrameworkError):
    """A sign-in or a request on a user's behalf failed; the text says why, and is not for the visitor."""


class AuthMixin(RequestHandler):
    """Base of the mixins. It stands beside a RequestHandler, whose class it extends."""

    def get_auth_http_client(self) -> AsyncHTTPClient:
        """Hook: the client that speaks to providers."""
        return AsyncHTTPClient()

    async def ask_provider(self, url: str, **options: Any) -> HTTPResponse:
        """The answer of a provider, whatever its status.

        Raises:
            AuthError: there is none, or too much of it.
        """
        options = {"request_timeout": REQUEST_TIMEOUT_S, "max_body_bytes": MAX_ANSWER_BYTES, **options}
        # A provider that sends us elsewhere is misconfigured, or somebody else: keys and secrets are not carried along.
        options.setdefault("follow_redirects", False)
        try:
            return await self.get_auth_http_client().fetch(url, raise_error=False, **options)
        except (FrameworkError, ValueError, OSError) as error:
            raise AuthError(f"{url.partition('?')[0]}: {error}") from error

    async def ask_json(self, url: str, **options: Any) -> dict[str, Any]:
        """A provider's answer, which is a JSON object.

        Raises:
            AuthError: it is not, or its status is no success.
        """
        return read_json(await self.ask_provider(url, **options), url)

    # ---- what the browser keeps while its user is at the provider

    def remember_flow(self, name: str, values: Mapping[str, Any]) -> None:
        """Bind values to this browser, in a signed cookie of FLOW_S seconds."""
        self.set_signed_cookie(
            name,
            json.dumps(values),
            expires_days=None,
            max_age=FLOW_S,
            httponly=True,
            samesite="Lax",
            secure=self.request.protocol == "https",
        )

    def recall_flow(self, name: str) -> dict[str, Any] | None:
        """What remember_flow was given in this browser, once; None if it was not, or too long ago."""
        text = self.get_signed_cookie(name, max_age_days=FLOW_S / 86400)
        if self.get_cookie(name) is not None:
            self.clear_cookie(name)
        if not text:
            return None
        try:
            values = json.loads(text)
        except ValueError:
            return None
        return values if isinstance(values, dict) else None

    def provider_url(self, url: str, arguments: Mapping[str, Any]) -> str:
        """The URL with the arguments that are not None."""
        return url_concat(url, {name: str(value) for name, value in arguments.items() if value is not None})


def read_json(response: HTTPResponse, url: str) -> dict[str, Any]:
    """The JSON object in a provider's answer.

    Raises:
        AuthError: it holds none, or its status is no success; the text has the provider's own words for it.
    """
    place = url.partition("?")[0]
    try:
        found = parse_json(response.body or b"", place)
    except AuthError:
        found = None
    if not 200 <= response.code < 300:
        raise AuthError(f"{place}: {response.code} {describe_error(found)}".rstrip())
    if not isinstance(found, dict):
        raise AuthError(f"{place}: expected a JSON object")
    return found


def parse_json(text: str | bytes, place: str) -> Any:
    """The value that somebody else's JSON stands for.

    Raises:
        AuthError: it is none; or it is nested too deep, or holds half a character (a lone surrogate), at which a
            program would break later, where nobody expects it.
    """
    try:
        found = json.loads(text)
        json.dumps(found, ensure_ascii=False).encode()
    except (ValueError, RecursionError) as error:
        raise AuthError(f"{place}: expected JSON") from error
    return found


def describe_error(found: Any) -> str:
    """What a provider says is wrong (RFC 6749 §5.2), cut to a line."""
    if not isinstance(found, dict):
        return ""
    words = [str(found[name]) for name in ("error", "error_description") if found.get(name)]
    return ": ".join(words)[:300]


def form(values: Mapping[str, Any]) -> str:
    """A form's body of the values that are not None."""
    return urlencode({name: str(value) for name, value in values.items() if value is not None})


def make_secret() -> str:
    """256 random bits as URL-safe text."""
    return secrets.token_urlsafe(32)


def started(
    fails_with_none: bool,
) -> Callable[[Callable[..., Coroutine[Any, Any, Any]]], Callable[..., "asyncio.Task[Any]"]]:
    """The coroutine method as one that starts when called, and takes `callback=` (or a callable in first place).

    With `fails_with_none` a failure is None and a line of the log, however the result is taken; without, a callback
    gets None, and an await raises AuthError.
    """

    def decorate(method: Callable[..., Coroutine[Any, Any, Any]]) -> Callable[..., "asyncio.Task[Any]"]:
        @functools.wraps(method)
        def start(self: AuthMixin, *args: Any, callback: Callback | None = None, **kwargs: Any) -> "asyncio.Task[Any]":
            # 2011 has the callback in first or last place.
            for place in (0, -1):
                if callback is None and args and callable(args[place]):
                    callback = args[place]
                    args = args[1:] if place == 0 else args[:-1]
            is_quiet = fails_with_none or callback is not None
            work = _work(self, method(self, *args, **kwargs), callback, is_quiet, method.__name__)
            return asyncio.Task(work, loop=asyncio.get_running_loop(), eager_start=True)

        return start

    return decorate


async def _work(
    handler: RequestHandler, result: Coroutine[Any, Any, Any], callback: Callback | None, is_quiet: bool, name: str
) -> Any:
    try:
        found = await result
    except AuthError as error:
        if not is_quiet:
            raise
        gen_log.warning("%s: %s", name, error)
        found = None
    if callback is not None:
        try:
            callback(found)
        except Exception as error:  # a callback ends here
            if not handle_exception(error):
                app_log.exception("%s: its callback failed", name)
    return found
