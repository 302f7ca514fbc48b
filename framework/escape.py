"""Text made safe for the place it goes to: HTML, a URL, JSON inside a page; and text from bytes and back.

Nothing here guesses whether text is safe already: `Safe` says so, and everything else is escaped.
"""

import html
import json
import re
from collections.abc import Callable, Iterable
from json.encoder import encode_basestring_ascii
from typing import Any, overload
from urllib.parse import parse_qsl, quote, quote_plus, unquote_plus, unquote_to_bytes

_WHITESPACE = re.compile(r"[\x00-\x20]+")


class Safe(str):
    """HTML to print as it is. Templates and `xhtml_escape` leave it alone; joined to other text it is plain text."""

    __slots__ = ()

    def __html__(self) -> str:
        return str(self)


def xhtml_escape(value: str | bytes) -> str:
    """`value` with & < > " and ' as character references, safe between tags and inside quoted attributes.

    What has a `__html__` method (`Safe`, and the markup types of other libraries) is taken at its word.

    Raises:
        TypeError: for what is neither text nor bytes nor markup.
    """
    return escape_value(value if hasattr(value, "__html__") else to_unicode(value))


def escape_value(value: Any) -> str:
    """Any value as it is printed in HTML: what templates do to an expression."""
    kind = type(value)
    if kind is not str:
        if kind is int or kind is float:
            return str(value)
        as_html: Callable[[], str] | None = getattr(value, "__html__", None)
        if as_html is not None:
            return as_html()
        value = value.decode() if isinstance(value, bytes) else str(value)
    # Most text needs nothing, and `in` says so at the speed of memchr; translate() takes ten times as long as this.
    if "&" in value:
        value = value.replace("&", "&amp;")
    if "<" in value:
        value = value.replace("<", "&lt;")
    if ">" in value:
        value = value.replace(">", "&gt;")
    if '"' in value:
        value = value.replace('"', "&quot;")
    if "'" in value:
        value = value.replace("'", "&#39;")
    text: str = value
    return text


def mark_safe(value: str | bytes) -> Safe:
    """`value`, which the caller vouches for, as text that templates print as it is."""
    return Safe(to_unicode(value))


def xhtml_unescape(value: str | bytes) -> str:
    """`value` with its character references as characters."""
    return html.unescape(to_unicode(value))


def _make_encoder() -> Callable[[Any], str]:
    """json.dumps without what it does anew for each value: to make an encoder is most of the cost of a small one."""
    c_make_encoder: Any = getattr(json.encoder, "c_make_encoder", None)
    if c_make_encoder is None:  # a Python without it
        return json.dumps
    default = json.JSONEncoder().default
    # No markers: a circle ends in a RecursionError, and then json.dumps says what is wrong.
    encode = c_make_encoder(None, default, encode_basestring_ascii, None, ": ", ", ", False, False, True)

    def to_json(value: Any) -> str:
        try:
            return "".join(encode(value, 0))
        except RecursionError:
            return json.dumps(value)

    return to_json


_to_json = _make_encoder()


def json_encode(value: Any) -> str:
    """`value` as JSON that may stand inside <script>: `</` would end it, `<!--` begins a state of its own there.

    U+2028 and U+2029, line ends to old JavaScript, come out escaped, as all that is not ASCII.
    """
    text = _to_json(value)
    if "<" not in text:
        return text
    return text.replace("</", "<\\/").replace("<!--", "<\\u0021--")


def json_decode(value: str | bytes) -> Any:
    """The value that JSON text stands for.

    Raises:
        ValueError: if it is not JSON.
    """
    return json.loads(to_unicode(value))


def squeeze(value: str) -> str:
    """`value` with each run of whitespace and control characters as one space, and none at the ends."""
    return _WHITESPACE.sub(" ", value).strip()


def url_escape(value: str | bytes, plus: bool = True) -> str:
    """`value` percent-encoded as UTF-8 for a query (`plus`: a space is "+") or for a path."""
    return (quote_plus if plus else quote)(utf8(value))


@overload
def url_unescape(value: str | bytes, encoding: str = "utf-8", plus: bool = True) -> str: ...
@overload
def url_unescape(value: str | bytes, encoding: None, plus: bool = True) -> bytes: ...
def url_unescape(value: str | bytes, encoding: str | None = "utf-8", plus: bool = True) -> str | bytes:
    """`value` without its percent-encoding, as text in `encoding`, or as bytes if that is None.

    Raises:
        UnicodeDecodeError: if the bytes are not text in that encoding.
    """
    if encoding is None:
        text = to_unicode(value)
        return unquote_to_bytes(text.replace("+", " ") if plus else text)
    text = to_unicode(value)
    if plus:
        return unquote_plus(text, encoding=encoding, errors="strict")
    return unquote_to_bytes(text).decode(encoding)


