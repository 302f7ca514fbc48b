"""Who is asking: the current user, and what happens to those who are nobody."""

import functools
import re
from collections.abc import Callable
from typing import Any, Concatenate
from urllib.parse import urlencode, urlsplit

from framework.web.errors import HTTPError
from framework.web.xsrf import Xsrf

_UNKNOWN = object()


def local_path(path: str) -> str:
    """The path with one slash in front: `//evil` and `/\\evil` name another host to a browser (CVE-2023-28370)."""
    return "/" + re.sub(r"[\x00-\x20\x7f]", "", path).lstrip("/\\")


class Users(Xsrf):
    """The current user of a request."""

    _current_user: Any = _UNKNOWN

    @property
    def current_user(self) -> Any:
        """What get_current_user gives, asked once a request; an asynchronous prepare() may set it instead."""
        if self._current_user is _UNKNOWN:
            self._current_user = self.get_current_user()
        return self._current_user

    @current_user.setter
    def current_user(self, user: Any) -> None:
        self._current_user = user

    def get_current_user(self) -> Any:
        """Hook: the user of this request, from a signed cookie for example; None for nobody."""
        return None

    def get_login_url(self) -> str:
        """Hook: where @authenticated sends those it does not know; the setting `login_url`."""
        url: str = self.application.require_setting("login_url", "@authenticated")
        return url

    def get_next_url(self, default: str = "/") -> str:
        """The argument `next` if it names a page of this site, else the default: where to go after signing in."""
        given = self.get_argument("next", "")
        try:
            parts = urlsplit(given.replace("\\", "/"))
        except ValueError:
            return default
        is_ours = not parts.netloc or (parts.scheme == self.request.protocol and parts.netloc == self.request.host)
        if not given or not is_ours or (parts.scheme and not parts.netloc) or not parts.path.startswith("/"):
            return default
        return local_path(parts.path) + (f"?{parts.query}" if parts.query else "")


def authenticated[H: Users, **P](method: Callable[Concatenate[H, P], Any]) -> Callable[Concatenate[H, P], Any]:
    """The method for users who are known. Others: GET and HEAD are sent to sign in, the rest gets 403."""

    @functools.wraps(method)
    def checked(self: H, /, *args: P.args, **kwargs: P.kwargs) -> Any:
        if self.current_user:
            return method(self, *args, **kwargs)
        if self.request.method not in ("GET", "HEAD"):
            raise HTTPError(403)
        url = self.get_login_url()
        if "?" not in url:
            request = self.request
            here = local_path(request.path) + (f"?{request.query}" if request.query else "")
            if urlsplit(url).scheme:
                # The login page is elsewhere: it must know where to send the user back to.
                here = f"{request.protocol}://{request.host}{here}"
            url += "?" + urlencode({"next": here})
        self.redirect(url)
        return None

    return checked
