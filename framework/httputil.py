"""What HTTP is made of, as values: header maps, start lines, hosts, parameters, dates. No I/O, no state.

Header values are text decoded as ISO 8859-1, so every byte survives a round trip (RFC 9110 §5.5).
"""

import calendar
import datetime
import email.utils
import http.client
import importlib
import re
import time
from collections.abc import Iterable, Iterator, Mapping, MutableMapping
from typing import Any, NamedTuple
from urllib.parse import parse_qsl, unquote_to_bytes, urlencode, urlparse, urlunparse

from framework.errors import FrameworkError, ProtocolError

responses: dict[int, str] = {**http.client.responses, 418: "I'm a teapot"}


class HTTPInputError(ProtocolError):
    """A peer sent something malformed; answered with `status`, 400 unless said otherwise."""


class HTTPOutputError(FrameworkError):
    """The application tried to send something that is not HTTP."""


def decode_text(text: bytes) -> str:
    """Text of bytes that should be UTF-8 but come from strangers: ISO 8859-1 where they are not."""
    try:
        return text.decode("utf-8")
    except UnicodeDecodeError:
        return text.decode("latin-1")


# Names that today's code looks for here; they live further down in the reading order.
_ELSEWHERE = {
    "HTTPServerRequest": ("framework.request", "HTTPRequest"),
    "parse_cookie": ("framework.cookies", "parse_cookies"),
    "parse_body_arguments": ("framework.forms", "parse_body"),
    "parse_multipart_form_data": ("framework.forms", "parse_multipart"),
}


def __getattr__(name: str) -> Any:
    if name not in _ELSEWHERE:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    module, found = _ELSEWHERE[name]
    return getattr(importlib.import_module(module), found)


_TOKEN = re.compile(r"[!#$%&'*+\-.^_`|~0-9A-Za-z]+")
# Whatever could end the line or the message: the door to response splitting.
_FORBIDDEN_IN_VALUE = re.compile(r"[\x00-\x08\x0a-\x1f\x7f]")

_normalized: dict[str, str] = {}


def normalize_name(name: str) -> str:
    """A header name in Http-Header-Case."""
    found = _normalized.get(name)
    if found is None:
        found = "-".join(word.capitalize() for word in name.split("-"))
        if len(_normalized) < 1000 and len(name) <= 64:  # names come from strangers: the memory has an end
            _normalized[name] = found
    return found


