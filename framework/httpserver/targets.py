"""What request lines and hosts say, remembered: most requests are one of a few hundred.

Strangers choose the keys, so the memory is bounded, and emptied rather than kept in order.
"""

from framework.http1 import split_target
from framework.httputil import decode_text

Target = tuple[str, str, str, str, str, str, bool]
"""Method, target, path, query, host and version, as text; and whether it is a GET."""

known_targets: dict[bytes | tuple[bytes, bytes], Target] = {}
"""By the request line and the Host line as they stand at the start of a head that was valid, without the last CRLF; or,
where other fields stand between them, by the request line and the value of Host."""

known_old_targets: dict[bytes | tuple[bytes, bytes], Target] = {}
"""The same for HTTP/1.0, where the Connection field must be looked at."""

# Bound once: of a name that was imported, the interpreter would make a bound method anew at each call.
find_target = known_targets.get
find_old_target = known_old_targets.get

_MAX_ENTRIES = 2048
LONGEST_KNOWN_BYTES = 256


def resolve_target(line: bytes, method: bytes, target: bytes, host: bytes | None, raw_head: bytes) -> Target:
    """What a head says whose request line is `line` and whose Host, if it has one, is valid.

    Raises:
        ProtocolError: 400, as split_target.
    """
    path, query, named_host = split_target(method, target)
    if named_host is None:
        named_host = host.decode("latin-1") if host else "127.0.0.1"
    # RFC 9112 §3.2.2: a host in the target counts, whatever the field says.
    version = "HTTP/1.0" if line.endswith(b"0") else "HTTP/1.1"
    is_get = method == b"GET"
    parts = (method.decode("ascii"), decode_text(target), path, query, named_host, version, is_get)
    if target[:1] == b"/" and host and len(line) + len(host) <= LONGEST_KNOWN_BYTES and line[-3:] in (b"1.1", b"1.0"):
        known = known_targets if version == "HTTP/1.1" else known_old_targets
        if len(known) >= _MAX_ENTRIES:
            known.clear()
        start = raw_head[: len(line) + len(b"\r\nHost: ") + len(host)]
        if start[len(line) :].lower() == b"\r\nhost: " + host.lower():
            known[start] = parts
        else:
            known[line, host] = parts
    return parts