def parse_qs_bytes(
    qs: str | bytes, keep_blank_values: bool = False, strict_parsing: bool = False
) -> dict[str, list[bytes]]:
    """The fields of a query, names as text, values as bytes.

    Raises:
        ValueError: with `strict_parsing`, if a field has no "=".
    """
    text = qs.decode("latin-1") if isinstance(qs, bytes) else qs
    fields: dict[str, list[bytes]] = {}
    for name, value in parse_qsl(text, keep_blank_values, strict_parsing, encoding="latin-1", errors="strict"):
        fields.setdefault(name, []).append(value.encode("latin-1"))
    return fields


@overload
def utf8(value: str | bytes) -> bytes: ...
@overload
def utf8(value: None) -> None: ...
def utf8(value: str | bytes | None) -> bytes | None:
    """`value` as UTF-8 bytes; bytes and None as they are.

    Raises:
        TypeError: for anything else.
    """
    if isinstance(value, str):
        return value.encode()
    if value is None or isinstance(value, bytes):
        return value
    raise TypeError(f"expected bytes, str or None, got {type(value).__name__}")


@overload
def to_unicode(value: str | bytes) -> str: ...
@overload
def to_unicode(value: None) -> None: ...
def to_unicode(value: str | bytes | None) -> str | None:
    """`value` as text, bytes being UTF-8; None as it is.

    Raises:
        TypeError: for anything else.
        UnicodeDecodeError: if the bytes are not UTF-8.
    """
    if isinstance(value, bytes):
        return value.decode()
    if value is None or isinstance(value, str):
        return value
    raise TypeError(f"expected bytes, str or None, got {type(value).__name__}")


# The names that the seed and its time used for the same thing.
_unicode = native_str = to_basestring = to_unicode


def recursive_unicode(value: Any) -> Any:
    """`value` with all bytes in it, through lists, tuples and dicts, as text."""
    if isinstance(value, dict):
        return {recursive_unicode(key): recursive_unicode(item) for key, item in value.items()}
    if isinstance(value, list):
        return [recursive_unicode(item) for item in value]
    if isinstance(value, tuple):
        return tuple(recursive_unicode(item) for item in value)
    return value.decode() if isinstance(value, bytes) else value


# What ends a URL; the full-width marks, since no space follows them.
_ENDS = r"\s()<>{}\[\]\"'`、。，！？；：）」』】》"
# A scheme, or "www."; then whatever is not a space, a bracket or a quote, but for parentheses that are closed again, as
# in the addresses of encyclopedias. Possessive, so linear; applied to plain text, so that a character reference can't
# be cut in two.
_LINK = re.compile(
    r"(?ai:\b(?:([a-z][a-z0-9+.-]{1,14}+):/{1,3}|www[.]))(?=[\w\[])"
    rf"(?:[^{_ENDS}]++|\([^{_ENDS}]*+\)|(?<=/)\[[0-9a-fA-F:.]+\])++"
)
_TRAILING = ".,:;!?*"
_MAX_SHOWN_CHARS = 30


def linkify(
    text: str | bytes,
    shorten: bool = False,
    extra_params: str | Callable[[str], str] = "",
    require_protocol: bool = False,
    permitted_protocols: Iterable[str] = ("http", "https"),
) -> Safe:
    """Plain text as HTML with its URLs as links; everything of the text itself is escaped.

    `shorten` cuts what is shown of long URLs; `extra_params` (text, or a function of the URL) goes into the tag as it
    is; only URLs of the `permitted_protocols` become links, and without `require_protocol` those that begin with
    "www." too.
    """
    permitted = frozenset(protocol.lower() for protocol in permitted_protocols)
    text = to_unicode(text)
    pieces = []
    position = 0
    for match in _LINK.finditer(text):
        scheme = match[1]
        if scheme.lower() not in permitted if scheme else require_protocol:
            continue
        url = match[0].rstrip(_TRAILING)
        pieces.append(xhtml_escape(text[position : match.start()]))
        pieces.append(_format_link(url, bool(scheme), shorten, extra_params))
        position = match.start() + len(url)
    pieces.append(xhtml_escape(text[position:]))
    return Safe("".join(pieces))


def _format_link(url: str, has_scheme: bool, shorten: bool, extra_params: str | Callable[[str], str]) -> str:
    href = url if has_scheme else "http://" + url
    extra = (extra_params(href) if callable(extra_params) else extra_params).strip()
    attributes = f'href="{xhtml_escape(href)}"' + (f" {extra}" if extra else "")
    shown = url
    if shorten and len(url) > _MAX_SHOWN_CHARS:
        shown = _shorten(url)
        attributes += f' title="{xhtml_escape(href)}"'
    return f"<a {attributes}>{xhtml_escape(shown)}</a>"


def _shorten(url: str) -> str:
    """The host and the beginning of the path, at most _MAX_SHOWN_CHARS characters and an ellipsis."""
    start = url.find("//") + 2 if "//" in url else 0
    host, slash, path = url[start:].partition("/")
    shown = url[:start] + host + slash + path.split("?", 1)[0].split("#", 1)[0][:8]
    shown = shown[: _MAX_SHOWN_CHARS + len(url[:start])]
    return shown + "..." if len(shown) + 3 < len(url) else url