class HTTPHeaders(MutableMapping[str, str]):
    """A header map: names without regard to case, several values per name.

    `headers[name]` joins repeated values with a comma; `get_list` keeps them apart (as Set-Cookie needs).
    """

    __slots__ = ("_values",)

    def __init__(self, *args: Mapping[str, str] | Iterable[tuple[str, str]], **kwargs: str) -> None:
        # Lists are joined when read, not when added to: joining each repeated line is quadratic (CVE-2025-67725).
        self._values: dict[str, list[str]] = {}
        for source in args:
            if isinstance(source, HTTPHeaders):
                for name, values in source._values.items():
                    self._values[name] = list(values)
            else:
                self.update(source)
        self.update(kwargs)

    @classmethod
    def parse(cls, text: str) -> "HTTPHeaders":
        """The headers of a block of lines, each ended by CRLF or LF; folded lines are joined (RFC 9112 §5.2).

        Raises:
            HTTPInputError: 400, if a line has no colon, a name is not a token or a value has a control character.
        """
        headers = cls()
        last = ""
        for line in text.split("\n"):
            line = line.removesuffix("\r")
            if line:
                last = headers._parse_line(line, last)
        return headers

    @classmethod
    def from_valid_block(cls, block: bytes) -> "HTTPHeaders":
        """The headers of CRLF-ended lines that a strict parser has accepted already: not checked again."""
        headers = cls()
        values = headers._values
        for line in block.decode("latin-1").split("\r\n"):
            name, colon, value = line.partition(":")
            if colon:
                name = _normalized.get(name) or normalize_name(name)
                value = value.strip(" \t")
                if name in values:
                    values[name].append(value)
                else:
                    values[name] = [value]
        return headers

    def parse_line(self, line: str) -> None:
        """Add one `Name: value` line.

        Raises:
            HTTPInputError: 400, as for `parse`.
        """
        self._parse_line(line.removesuffix("\n").removesuffix("\r"), "")

    def _parse_line(self, line: str, last: str) -> str:
        if line.startswith((" ", "\t")):
            if not last:
                raise HTTPInputError("header: expected a name, got a continuation line")
            _check_value(line, last)
            # str.strip() would also take U+0085 and U+00A0, which are not whitespace in HTTP.
            self._values[last][-1] += " " + line.strip(" \t")
            return last
        name, colon, value = line.partition(":")
        if not colon:
            raise HTTPInputError("header: expected a colon")
        if not _TOKEN.fullmatch(name):
            raise HTTPInputError("header: expected a token as name")
        _check_value(value, name)
        self.add(name, value.strip(" \t"))
        return normalize_name(name)

    def add(self, name: str, value: str) -> None:
        """Add a value to those of `name`.

        Raises:
            HTTPInputError: 400, if the name is not a token or the value has a control character.
        """
        if not _TOKEN.fullmatch(name):
            raise HTTPInputError("header: expected a token as name")
        _check_value(value, name)
        self._values.setdefault(normalize_name(name), []).append(value)

    def get_list(self, name: str) -> list[str]:
        """All values of `name` in their order; empty if there are none."""
        return list(self._values.get(normalize_name(name), ()))

    def get_all(self) -> Iterator[tuple[str, str]]:
        """All (name, value) pairs, repeated names repeatedly."""
        for name, values in self._values.items():
            for value in values:
                yield name, value

    def copy(self) -> "HTTPHeaders":
        """An independent copy."""
        return HTTPHeaders(self)

    __copy__ = copy

    def __getitem__(self, name: str) -> str:
        values = self._values[normalize_name(name)]
        return values[0] if len(values) == 1 else ",".join(values)

    def __setitem__(self, name: str, value: str) -> None:
        if not _TOKEN.fullmatch(name):
            raise HTTPInputError("header: expected a token as name")
        _check_value(value, name)
        self._values[normalize_name(name)] = [value]

    def __delitem__(self, name: str) -> None:
        del self._values[normalize_name(name)]

    def __contains__(self, name: object) -> bool:
        return isinstance(name, str) and normalize_name(name) in self._values

    def __len__(self) -> int:
        return len(self._values)

    def __iter__(self) -> Iterator[str]:
        return iter(self._values)

    def __str__(self) -> str:
        return "".join(f"{name}: {value}\n" for name, value in self.get_all())

    def __repr__(self) -> str:
        return f"HTTPHeaders({dict(self.items())!r})"


def _check_value(value: str, name: str) -> None:
    if _FORBIDDEN_IN_VALUE.search(value):
        raise HTTPInputError(f"header {name}: expected no control character in the value")


class HTTPFile(dict[str, Any]):
    """An uploaded file: `filename`, `content_type` and `body`, as keys and as attributes."""

    def __getattr__(self, name: str) -> Any:
        try:
            return self[name]
        except KeyError:
            raise AttributeError(name) from None


class RequestStartLine(NamedTuple):
    """The first line of a request (RFC 9112 §3)."""

    method: str
    path: str
    version: str


class ResponseStartLine(NamedTuple):
    """The first line of a response (RFC 9112 §4)."""

    version: str
    code: int
    reason: str


_REQUEST_LINE = re.compile(r"([!#$%&'*+\-.^_`|~0-9A-Za-z]+) ([^\x00-\x20\x7f]+) (HTTP/1\.[0-9])")
# reason-phrase = 1*( HTAB / SP / VCHAR / obs-text ), and it may be missing with its space
_STATUS_LINE = re.compile(r"(HTTP/1\.[0-9]) ([1-9][0-9]{2})(?: ([^\x00-\x08\x0a-\x1f\x7f]*))?")


def parse_request_start_line(line: str) -> RequestStartLine:
    """The parts of a request line.

    Raises:
        HTTPInputError: 400, if it is not one.
    """
    match = _REQUEST_LINE.fullmatch(line)
    if match is None:
        raise HTTPInputError("request line: expected METHOD target HTTP/1.x")
    return RequestStartLine(*match.groups())


def parse_response_start_line(line: str) -> ResponseStartLine:
    """The parts of a status line.

    Raises:
        HTTPInputError: 400, if it is not one.
    """
    match = _STATUS_LINE.fullmatch(line)
    if match is None:
        raise HTTPInputError("status line: expected HTTP/1.x code reason")
    return ResponseStartLine(match[1], int(match[2]), match[3] or "")


