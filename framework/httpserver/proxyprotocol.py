"""The PROXY protocol, versions 1 and 2: a load balancer's line about the client before the client's first byte.

Only for servers whose every peer is such a balancer (`proxy_protocol=True`): a connection without the header is cut,
since anybody else's header would be believed as well.
"""

import asyncio
import ipaddress
import struct
from collections.abc import Callable
from typing import cast

from framework import clock
from framework.clock import Wheel
from framework.errors import ProtocolError
from framework.log import gen_log

_V2_SIGNATURE = b"\r\n\r\n\x00\r\nQUIT\n"
_MAX_V1_BYTES = 107
_MAX_V2_BYTES = 16 + 2048  # addresses, and as many TLVs as balancers send


def parse_proxy_header(data: bytes) -> tuple[str | None, int] | None:
    """The client's address (None if the balancer asks for itself) and the header's length; None if more is needed.

    Raises:
        ProtocolError: 400, if the bytes are no PROXY header.
    """
    if data.startswith(_V2_SIGNATURE):
        return _parse_v2(data)
    if _V2_SIGNATURE.startswith(data):
        return None
    if not (data.startswith(b"PROXY ") or b"PROXY ".startswith(data)):
        raise ProtocolError("PROXY: expected a header of version 1 or 2")
    end = data.find(b"\r\n", 0, _MAX_V1_BYTES)
    if end < 0:
        if len(data) >= _MAX_V1_BYTES:
            raise ProtocolError(f"PROXY: expected at most {_MAX_V1_BYTES} bytes")
        return None
    return _parse_v1(data[:end]), end + 2


def _parse_v1(line: bytes) -> str | None:
    words = line.split(b" ")
    if words[1:2] == [b"UNKNOWN"]:
        return None
    if len(words) != 6 or words[1] not in (b"TCP4", b"TCP6"):
        raise ProtocolError("PROXY: expected TCP4 or TCP6, two addresses and two ports")
    return _address(words[2].decode("latin-1"), 4 if words[1] == b"TCP4" else 6)


def _address(text: str, version: int) -> str:
    try:
        address = ipaddress.ip_address(text)
    except ValueError as error:
        raise ProtocolError("PROXY: expected an address") from error
    if address.version != version:
        raise ProtocolError("PROXY: expected an address of the family named")
    return str(address)


def _parse_v2(data: bytes) -> tuple[str | None, int] | None:
    if len(data) < 16:
        return None
    version_command, family, length = struct.unpack_from("!BBH", data, 12)
    if version_command not in (0x20, 0x21) or 16 + length > _MAX_V2_BYTES:
        raise ProtocolError("PROXY: expected version 2, LOCAL or PROXY, and a sane length")
    if len(data) < 16 + length:
        return None
    address_bytes = {0x1: 4, 0x2: 16}.get(family >> 4, 0)
    if version_command == 0x20 or not address_bytes:
        return None, 16 + length  # LOCAL: a health check; UNSPEC, UNIX: no address to speak of
    if length < 2 * address_bytes + 4:
        raise ProtocolError("PROXY: expected two addresses and two ports")
    return str(ipaddress.ip_address(data[16 : 16 + address_bytes])), 16 + length


MakeConnection = Callable[[asyncio.Transport, str | None], asyncio.Protocol]


class ProxyProtocol(asyncio.Protocol):
    """Reads the header, then makes way for the connection proper."""

    __slots__ = ("_data", "_make_connection", "_transport", "_wheel", "deadline", "wheel_slot")

    def __init__(
        self,
        make_connection: Callable[[asyncio.Transport, str | None], asyncio.Protocol],
        wheel: Wheel,
        timeout_s: float,
    ) -> None:
        """`make_connection(transport, address)` returns a protocol that has been told of its transport."""
        self._make_connection = make_connection
        self._wheel = wheel
        self._data = b""
        self._transport: asyncio.Transport | None = None
        self.deadline = clock.now + timeout_s
        self.wheel_slot = -1

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)
        self._wheel.watch(self, self.deadline)

    def connection_lost(self, exc: Exception | None) -> None:
        self._wheel.forget(self)
        self._transport = None

    def expire(self) -> None:
        """The header did not come in time; the wheel calls this."""
        if self._transport is not None:
            self._transport.abort()

    def data_received(self, data: bytes) -> None:
        transport = self._transport
        if transport is None:
            return
        self._data += data
        try:
            header = parse_proxy_header(self._data)
        except ProtocolError as error:
            gen_log.info("%s: %s", transport.get_extra_info("peername"), error)
            transport.abort()
            return
        if header is None:
            return
        self._wheel.forget(self)
        address, length = header
        rest, self._data, self._transport = self._data[length:], b"", None
        protocol = self._make_connection(transport, address)
        transport.set_protocol(protocol)
        if rest:
            protocol.data_received(rest)
