"""What request targets resolve to, remembered: most requests ask for one of a few hundred."""

from framework.http1 import split_target
from framework.httputil import decode_text

Target = tuple[str, str, str, str | None]
"""Target, path, query and, where the target itself names it, host; as text."""

# Strangers choose the keys, so it is bounded, and emptied rather than kept in order.
known_targets: dict[bytes, Target] = {}
_MAX_TARGETS = 2048
_MAX_KNOWN_BYTES = 256


def resolve_target(method: bytes, target: bytes) -> Target:
    """The parts of a target.

    Raises:
        ProtocolError: 400, as split_target.
    """
    path, query, host = split_target(method, target)
    parts = (decode_text(target), path, query, host)
    if target[:1] == b"/" and len(target) <= _MAX_KNOWN_BYTES:
        if len(known_targets) >= _MAX_TARGETS:
            known_targets.clear()
        known_targets[target] = parts
    return parts
