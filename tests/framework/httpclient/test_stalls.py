"""Peers that stop at each stage of an exchange: the error says which stage it was, where, and which limit ran out."""

import asyncio
import contextlib
import socket

import pytest

from framework.httpclient import HTTPTimeoutError
from framework.testing import serving
from tests.framework.httpclient.conftest import run_with_client
from tests.support.rawhttp import hello, listening_socket, talking
from tests.support.resolver import Resolver, asking


async def silent(reader, writer):
    await reader.read(-1)


async def answers_half_a_head(reader, writer):
    writer.write(b"HTTP/1.1 200 OK\r\nContent-Le")
    await reader.read(-1)


async def answers_half_a_body(reader, writer):
    writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nabc")
    await reader.read(-1)


async def drips(reader, writer):
    writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\n")
    while True:
        writer.write(b"x")
        await writer.drain()
        await asyncio.sleep(0.01)


async def takes_nothing(reader, writer):
    writer.transport.pause_reading()
    await asyncio.Event().wait()


def stalled_fetch(peer, url="http://127.0.0.1:{port}/", **fields):
    """The error of a fetch from this peer."""

    async def use(client):
        async with talking(peer) as port:
            given = {name: port if value == "PORT" else value for name, value in fields.items()}
            with pytest.raises(HTTPTimeoutError) as caught:
                await client.fetch(url.format(port=port), **given)
            return str(caught.value).replace(str(port), "PORT"), caught.value

    return run_with_client(use)


@pytest.mark.parametrize(
    ("peer", "url", "fields", "stage", "limit"),
    [
        (
            silent,
            "https://127.0.0.1:{port}/",
            {"connect_timeout": 0.1},
            "in the TLS handshake with 127.0.0.1:PORT",
            "connect_timeout=0.1",
        ),
        (
            silent,
            "https://127.0.0.1:{port}/",
            {"request_timeout": 0.1},
            "in the TLS handshake with 127.0.0.1:PORT",
            "request_timeout=0.1",
        ),
        (
            silent,
            "https://far.example/",
            {"proxy_host": "127.0.0.1", "proxy_port": "PORT", "connect_timeout": 0.1},
            "while the proxy 127.0.0.1:PORT was connecting to far.example",
            "connect_timeout=0.1",
        ),
        (
            silent,
            "http://far.example/",
            {"proxy_host": "127.0.0.1", "proxy_port": "PORT", "request_timeout": 0.1},
            "while waiting for the answer of 127.0.0.1:PORT",
            "request_timeout=0.1",
        ),
        (
            silent,
            "http://127.0.0.1:{port}/",
            {"request_timeout": 0.1},
            "while waiting for the answer of 127.0.0.1:PORT",
            "request_timeout=0.1",
        ),
        (
            silent,
            "http://127.0.0.1:{port}/",
            {"idle_timeout": 0.1},
            "while waiting for the answer of 127.0.0.1:PORT",
            "idle_timeout=0.1",
        ),
        (
            answers_half_a_head,
            "http://127.0.0.1:{port}/",
            {"request_timeout": 0.1},
            "while waiting for the answer of 127.0.0.1:PORT",
            "request_timeout=0.1",
        ),
        (
            answers_half_a_body,
            "http://127.0.0.1:{port}/",
            {"idle_timeout": 0.1},
            "while receiving the body from 127.0.0.1:PORT, after 3 bytes",
            "idle_timeout=0.1",
        ),
        (
            takes_nothing,
            "http://127.0.0.1:{port}/",
            {"method": "POST", "body": bytes(50 << 20), "request_timeout": 0.5},
            "while sending the body to 127.0.0.1:PORT, after",
            "request_timeout=0.5",
        ),
        (
            takes_nothing,
            "http://127.0.0.1:{port}/",
            {"method": "POST", "body": bytes(50 << 20), "idle_timeout": 0.3},
            "while sending the body to 127.0.0.1:PORT, after",
            "idle_timeout=0.3",
        ),
    ],
)
def test_stage_and_limit_are_named(peer, url, fields, stage, limit):
    text, error = stalled_fetch(peer, url, **fields)
    assert stage in text and f"({limit})" in text
    assert error.stage in str(error)
    assert error.code == 599 and error.response.code == 599


def test_dripping_peer_is_not_idle_but_has_no_time_without_end():
    text, _ = stalled_fetch(drips, idle_timeout=5, request_timeout=0.3)
    assert "while receiving the body from 127.0.0.1:PORT, after " in text and "(request_timeout=0.3)" in text


def test_resolver_that_stalls_is_named(authority):
    async def use(client):
        async with serving(Resolver(mute=True), ssl_options=authority.context("localhost")) as doh:
            fields = {"prepare_curl_callback": asking(doh)}
            with pytest.raises(HTTPTimeoutError, match=r"while looking up far\.example \(connect_timeout=0\.3\)"):
                await client.fetch("http://far.example/", connect_timeout=0.3, **fields)
            with pytest.raises(HTTPTimeoutError, match=r"while looking up proxy\.example \(request_timeout=0\.3\)"):
                through = {"proxy_host": "proxy.example", "proxy_port": 80}
                await client.fetch("http://far.example/", request_timeout=0.3, **through, **fields)

    run_with_client(use)


def test_listener_that_takes_no_connection_is_named():
    with contextlib.ExitStack() as kept:
        listener = kept.enter_context(listening_socket())
        listener.listen(0)
        address = listener.getsockname()
        for _ in range(4):  # the kernel's queue is full after one or two, and forgets who knocks
            knocking = kept.enter_context(socket.socket())
            knocking.setblocking(False)
            knocking.connect_ex(address)

        async def use(client):
            for fields in ({"connect_timeout": 0.1}, {"request_timeout": 0.1}):
                ((name, value),) = fields.items()
                with pytest.raises(HTTPTimeoutError, match=rf"while connecting to .*:{address[1]} \({name}={value}\)"):
                    await client.fetch(f"http://127.0.0.1:{address[1]}/", **fields)

        run_with_client(use)


def test_time_of_a_request_covers_its_redirects():
    """Each answer comes in time, all of them together do not."""

    async def redirects(reader, writer):
        while await reader.readuntil(b"\r\n\r\n"):
            await asyncio.sleep(0.05)
            writer.write(b"HTTP/1.1 302 Found\r\nLocation: /again\r\nContent-Length: 0\r\n\r\n")

    text, error = stalled_fetch(redirects, request_timeout=0.4, max_redirects=1000)
    assert "(request_timeout=0.4)" in text
    assert error.elapsed_s >= 0.4


def test_time_out_does_not_hurt_the_next_request():
    async def use(client):
        async with talking(silent) as stalls, serving(hello) as port:
            for _ in range(3):
                with pytest.raises(HTTPTimeoutError):
                    await client.fetch(f"http://127.0.0.1:{stalls}/", request_timeout=0.05)
            return (await client.fetch(f"http://127.0.0.1:{port}/")).body

    assert run_with_client(use) == b"GET / 0"
