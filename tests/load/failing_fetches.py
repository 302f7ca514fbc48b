"""Ways for a fetch to fail, against a peer on loopback that is dead, slow, rude or lies. See `tests.load.failures`.

Each is a context manager that gives a coroutine function: one failure, and the sentence that its user sees.
"""

import asyncio
import contextlib
import gzip
import socket
import struct
import tempfile
from functools import partial
from pathlib import Path

from framework.httpclient import AddressPolicy, AsyncHTTPClient
from framework.testing import serving
from tests.support.certificates import Authority
from tests.support.front import free_port
from tests.support.rawhttp import hello, talking

CONCURRENCY = 50
BOMB = gzip.compress(bytes(2_000_000))


async def resets(reader, writer):
    await reader.readuntil(b"\r\n\r\n")
    writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    writer.transport.abort()


async def speaks_first(reader, writer):
    writer.write(b"220 mail.example ESMTP\r\n")
    await writer.drain()


def says(answer):
    """A peer that reads a head, says this and closes."""

    async def peer(reader, writer):
        await reader.readuntil(b"\r\n\r\n")
        writer.write(answer)
        await writer.drain()

    return peer


async def is_silent(reader, writer):
    await reader.read(-1)


def redirects(request):
    request.connection.answer(b"HTTP/1.1 302 Found\r\nLocation: /again\r\nContent-Length: 0\r\n\r\n")


@contextlib.asynccontextmanager
async def fetching(port, url, options=None, **fields):
    client = AsyncHTTPClient(force_instance=True, **{"max_clients": CONCURRENCY, **(options or {})})

    async def fail():
        try:
            response = await client.fetch(url.format(port=port), **fields)
        except Exception as error:
            return f"{type(error).__name__}: {error}"
        return f"answered: {response.code}"

    fail.client = client
    try:
        yield fail
    finally:
        client.close()


@contextlib.asynccontextmanager
async def at_peer(peer, url="http://127.0.0.1:{port}/", options=None, **fields):
    """Fetches from a server of asyncio's."""
    async with talking(peer, backlog=1000) as port, fetching(port, url, options, **fields) as fail:
        yield fail


@contextlib.asynccontextmanager
async def at_server(application, url="http://127.0.0.1:{port}/", options=None, **fields):
    """Fetches from a server of ours."""
    async with serving(application) as port, fetching(port, url, options, **fields) as fail:
        yield fail


@contextlib.asynccontextmanager
async def at_nobody(url="http://127.0.0.1:{port}/", options=None, **fields):
    """Fetches from where nobody listens."""
    async with fetching(free_port(), url, options, **fields) as fail:
        yield fail


@contextlib.asynccontextmanager
async def at_tls(*names, expired=False, trusts=True, **fields):
    """Fetches from https://localhost with a certificate for these names."""
    with tempfile.TemporaryDirectory() as folder:
        authority = Authority(Path(folder))
        if trusts:
            fields["ca_certs"] = authority.file
        context = authority.context(*names, expired=expired)
        async with (
            serving(hello, ssl_options=context) as port,
            fetching(port, "https://localhost:{port}/", **fields) as fail,
        ):
            yield fail


@contextlib.asynccontextmanager
async def given_up():
    """Fetches that nobody waits for any more."""
    async with talking(is_silent, backlog=1000) as port:
        client = AsyncHTTPClient(force_instance=True, max_clients=CONCURRENCY)

        async def fail():
            fetch = client.fetch(f"http://127.0.0.1:{port}/")
            for _ in range(3):
                await asyncio.sleep(0)
            fetch.cancel()
            try:
                await fetch
            except asyncio.CancelledError:
                return "cancelled"

        try:
            yield fail
        finally:
            client.close()


@contextlib.asynccontextmanager
async def no_room():
    """Fetches that wait behind one that does not end."""
    async with (
        talking(is_silent, backlog=1000) as port,
        fetching(port, "http://127.0.0.1:{port}/", {"max_clients": 1}, request_timeout=0.2) as fail,
    ):
        first = fail.client.fetch(f"http://127.0.0.1:{port}/", raise_error=False, request_timeout=0)
        yield fail
    await first


@contextlib.asynccontextmanager
async def closed():
    """Fetches whose client is closed meanwhile: a client for each."""
    async with talking(is_silent, backlog=1000) as port:

        async def fail():
            client = AsyncHTTPClient(force_instance=True)
            fetch = client.fetch(f"http://127.0.0.1:{port}/")
            await asyncio.sleep(0)
            client.close()
            try:
                await fetch
            except Exception as error:
                return str(error)

        yield fail