def url_concat(url: str, args: Mapping[str, str] | Iterable[tuple[str, str]] | None) -> str:
    """`url` with `args` added to its query; repeated names are kept."""
    if args is None:
        return url
    pairs = list(args.items()) if isinstance(args, Mapping) else list(args)
    parsed = urlparse(url)
    query = parse_qsl(parsed.query, keep_blank_values=True)
    return urlunparse(parsed._replace(query=urlencode(query + pairs)))


def qs_to_qsl(qs: Mapping[str, Iterable[Any]]) -> Iterator[tuple[str, Any]]:
    """(name, value) pairs of a map from names to lists of values."""
    for name, values in qs.items():
        for value in values:
            yield name, value


def format_timestamp(ts: float | tuple[int, ...] | time.struct_time | datetime.datetime) -> str:
    """The HTTP-date of a Unix time, a UTC time tuple, or a datetime (naive: UTC)."""
    if isinstance(ts, datetime.datetime):
        seconds: float = calendar.timegm(ts.utctimetuple())
    elif isinstance(ts, tuple):
        seconds = calendar.timegm(ts)
    else:
        seconds = ts
    return email.utils.formatdate(seconds, usegmt=True)


def parse_timestamp(text: str) -> datetime.datetime | None:
    """The instant that an HTTP-date in any of its three forms names, in UTC; None if it is none."""
    try:
        parsed = email.utils.parsedate_to_datetime(text)
    except (ValueError, TypeError, IndexError, OverflowError):
        return None
    return parsed.replace(tzinfo=datetime.UTC) if parsed.tzinfo is None else parsed.astimezone(datetime.UTC)


_HOST_AND_PORT = re.compile(r"(.+):([0-9]{1,5})")


def split_host_and_port(netloc: str) -> tuple[str, int | None]:
    """Host and port of `host:port`, `[v6]:port` or either without a port; a bracketed host keeps its brackets."""
    match = _HOST_AND_PORT.fullmatch(netloc)
    if match is None or (":" in match[1] and not match[1].endswith("]")):
        return netloc, None
    return match[1], int(match[2])


def encode_username_password(username: str | bytes, password: str | bytes) -> bytes:
    """The `user:password` bytes that HTTP Basic encodes, names as UTF-8."""
    parts = (part.encode("utf-8") if isinstance(part, str) else part for part in (username, password))
    return b":".join(parts)


# One parameter: name, and a token, a quoted string, or (as browsers do) anything up to the next semicolon.
_PARAMETER = re.compile(
    r"""[ \t]*;[ \t]*(?:([!#$%&'*+\-.^_`|~0-9A-Za-z]++)[ \t]*=[ \t]*(?:"((?:[^"\\]|\\.)*+)"[^;]*+|([^;]*+))|[^;]*+)""",
    re.DOTALL,
)


def parse_header_parameters(value: str) -> tuple[str, dict[str, str]]:
    """The leading value of a header like Content-Disposition, and its parameters with lower-case names.

    RFC 2231's `name*=charset''percent` is decoded and beats the plain `name`. Linear in the length: each match starts
    where the last one ended (CVE-2025-67726 was the same job done with `find` from the start).
    """
    first, semicolon, rest = value.partition(";")
    parameters: dict[str, str] = {}
    extended: dict[str, str] = {}
    for match in _PARAMETER.finditer(semicolon + rest):
        name, quoted, plain = match.groups()
        if name is None:
            continue
        name = name.lower()
        if name.endswith("*"):
            extended.setdefault(name[:-1], _decode_rfc2231(quoted or plain or ""))
        elif quoted is not None:
            parameters.setdefault(name, re.sub(r"\\([\\\"])", r"\1", quoted))
        else:
            parameters.setdefault(name, plain.strip(" \t"))
    return first.strip(" \t"), parameters | extended


def _decode_rfc2231(value: str) -> str:
    charset, language, encoded = email.utils.decode_rfc2231(value)
    if charset is None or language is None:
        return encoded
    try:
        return unquote_to_bytes(encoded).decode(charset or "utf-8", "replace")
    except LookupError:
        return unquote_to_bytes(encoded).decode("utf-8", "replace")
