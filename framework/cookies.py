"""Cookie and Set-Cookie, to and from text (RFC 6265).

Reading is what browsers do: split at semicolons, cut at the first "=", never fail. One odd cookie does not cost its
neighbours (the standard library's parser drops the whole header, which hid the XSRF cookie from the check upstream in
2016), and the work is linear (its unquoting was quadratic: CVE-2024-7592).

Writing is strict: every attribute is checked, since a ";" or a line break in any of them writes another cookie or
header (CVE-2026-35536 and GHSA-wwv5-g3v4-889x upstream: in domain, path, samesite, and whatever came as a keyword).
"""

import re
from collections.abc import Mapping
from datetime import datetime

from framework.httputil import format_timestamp

# RFC 6265 §4.1.1 cookie-octet: ASCII but for controls, blank, quote, comma, semicolon, backslash.
_is_plain_value = re.compile(r"[!#-+\--:<-\[\]-~]*").fullmatch
# RFC 9110 §5.6.2 token.
is_cookie_name = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+").fullmatch
_is_domain = re.compile(r"\.?[A-Za-z0-9_](?:[A-Za-z0-9_.-]*[A-Za-z0-9_])?\.?").fullmatch
# RFC 6265 §4.1.1 av-octets without what would need quoting somewhere on the way.
_is_attribute_text = re.compile(r"[\x20-:<-~]*").fullmatch
_find_escape = re.compile(r"(?:\\[0-3][0-7][0-7])+|\\(.)", re.DOTALL)
_find_unplain = re.compile(r"[^ !#-+\--:<-\[\]-~]")

_SAME_SITE = {"lax": "Lax", "strict": "Strict", "none": "None"}
_FLAGS = {"secure": "Secure", "httponly": "HttpOnly", "partitioned": "Partitioned"}
_TEXTS = {"comment": "Comment", "priority": "Priority", "version": "Version"}


class Cookie(str):
    """A received cookie's value. `key` and `value` are there for code that expects the standard library's Morsel."""

    __slots__ = ("key",)
    key: str

    @property
    def value(self) -> str:
        """The value; a cookie is its own value, and 2011 asked for it by this name."""
        return str(self)


def parse_cookies(header: str) -> dict[str, Cookie]:
    """All cookies of a Cookie header; of several with one name the last. Never raises."""
    found: dict[str, Cookie] = {}
    for chunk in header.split(";"):
        name, equals, value = chunk.partition("=")
        if not equals:
            # What browsers do with a nameless cookie.
            name, value = "", name
        name, value = name.strip(" \t"), value.strip(" \t")
        if name or value:
            cookie = Cookie(_unquote(value))
            cookie.key = name
            found[name] = cookie
    return found


def format_set_cookie(name: str, value: str | bytes, attributes: Mapping[str, object]) -> str:
    """The value of a Set-Cookie header.

    `attributes` are named as in RFC 6265bis, in any case, with "_" for "-": domain, path, expires (datetime, Unix time
    or time tuple), max_age (seconds), secure, httponly, samesite ("lax", "strict", "none"), partitioned, and comment,
    priority and version. None and False leave one out.

    Raises:
        ValueError: name, value or an attribute holds what would break out of its place, or an attribute is unknown.
    """
    text = value.decode() if isinstance(value, bytes) else value
    if not is_cookie_name(name):
        raise ValueError(f"cookie: {name!r} is no token and so can't be a name")
    if any(char < " " or char == "\x7f" for char in text):
        raise ValueError(f"cookie {name}: the value {text!r} holds control characters")
    parts = [f"{name}={text if _is_plain_value(text) else _quote(text)}"]
    known: dict[str, object] = {}
    for key, given in attributes.items():
        if given is None or given is False:
            continue
        key = key.lower().replace("_", "-")
        known[key] = given
        parts.append(_format_attribute(name, key, given))
    _check_prefix(name, known)
    return "; ".join(parts)


def _format_attribute(name: str, key: str, given: object) -> str:
    """One attribute as it stands in the header, checked."""
    if key in _FLAGS:
        # A string here would be written as is by the standard library; a flag is a flag.
        return _FLAGS[key]
    if key == "expires":
        if isinstance(given, str):
            return f"Expires={_checked(name, key, given)}"
        if isinstance(given, datetime | int | float | tuple):
            return f"Expires={format_timestamp(given)}"
        raise ValueError(f"cookie {name}: expires must be a time, not {given!r}")
    if key == "max-age":
        return f"Max-Age={int(str(given))}"
    text = str(given)
    if key == "samesite":
        if text.lower() not in _SAME_SITE:
            raise ValueError(f"cookie {name}: samesite must be lax, strict or none, not {text!r}")
        return f"SameSite={_SAME_SITE[text.lower()]}"
    if key == "domain":
        if not _is_domain(text):
            raise ValueError(f"cookie {name}: {text!r} is no domain")
        return f"Domain={text}"
    if key == "path":
        return f"Path={_checked(name, key, text)}"
    if key in _TEXTS:
        return f"{_TEXTS[key]}={_checked(name, key, text)}"
    raise ValueError(f"cookie {name}: there is no attribute {key!r}")


def _checked(name: str, key: str, text: str) -> str:
    if not _is_attribute_text(text):
        raise ValueError(f"cookie {name}: {key} {text!r} holds characters that end the attribute")
    return text


def _check_prefix(name: str, attributes: Mapping[str, object]) -> None:
    """RFC 6265bis §4.1.3: a browser drops such a cookie without a word, so say it here."""
    lower = name.lower()
    if lower.startswith(("__secure-", "__host-")) and "secure" not in attributes:
        raise ValueError(f"cookie {name}: the prefix demands secure=True")
    if lower.startswith("__host-") and ("domain" in attributes or attributes.get("path") != "/"):
        raise ValueError(f'cookie {name}: the prefix demands path="/" and no domain')


def _quote(text: str) -> str:
    """The value in quotes, everything that is no cookie-octet as octal escapes of its UTF-8 bytes."""
    return '"' + _find_unplain.sub(lambda found: "".join(f"\\{byte:03o}" for byte in found[0].encode()), text) + '"'


def _unquote(value: str) -> str:
    """A quoted value without its quotes and escapes; any other value unchanged."""
    if len(value) < 2 or value[0] != '"' or value[-1] != '"':
        return value
    value = value[1:-1]
    return _find_escape.sub(_unescape, value) if "\\" in value else value


def _unescape(found: re.Match[str]) -> str:
    if found[1] is not None:
        return found[1]
    raw = bytes(int(digits, 8) for digits in found[0].split("\\")[1:])
    try:
        return raw.decode()
    except UnicodeDecodeError:
        # The standard library escapes Latin-1.
        return raw.decode("latin-1")
