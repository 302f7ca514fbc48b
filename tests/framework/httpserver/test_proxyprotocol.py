import asyncio
import struct

import pytest

from framework.errors import ProtocolError
from framework.httpserver import HTTPServer
from framework.httpserver.proxyprotocol import parse_proxy_header
from tests.support.rawhttp import connected, serving

SIGNATURE = b"\r\n\r\n\x00\r\nQUIT\n"


def v2(command, family, addresses):
    return SIGNATURE + struct.pack("!BBH", command, family, len(addresses)) + addresses


IPV4 = v2(0x21, 0x11, bytes([192, 0, 2, 1, 127, 0, 0, 1]) + b"\0\1\0\2")
IPV6 = v2(0x21, 0x21, bytes(15) + b"\1" + bytes(16) + b"\0\1\0\2" + b"\x04\0\1x")


@pytest.mark.parametrize(
    "header, expected",
    [
        (b"PROXY TCP4 192.0.2.1 127.0.0.1 1 2\r\n", "192.0.2.1"),
        (b"PROXY TCP6 2001:db8::1 ::1 1 2\r\n", "2001:db8::1"),
        (b"PROXY UNKNOWN\r\n", None),
        (b"PROXY UNKNOWN ffff::1 ffff::2 1 2\r\n", None),
        (IPV4, "192.0.2.1"),
        (IPV6, "::1"),
        (v2(0x20, 0x00, b""), None),
        (v2(0x21, 0x31, bytes(216)), None),
    ],
)
def test_header_is_read_however_it_is_cut(header, expected):
    for cut in range(len(header)):
        assert parse_proxy_header(header[:cut]) is None
    assert parse_proxy_header(header) == parse_proxy_header(header + b"GET") == (expected, len(header))


@pytest.mark.parametrize(
    "header",
    [
        b"GET / HTTP/1.1\r\n",
        b"PROXY TCP4 192.0.2.1 127.0.0.1 1\r\n",
        b"PROXY TCP4 ::1 ::1 1 2\r\n",
        b"PROXY TCP4 x y 1 2\r\n",
        b"PROXY UDP4 192.0.2.1 127.0.0.1 1 2\r\n",
        b"PROXY " + b"x" * 200,
        v2(0x11, 0x11, bytes(12)),
        v2(0x22, 0x11, bytes(12)),
        v2(0x21, 0x11, bytes(3)),
        v2(0x21, 0x11, bytes(5000)),
    ],
)
def test_header_is_refused(header):
    with pytest.raises(ProtocolError):
        parse_proxy_header(header)


def test_server_takes_the_address_and_cuts_those_without_header():
    addresses = []

    def application(request):
        addresses.append(request.remote_ip)
        request.connection.answer(b"HTTP/1.1 204 No Content\r\n\r\n")

    async def main():
        async with serving(application, proxy_protocol=True) as server:
            async with connected(server.port) as client:
                client.send(IPV4[:7])
                client.send(IPV4[7:] + b"GET / HTTP/1.1\r\nHost: h\r\n\r\n")
                assert (await client.receive_response())[0] == 204
            async with connected(server.port) as client:
                client.send(b"GET / HTTP/1.1\r\nHost: h\r\n\r\n")
                with pytest.raises(ConnectionResetError):
                    assert await client.receive_all() == b""
                    raise ConnectionResetError
        assert addresses == ["192.0.2.1"]

    asyncio.run(main())


def test_proxy_protocol_and_tls_exclude_each_other():
    with pytest.raises(ValueError):
        HTTPServer(print, proxy_protocol=True, ssl_options={})
