"""Where a redirect leads, decided without I/O. Credentials belong to an origin and never leave it (CVE-2026-49853)."""

import copy
from urllib.parse import urljoin, urlsplit

from framework.httpclient.errors import RedirectError
from framework.httpclient.request import HTTPRequest, is_unsafe, normalize_url
from framework.httputil import HTTPHeaders

REDIRECTS = frozenset((301, 302, 303, 307, 308))
_CREDENTIALS = ("Authorization", "Cookie", "Cookie2", "Proxy-Authorization")
_BODY_HEADERS = ("Content-Length", "Content-Type", "Content-Encoding", "Content-Language", "Transfer-Encoding")


def origin_of(url: str) -> tuple[str, str, int]:
    """Scheme, host and port of a URL."""
    parts = urlsplit(url)
    return parts.scheme, (parts.hostname or "").lower(), parts.port or (443 if parts.scheme == "https" else 80)


def follow_redirect(request: HTTPRequest, url: str, code: int, location: str) -> HTTPRequest:
    """The request to send next, after `url` answered with this code and Location.

    Raises:
        RedirectError: the location is no http(s) URL, or the body can't be sent a second time.
    """
    try:
        if is_unsafe(location):
            raise ValueError("expected no control characters")
        target, _, _ = normalize_url(urljoin(url, location.replace(" ", "%20")))
        is_elsewhere = origin_of(target) != origin_of(url)
    except ValueError as error:
        raise RedirectError(f"redirect to {location!r}: {error}") from error
    following = copy.copy(request)
    # User and password of a Location are the redirecting server's idea: dropped.
    following.url = target
    headers = HTTPHeaders(request.headers or {})
    if code == 303 or (code in (301, 302) and request.method == "POST"):
        # RFC 9110 §15.4: what every browser does.
        following.method = "HEAD" if request.method == "HEAD" else "GET"
        following.body = following.body_producer = None
        _drop(headers, _BODY_HEADERS)
    elif request.body_producer is not None:
        raise RedirectError(f"{code} to {target}: the body was produced while it was sent and can't be sent again")
    _drop(headers, ("Host",))
    if is_elsewhere:
        _drop(headers, _CREDENTIALS)
        following.auth_username = following.auth_password = following.auth_mode = None
        following.client_cert = following.client_key = None
        if request.ssl_options:
            kept = {name: value for name, value in request.ssl_options.items() if name not in ("certfile", "keyfile")}
            following.ssl_options = kept
    following.headers = headers
    return following


def _drop(headers: HTTPHeaders, names: tuple[str, ...]) -> None:
    for name in names:
        if name in headers:
            del headers[name]
