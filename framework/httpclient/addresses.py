"""Which addresses a client may connect to: so that an application can fetch what a stranger typed.

Checked where the connection is made, with the address that it will go to: a check of the URL would be fooled by names
that lead inside, by a name that leads elsewhere the second time (DNS rebinding), and by redirects.
"""

from collections.abc import Iterable
from ipaddress import IPv4Address, IPv6Address, IPv6Network, ip_address, ip_network

# RFC 6052: IPv4 inside IPv6, for networks that have nothing else.
_NAT64 = IPv6Network("64:ff9b::/96")
# RFC 4291 §2.5.5.1: `::127.0.0.1`, deprecated, but some stacks still route it.
_COMPATIBLE = IPv6Network("::/96")
# RFC 4291 §2.4: all of IPv6 that was ever given out. `is_global` lets pass what no registry lists: fec0::/10
# (site-local), ::ffff:0:127.0.0.1 (RFC 2765), and everything from 4000:: up, which a network may use as it likes.
_GLOBAL_UNICAST = IPv6Network("2000::/3")


class AddressPolicy:
    """Networks, in CIDR notation, that may or may not be connected to.

    `deny` beats `allow`; without either, everything is allowed that the whole internet can reach: no private, loopback,
    link-local (cloud metadata), shared, multicast or reserved addresses. `allow` adds networks to that. An IPv6 address
    that carries an IPv4 address (mapped, 6to4, NAT64, Teredo) is judged by both.
    """

    def __init__(self, allow: Iterable[str] = (), deny: Iterable[str] = ()) -> None:
        self._allow = [ip_network(network) for network in allow]
        self._deny = [ip_network(network) for network in deny]

    def allows(self, address: str) -> bool:
        """Whether a connection to this address, which may carry an IPv6 zone, is allowed."""
        try:
            outer = ip_address(address.partition("%")[0])
        except ValueError:
            return False
        forms = (outer, _unwrap(outer))
        if any(ip in network for network in self._deny for ip in forms):
            return False
        if any(ip in network for network in self._allow for ip in forms):
            return True
        return all(_is_public(ip) for ip in forms if ip != outer or not _is_carrier(ip))


def _is_public(ip: IPv4Address | IPv6Address) -> bool:
    """Whether the whole internet can reach the address."""
    return ip.is_global and not ip.is_multicast and (ip.version == 4 or ip in _GLOBAL_UNICAST)


def _is_carrier(ip: IPv4Address | IPv6Address) -> bool:
    """Whether the address only carries an IPv4 address, which is then the one to judge."""
    return isinstance(ip, IPv6Address) and (ip.ipv4_mapped is not None or ip in _NAT64)


def _unwrap(ip: IPv4Address | IPv6Address) -> IPv4Address | IPv6Address:
    """The IPv4 address that an IPv6 address stands for, if it does."""
    if isinstance(ip, IPv6Address):
        if ip in _NAT64 or (ip in _COMPATIBLE and int(ip) > 1):
            return IPv4Address(int(ip) & 0xFFFFFFFF)
        return ip.ipv4_mapped or ip.sixtofour or (ip.teredo[1] if ip.teredo else ip)
    return ip
