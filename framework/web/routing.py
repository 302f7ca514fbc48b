"""Which handler answers a path, and the path of a handler.

A table is searched by the literal text its patterns begin with, so that a request meets only the few patterns that can
match it: a thousand routes cost what one costs. The first in the order of the table wins, as if all were tried.

What lost: one alternation of all patterns (linear again, in C), and a tree of path segments (routes are regular
expressions over whole paths, not lists of segments).
"""

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from importlib import import_module
from typing import Any, NamedTuple
from urllib.parse import quote, unquote_to_bytes

from framework.errors import FrameworkError
from framework.request import HTTPRequest

type Target = type | str | Callable[..., Any] | Sequence["RouteSpec"]
type RouteSpec = "Rule | tuple[Any, ...]"

_SPECIAL = frozenset(".^$*+?{}[]\\|()")
_QUANTIFIERS = frozenset("*+?{")


class Match(NamedTuple):
    """A route that fits: its target, the target's settings, and the groups of the path (still URL-encoded)."""

    target: Any
    kwargs: Mapping[str, Any]
    args: tuple[str | None, ...] = ()
    path_kwargs: Mapping[str, str | None] = {}


class ReverseError(FrameworkError, KeyError):
    """No route has this name, or its pattern can't be turned into a path."""

    def __str__(self) -> str:
        return str(self.args[0])


class Matcher:
    """Decides whether a request is meant; subclass it for tests other than path and host."""

    def match(self, request: HTTPRequest) -> tuple[tuple[str | None, ...], dict[str, str | None]] | None:
        """Positional and named groups if the request fits, else None."""
        return (), {}


class AnyMatches(Matcher):
    """Fits every request."""


class HostMatches(Matcher):
    """Fits requests whose host name, without the port, is matched wholly by the pattern."""

    def __init__(self, host_pattern: str | re.Pattern[str]) -> None:
        self.host_pattern = re.compile(host_pattern)

    def match(self, request: HTTPRequest) -> tuple[tuple[str | None, ...], dict[str, str | None]] | None:
        return ((), {}) if self.host_pattern.fullmatch(host_name(request)) else None


class PathMatches(Matcher):
    """Fits requests whose path is matched wholly by the pattern; a closing `$` is understood.

    Raises:
        ValueError: the pattern is no regular expression (TypeError: it is not even text).
    """

    def __init__(self, path_pattern: str | re.Pattern[str]) -> None:
        try:
            self.regex = re.compile(path_pattern)
        except re.error as error:
            raise ValueError(f"route {path_pattern!r}: {error}") from error
        except TypeError:
            raise TypeError(f"route: expected a pattern, got {path_pattern!r}") from None
        self.literal = literal_start(self.regex.pattern)

    def match(self, request: HTTPRequest) -> tuple[tuple[str | None, ...], dict[str, str | None]] | None:
        return self.match_path(request.path)

    def match_path(self, path: str) -> tuple[tuple[str | None, ...], dict[str, str | None]] | None:
        """The groups that the pattern finds in the path; None if it does not match."""
        # Named groups go as keywords, and then the others are left out, as in the seed.
        found = self.regex.fullmatch(path)
        if found is None:
            return None
        named = found.groupdict()
        return ((), named) if named else (found.groups(), {})

    def reverse(self, *args: object, **kwargs: object) -> str:
        """The path that has these values in its groups, URL-encoded.

        Raises:
            ReverseError: the pattern is more than literals and simple groups, or the number of values is not theirs.
        """
        return reverse_pattern(self.regex.pattern, args, kwargs)


class Rule:
    """One row of a table: a matcher, a target, the target's settings, a name for `reverse_url`."""

    def __init__(
        self, matcher: Matcher, target: Target, target_kwargs: Mapping[str, Any] | None = None, name: str | None = None
    ) -> None:
        self.matcher = matcher
        self.target = target
        self.kwargs: Mapping[str, Any] = target_kwargs or {}
        self.name = name

    def __repr__(self) -> str:
        pattern = self.matcher.regex.pattern if isinstance(self.matcher, PathMatches) else self.matcher
        return f"{type(self).__name__}({pattern!r}, {self.target!r}, kwargs={self.kwargs!r}, name={self.name!r})"


class URLSpec(Rule):
    """A rule for a path: `url(r"/story/([0-9]+)", StoryHandler, {"database": db}, name="story")`."""

    matcher: PathMatches

    def __init__(
        self,
        pattern: str | re.Pattern[str],
        handler: Target,
        kwargs: Mapping[str, Any] | None = None,
        name: str | None = None,
    ) -> None:
        super().__init__(PathMatches(pattern), handler, kwargs, name)
        self.regex = self.matcher.regex
        self.handler_class = handler

    def reverse(self, *args: object, **kwargs: object) -> str:
        """The path of this rule; see `PathMatches.reverse`."""
        return self.matcher.reverse(*args, **kwargs)


url = URLSpec


