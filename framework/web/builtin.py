"""Handlers that come with the framework, and decorators for addresses with and without a closing slash."""

import functools
import re
from collections.abc import Callable
from typing import Any, Concatenate

from framework.web.authentication import local_path
from framework.web.errors import HTTPError
from framework.web.handler import RequestHandler

_drop_blanks = re.compile(r"[\x00-\x20\x7f]+").sub
# "//host", "/\\host" as browsers read it, "scheme:".
_names_host = re.compile(r"[/\\]{2}|[a-z][a-z0-9+.-]*:", re.IGNORECASE).match


class ErrorHandler(RequestHandler):
    """Answers every request with one status."""

    def initialize(self, status_code: int) -> None:
        self._answer = status_code

    def get(self, *args: str | None, **kwargs: str | None) -> None:
        """Raise the error that this handler stands for."""
        raise HTTPError(self._answer)

    post = put = patch = delete = options = get

    def check_xsrf_cookie(self) -> None:
        # An address that does not exist is a 404 to everybody, with a token or without.
        pass

    give_xsrf_cookie = check_xsrf_cookie


class RedirectHandler(RequestHandler):
    """Sends GET and HEAD elsewhere; groups of the route stand for `{0}`, `{1}` or `{name}` in `url`.

    To another site it sends only where `url` itself names it.
    """

    def initialize(self, url: str, permanent: bool = True) -> None:
        self._url = url
        self._is_permanent = permanent

    def get(self, *args: str | None, **kwargs: str | None) -> None:
        """Answer with where to go."""
        target = self._url.format(*args, **kwargs) if args or kwargs else self._url
        if self.request.query and "?" not in target:
            target += "?" + self.request.query
        # A group must not turn a path of ours into somebody else's host, nor what redirect() leaves of a group.
        target = _drop_blanks("", target)
        if _names_host(target) and not _names_host(self._url):
            target = local_path(target)
        self.redirect(target, permanent=self._is_permanent)


class FallbackHandler(RequestHandler):
    """Hands the request to another callable, a WSGIContainer for example, which answers it alone."""

    def initialize(self, fallback: Callable[[Any], Any]) -> None:
        self._fallback = fallback

    def get(self, *args: str | None, **kwargs: str | None) -> Any:
        """Leave the request to the other application."""
        self._finished = True
        return self._fallback(self.request)

    head = post = put = patch = delete = options = get

    def check_xsrf_cookie(self) -> None:
        # The other application's forms know nothing of our token.
        pass

    give_xsrf_cookie = check_xsrf_cookie


def removeslash[H: RequestHandler, **P](method: Callable[Concatenate[H, P], Any]) -> Callable[Concatenate[H, P], Any]:
    """The method for addresses without a closing slash; GET and HEAD with one are sent there (301), the rest is 404."""

    @functools.wraps(method)
    def checked(self: H, /, *args: P.args, **kwargs: P.kwargs) -> Any:
        path = self.request.path
        if not path.endswith("/") or path == "/":
            return method(self, *args, **kwargs)
        return _move(self, path.rstrip("/") or "/")

    return checked


def addslash[H: RequestHandler, **P](method: Callable[Concatenate[H, P], Any]) -> Callable[Concatenate[H, P], Any]:
    """The method for addresses with a closing slash; GET and HEAD without one are sent there (301), the rest is 404."""

    @functools.wraps(method)
    def checked(self: H, /, *args: P.args, **kwargs: P.kwargs) -> Any:
        path = self.request.path
        if path.endswith("/"):
            return method(self, *args, **kwargs)
        return _move(self, path + "/")

    return checked


def _move(handler: RequestHandler, path: str) -> None:
    if handler.request.method not in ("GET", "HEAD"):
        raise HTTPError(404)
    query = handler.request.query
    handler.redirect(local_path(path) + (f"?{query}" if query else ""), permanent=True)