async def breaks(write):
    await write(b"piece")
    raise LookupError("mine")


def raises(chunk):
    raise LookupError("mine")


LONG_NAME = "x" * 64  # longer than a label may be: the resolver's thread says no without asking anybody
HEAD = b"HTTP/1.1 200 OK\r\n"

# What the sentence must say, and how to come by it. On a busy machine time may run out a stage before.
KINDS = {
    "refused": ("Failed to connect|Could not connect", at_nobody),
    "reset": ("reset|Recv failure", partial(at_peer, resets)),
    "no answer": ("Empty reply", partial(at_peer, says(b""))),
    "no such name": (
        "Could not resolve|resolve host",
        partial(at_nobody, f"http://{LONG_NAME}.invalid:{{port}}/"),
    ),
    "proxy away": ("127.0.0.1", partial(at_nobody, "http://far.example/", proxy_host="127.0.0.1", proxy_port=1)),
    "silence": (
        r"while .*request_timeout",
        partial(at_peer, is_silent, request_timeout=0.2),
    ),
    "silent handshake": (
        r"(in the TLS handshake|while) .*connect_timeout",
        partial(at_peer, is_silent, "https://127.0.0.1:{port}/", connect_timeout=0.2),
    ),
    "body stops": (
        r"while .*idle_timeout",
        partial(at_peer, lambda reader, writer: stop_in_the_body(reader, writer), idle_timeout=0.2),
    ),
    "no room": (r"in the queue: all 1 clients \(max_clients\) are busy", no_room),
    "no TLS": ("SSL|TLS|wrong version", partial(at_peer, speaks_first, "https://localhost:{port}/")),
    "expired": ("expired", partial(at_tls, "localhost", expired=True)),
    "another's certificate": ("localhost", partial(at_tls, "elsewhere.example")),
    "unknown authority": ("self-signed|issuer|authority|unable to get", partial(at_tls, "localhost", trusts=False)),
    "truncated body": ("bytes missing", partial(at_peer, says(HEAD + b"Content-Length: 9\r\n\r\nabc"))),
    "truncated chunks": (
        "transfer closed|closed with",
        partial(at_peer, says(HEAD + b"Transfer-Encoding: chunked\r\n\r\n5\r\nab")),
    ),
    "truncated head": ("before the head|HTTP 599", partial(at_peer, says(HEAD + b"Content-Le"))),
    "broken chunks": ("chunk|HTTP 599", partial(at_peer, says(HEAD + b"Transfer-Encoding: chunked\r\n\r\nzz\r\n"))),
    "no HTTP": ("HTTP/0.9|HTTP 599", partial(at_peer, says(b"SSH-2.0-OpenSSH\r\n"))),
    "bomb": (
        "at most 100000 bytes after decompression",
        partial(
            at_peer,
            says(HEAD + b"Content-Encoding: gzip\r\nContent-Length: %d\r\n\r\n" % len(BOMB) + BOMB),
            max_body_bytes=100_000,
        ),
    ),
    "forbidden address": (
        r"127\.0\.0\.1 is not allowed",
        partial(at_server, hello, options={"addresses": AddressPolicy()}),
    ),
    "redirects in a circle": ("more than 5 redirects", partial(at_server, redirects)),
    "redirect to a forbidden address": (
        r"the address 127\.0\.0\.2 is not allowed",
        partial(
            at_server,
            lambda request: request.connection.answer(
                b"HTTP/1.1 302 Found\r\nLocation: http://127.0.0.2/\r\nContent-Length: 0\r\n\r\n"
            ),
            options={"addresses": AddressPolicy(allow=["127.0.0.1/32"])},
        ),
    ),
    "error status": ("HTTP 500", partial(at_peer, says(b"HTTP/1.1 500 No\r\nContent-Length: 0\r\n\r\n"))),
    "failing callback": ("LookupError: .*mine", partial(at_server, hello, streaming_callback=raises)),
    "failing producer": ("LookupError: .*mine", partial(at_server, hello, method="POST", body_producer=breaks)),
    "given up": ("cancelled", given_up),
    "client closed": ("the client was closed", closed),
}


async def stop_in_the_body(reader, writer):
    writer.write(HEAD + b"Content-Length: 9\r\n\r\nabc")
    await reader.read(-1)