class RouteTable:
    """Rules in their order, searched by the literal text they begin with."""

    def __init__(self, rules: Iterable[RouteSpec] = ()) -> None:
        self.named: dict[str, Rule] = {}
        # False as soon as a rule looks at more than the path: such answers may not be remembered by path.
        self.is_by_path = True
        self._count = 0
        self._by_literal: dict[str, list[tuple[int, Rule, RouteTable | None]]] = {}
        self._lengths: list[int] = []
        self.add(rules)

    def add(self, rules: Iterable[RouteSpec]) -> None:
        """Append rules; a tuple is `(pattern or matcher, target[, kwargs[, name]])`."""
        for given in rules:
            rule = as_rule(given)
            nested = RouteTable(rule.target) if isinstance(rule.target, list | tuple) else None
            literal = rule.matcher.literal if isinstance(rule.matcher, PathMatches) else ""
            if not isinstance(rule.matcher, PathMatches | AnyMatches) or (nested and not nested.is_by_path):
                self.is_by_path = False
            self._by_literal.setdefault(literal, []).append((self._count, rule, nested))
            self._count += 1
            if rule.name:
                self.named[rule.name] = rule
            if nested:
                self.named.update(nested.named)
        self._lengths = sorted({len(literal) for literal in self._by_literal})

    def find(self, request: HTTPRequest) -> Match | None:
        """The first rule that fits the request; None if none does."""
        path = request.path
        candidates: list[tuple[int, Rule, RouteTable | None]] = []
        for length in self._lengths:
            if length > len(path):
                break
            candidates += self._by_literal.get(path[:length], ())
        candidates.sort(key=_position)
        for _, rule, nested in candidates:
            groups = rule.matcher.match(request)
            if groups is None:
                continue
            if nested is None:
                return Match(_load(rule), rule.kwargs, *groups)
            found = nested.find(request)
            if found is not None:
                return found
        return None

    def reverse(self, name: str, *args: object, **kwargs: object) -> str:
        """The path of the rule with this name.

        Raises:
            ReverseError: there is no such rule, or it has no path to give.
        """
        rule = self.named.get(name)
        if rule is None:
            raise ReverseError(f"{name} not found in named urls")
        if not isinstance(rule.matcher, PathMatches):
            raise ReverseError(f"{name} is not a route by path")
        return rule.matcher.reverse(*args, **kwargs)


def host_name(request: HTTPRequest) -> str:
    """The request's host in lower case without its port."""
    host = request.host.lower()
    if host.startswith("["):
        return host.partition("]")[0] + "]"
    return host.partition(":")[0]


def as_rule(given: RouteSpec) -> Rule:
    """A row of a table as the rule it stands for."""
    if isinstance(given, Rule):
        return given
    if isinstance(given, tuple) and 2 <= len(given) <= 4:
        if isinstance(given[0], Matcher):
            return Rule(*given)
        return URLSpec(*given)
    raise TypeError(f"route: expected (pattern, handler[, kwargs[, name]]), got {given!r}")


def decode_group(group: str | None) -> str | None:
    """A group of the path, URL-decoded.

    Raises:
        UnicodeDecodeError: its bytes are no UTF-8.
    """
    return unquote_to_bytes(group).decode() if group and "%" in group else group


def literal_start(pattern: str) -> str:
    """The text every path matched by the pattern begins with; as much of it as is plain to see."""
    if "|" in pattern and _has_top_level_choice(pattern):
        return ""
    at = 1 if pattern.startswith("^") else 0
    literal: list[str] = []
    while at < len(pattern):
        char, size = pattern[at], 1
        if char == "\\" and at + 1 < len(pattern) and not pattern[at + 1].isalnum():
            char, size = pattern[at + 1], 2
        elif char in _SPECIAL:
            break
        if pattern[at + size : at + size + 1] in _QUANTIFIERS and at + size < len(pattern):
            break
        literal.append(char)
        at += size
    return "".join(literal)


def _has_top_level_choice(pattern: str) -> bool:
    depth = 0
    for char in re.sub(r"\\.|\[\^?\]?(?:\\.|[^\]\\])*\]", "", pattern):
        depth += (char == "(") - (char == ")")
        if char == "|" and depth == 0:
            return True
    return False


# One simple capturing group, its inside without further groups but for those in character classes and escapes.
_next_part = re.compile(
    r"""\((?:\?P<(?P<name>\w+)>|(?!\?))(?:[^()\\\[]|\\.|\[\^?\]?(?:\\.|[^\]\\])*\])*\)(?![*+?{])
      | \\(?P<escaped>[^a-zA-Z0-9])(?![*+?{])
      | (?P<literal>[^.^$*+?{}\[\]\\|()])(?![*+?{])""",
    re.VERBOSE | re.DOTALL,
)


def reverse_pattern(pattern: str, args: tuple[object, ...], kwargs: Mapping[str, object]) -> str:
    """The path in which these values stand for the pattern's groups; "/" in a value stays as it is."""
    body = pattern.removeprefix("^").removesuffix("$")
    values = list(args)
    parts: list[str] = []
    at = 0
    while at < len(body):
        found = _next_part.match(body, at)
        if found is None:
            raise ReverseError(f"cannot reverse url regex {pattern}")
        at = found.end()
        if found["literal"] or found["escaped"]:
            parts.append(found["literal"] or found["escaped"])
        elif found["name"] in kwargs:
            parts.append(quote(_text(kwargs[found["name"]])))
        elif values:
            parts.append(quote(_text(values.pop(0))))
        else:
            raise ReverseError(f"url regex {pattern} needs more values than {args}")
    if values:
        raise ReverseError(f"url regex {pattern} has fewer groups than {args}")
    path = "".join(parts)
    # A value must not make a host of the path: "//evil.example" is one to a browser.
    return path if not path.startswith("//") or body.startswith("//") else "/%2F" + path[2:]


def _text(value: object) -> str:
    return value.decode() if isinstance(value, bytes) else str(value)


def _position(candidate: tuple[int, Rule, RouteTable | None]) -> int:
    return candidate[0]


def _load(rule: Rule) -> Any:
    """The rule's target; a dotted name is imported when first used."""
    if isinstance(rule.target, str):
        module, _, name = rule.target.rpartition(".")
        rule.target = getattr(import_module(module), name)
    return rule.target
