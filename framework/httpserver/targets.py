"""What request lines and hosts say, remembered: most requests are one of a few hundred.

Strangers choose the keys, so the memory is bounded, and emptied rather than kept in order.
"""

from collections.abc import Awaitable, Callable
from typing import Any

from framework.http1 import split_target
from framework.httputil import decode_text
from framework.request import HTTPRequest

Call = Callable[[HTTPRequest], Awaitable[None] | None]
"""Answers a request: an application, or that part of one which answers requests of one method and path."""

Target = tuple[str, str, str, str, str, str, bool]
"""Method, target, path, query, host and version, as text; and whether it is a GET."""

Known = tuple[str, str, str, str, str, str, bool, Call]
"""A target, and what is to be called for it."""

_MAX_ENTRIES = 2048
LONGEST_KNOWN_BYTES = 256


def resolve_target(line: bytes, method: bytes, target: bytes, host: bytes | None) -> Target:
    """What a head says whose request line is `line` and whose Host, if it has one, is valid.

    Raises:
        ProtocolError: 400, as split_target.
    """
    path, query, named_host = split_target(method, target)
    if named_host is None:
        named_host = host.decode("latin-1") if host else "127.0.0.1"
    # RFC 9112 §3.2.2: a host in the target counts, whatever the field says.
    version = "HTTP/1.0" if line.endswith(b"0") else "HTTP/1.1"
    return method.decode("ascii"), decode_text(target), path, query, named_host, version, method == b"GET"


class Targets:
    """The targets that one server knows, and what is called for each.

    That is `call`, which is `application` as the interpreter calls it fastest; or, if `application` has a `find_call`,
    what `find_call(method, host, path)` gives: a part of the application that may be called in its place, always.

    `find` gives a Known by the request line and the Host line as they stand at the start of a head that was valid,
    without the last CRLF; or, where other fields stand between them, by the request line and the value of Host.
    `find_old` does the same for HTTP/1.0, where the Connection field must be looked at.
    """

    __slots__ = ("_call", "_find_call", "_known", "_known_old", "find", "find_old")

    def __init__(self, application: Any, call: Call) -> None:
        self._call = call
        # Of its class, for who wraps an application and passes on what is asked of the wrapper wants to be called.
        has_parts = hasattr(type(application), "find_call")
        self._find_call: Callable[[str, str, str], Call | None] | None = application.find_call if has_parts else None
        self._known: dict[bytes | tuple[bytes, bytes], Known] = {}
        self._known_old: dict[bytes | tuple[bytes, bytes], Known] = {}
        # Bound once: the interpreter would make a bound method anew at each call.
        self.find = self._known.get
        self.find_old = self._known_old.get

    def __len__(self) -> int:
        return len(self._known) + len(self._known_old)

    def remember(self, line: bytes, host: bytes | None, raw_head: bytes, target: Target) -> None:
        """Have `target` found for heads like this one, if it is short, and no rarer form of one.

        To be called when the application has seen the request, and so knows what it is.
        """
        if target[1][:1] != "/" or not host or len(line) + len(host) > LONGEST_KNOWN_BYTES:
            return
        if line[-3:] not in (b"1.1", b"1.0"):
            return
        known = self._known if target[5] == "HTTP/1.1" else self._known_old
        if len(known) >= _MAX_ENTRIES:
            known.clear()
        start = raw_head[: len(line) + len(b"\r\nHost: ") + len(host)]
        is_host_first = start[len(line) :].lower() == b"\r\nhost: " + host.lower()
        method, _, path, _, named_host, _, _ = target
        part = None if self._find_call is None else self._find_call(method, named_host, path)
        known[start if is_host_first else (line, host)] = *target, part or self._call
