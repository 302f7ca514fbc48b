"""Who the client behind a proxy is: X-Real-IP, X-Forwarded-For, X-Scheme, X-Forwarded-Proto.

They are believed only from a peer that is trusted: on a unix socket, which strangers can not reach, or from one of the
networks in `trusted_downstream`. Anybody else could send them, too. Code of 2011 says `xheaders=True` and no more, with
nginx on the same machine: so this machine is what is trusted when no network is named.
"""

import ipaddress
import re
from collections.abc import Iterable
from functools import lru_cache

from framework.request import HTTPRequest

Network = ipaddress.IPv4Network | ipaddress.IPv6Network

LOOPBACK = ("127.0.0.0/8", "::1")

_FIELDS = re.compile(
    rb"\n[Xx]-(?:([Rr][Ee][Aa][Ll]-[Ii][Pp])|([Ff][Oo][Rr][Ww][Aa][Rr][Dd][Ee][Dd]-[Ff][Oo][Rr])"
    rb"|([Ss][Cc][Hh][Ee][Mm][Ee])|([Ff][Oo][Rr][Ww][Aa][Rr][Dd][Ee][Dd]-[Pp][Rr][Oo][Tt][Oo])):[ \t]*+([^\r]*+)"
)


def parse_networks(networks: Iterable[str]) -> tuple[Network, ...]:
    """Networks of "10.0.0.0/8", "::1" and the like.

    Raises:
        ValueError: if one is malformed.
    """
    return tuple(ipaddress.ip_network(network, strict=False) for network in networks)


def is_within(ip: str, networks: tuple[Network, ...]) -> bool:
    """Whether a textual address lies in one of the networks; an IPv4 address in IPv6 clothes counts as IPv4."""
    try:
        address = ipaddress.ip_address(ip)
    except ValueError:
        return False
    if isinstance(address, ipaddress.IPv6Address) and address.ipv4_mapped is not None:
        address = address.ipv4_mapped
    return any(address in network for network in networks)


def read_xheaders(raw_head: bytes, networks: tuple[Network, ...]) -> tuple[str | None, str | None]:
    """Client address and scheme that a trusted peer's head states; None for what it does not state, or not validly.

    X-Real-IP beats X-Forwarded-For, X-Scheme beats X-Forwarded-Proto. Of X-Forwarded-For the last address outside
    `networks` counts: what stands left of it is hearsay.
    """
    real_ip = forwarded_for = scheme = forwarded_proto = None
    for match in _FIELDS.finditer(raw_head):
        index = match.lastindex
        value = match[5]
        if match[1] is not None:
            real_ip = value
        elif match[2] is not None:
            # Several lines are one list (RFC 9110 §5.3).
            forwarded_for = value if forwarded_for is None else forwarded_for + b"," + value
        elif match[3] is not None:
            scheme = value
        elif index:
            forwarded_proto = value
    ip = None
    if real_ip is not None:
        ip = parse_address(real_ip)
    if ip is None and forwarded_for is not None:
        ip = _last_stranger(forwarded_for, networks)
    proto = scheme if scheme is not None else forwarded_proto
    if proto is not None:
        proto = proto.rpartition(b",")[2].strip(b" \t").lower()
    return ip, "https" if proto == b"https" else "http" if proto == b"http" else None


def believe_proxy(request: HTTPRequest, proxied: re.Match[bytes]) -> None:
    """Take over what http1.match_believed_request has found, if the peer says anything of its client."""
    request_id, started, real_ip, scheme = proxied.group(2, 3, 4, 5)
    if request_id is None:
        return
    request.trace = request_id, started
    request.remote_ip = parse_address(real_ip) or request.remote_ip
    request.protocol = "https" if scheme == b"https" else "http"


def _last_stranger(forwarded_for: bytes, networks: tuple[Network, ...]) -> str | None:
    ip = None
    # Who sends a thousand addresses has none.
    for hop in reversed(forwarded_for.split(b",")[-32:]):
        found = parse_address(hop)
        if found is None:
            return ip
        ip = found
        if not is_within(ip, networks):
            return ip
    return ip


@lru_cache(maxsize=4096)
def parse_address(text: bytes) -> str | None:
    """The address in `192.0.2.1`, `192.0.2.1:80`, `2001:db8::1`, `[2001:db8::1]` or `[2001:db8::1]:80`; or None."""
    address = text.strip(b" \t").decode("latin-1")
    if len(address) > 64:
        return None
    if address.startswith("["):
        address, bracket, port = address[1:].partition("]")
        if not bracket or (port and not re.fullmatch(r":[0-9]{1,5}", port)):
            return None
    elif address.count(":") == 1:
        address, _, port = address.partition(":")
        if not re.fullmatch(r"[0-9]{1,5}", port):
            return None
    try:
        return str(ipaddress.ip_address(address)) if "%" not in address else None
    except ValueError:
        return None
