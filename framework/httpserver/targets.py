"""What start lines and hosts say, remembered: most requests are one of a few hundred.

Strangers choose the keys, so the memories are bounded, and emptied rather than kept in order.
"""

from framework.http1 import split_target
from framework.httputil import decode_text

Target = tuple[str, str, str, str, str | None]
"""Method, target, path, query and, where the target itself names it, host; as text."""

known_start_lines: dict[bytes, Target] = {}
"""Valid start lines of HTTP/1.1 whose target begins with a slash."""
known_hosts: dict[bytes, str] = {}
"""Valid values of Host."""

_MAX_ENTRIES = 2048
LONGEST_KNOWN_BYTES = 256


def resolve_start_line(line: bytes, method: bytes, target: bytes) -> Target:
    """What a grammatical start line says.

    Raises:
        ProtocolError: 400, as split_target.
    """
    path, query, host = split_target(method, target)
    parts = (method.decode("ascii"), decode_text(target), path, query, host)
    if target[:1] == b"/" and line.endswith(b"HTTP/1.1") and len(line) <= LONGEST_KNOWN_BYTES:
        if len(known_start_lines) >= _MAX_ENTRIES:
            known_start_lines.clear()
        known_start_lines[line] = parts
    return parts


def resolve_host(host: bytes) -> str:
    """A Host that was found valid, as text."""
    text = host.decode("latin-1")
    if len(host) <= LONGEST_KNOWN_BYTES:
        if len(known_hosts) >= _MAX_ENTRIES:
            known_hosts.clear()
        known_hosts[host] = text
    return text
