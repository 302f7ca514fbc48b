"""What a client may cost: every limit and time-out of the server, as one value."""

import resource
from dataclasses import dataclass

from framework.http1 import MOST_PLAIN_FIELDS
from framework.httpserver.targets import LONGEST_KNOWN_BYTES


@dataclass(frozen=True, slots=True)
class Limits:
    """Sizes in bytes, times in seconds. Given to HTTPServer as keyword arguments."""

    max_head_bytes: int = 65_536
    """Start line and headers: 431. More than nginx lets through (4 × 8 KiB and its own), so only nginx refuses."""
    max_target_bytes: int = 16_384
    """The target in the start line: 414."""
    max_header_fields: int = 200
    """Header lines: 431."""
    max_body_bytes: int = 33_554_432
    """A body that is buffered, or that no receiver has allowed more for: 413, before it is read."""
    body_memory_bytes: int = 262_144
    """Of a body that is buffered; a larger one goes on in a temporary file, where TMPDIR says, until it is complete.
    Most forms and documents are smaller, and what a thousand connections hold is still no more than 256 MB."""
    max_buffered_bytes: int = 1_073_741_824
    """All bodies of a server that are being buffered, in memory and in files: 503, and before a body is read that
    announces its length. The last eighth is left to bodies of at most body_memory_bytes. What is complete no longer
    counts, nor what a receiver takes."""
    max_trailer_bytes: int = 16_384
    """Trailers of a chunked body: 431."""
    max_pipelined_bytes: int = 65_536
    """Input held while a request is answered; beyond that nothing is read."""
    write_buffer_bytes: int = 65_536
    """Output held for a slow reader; beyond that writers wait and no further request is started."""
    max_requests_per_connection: int = 1_000_000
    """The last of them is answered with Connection: close."""
    min_idle_s: float = 1.0
    """Connections idle for less than this are not closed to make room for new ones."""
    max_connections: int = 0
    """Open connections, and files that hold bodies: beyond that the longest idle connections are closed, or if none is
    idle, the newest answered 503. 0: what the limit of file descriptors allows."""
    head_timeout_s: float = 20.0
    """From the first byte of a head (or from connecting) to its last: 408."""
    body_timeout_s: float = 30.0
    """Between two reads of a body: 408."""
    idle_timeout_s: float = 75.0
    """Of a kept connection between requests. Much more than the 4 s after which nginx closes its own to us."""
    write_timeout_s: float = 60.0
    """Without progress while a slow reader has output to take: the connection is cut."""
    linger_s: float = 2.0
    """After a refusal: what still arrives is thrown away, so that no reset overtakes the answer (RFC 9112 §9.6); until
    nothing has arrived for this time,"""
    max_linger_s: float = 30.0
    """or this time has passed, as nginx's lingering_time."""
    tls_handshake_s: float = 10.0
    """For a TLS handshake."""


_SHORTEST_FIELD_BYTES = len(b"A:\r\n")


def small_head_bytes(limits: Limits) -> int:
    """The size up to which a head is within all limits of heads, whatever it holds."""
    most_fields_bytes = limits.max_header_fields * _SHORTEST_FIELD_BYTES
    return min(1024, limits.max_head_bytes, limits.max_target_bytes, most_fields_bytes)


def plain_head_bytes(limits: Limits) -> int:
    """The same for a head that begins with a known target, and that one of http1's plain patterns matches."""
    if limits.max_header_fields < MOST_PLAIN_FIELDS or limits.max_target_bytes < LONGEST_KNOWN_BYTES:
        return small_head_bytes(limits)
    return limits.max_head_bytes


# What the process needs for itself: listeners, log files, the database, the bus, uploads on disk.
_RESERVED_DESCRIPTORS = 64


def most_connections(limits: Limits) -> int:
    """The number of connections that may be open at once."""
    if limits.max_connections:
        return limits.max_connections
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return max(soft - _RESERVED_DESCRIPTORS, soft // 2, 1)
