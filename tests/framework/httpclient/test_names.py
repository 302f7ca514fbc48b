"""Names: where they lead a client with an address policy, and how long an answer of the DNS is kept."""

import contextlib

import pytest

from framework.httpclient import AddressPolicy, AddressRefusedError, CurlError, handle, transfer
from framework.testing import serving
from tests.framework.httpclient.conftest import run_with_client
from tests.support.rawhttp import hello
from tests.support.resolver import Resolver, asking

PUBLIC = AddressPolicy(allow=["127.0.0.1/32"])  # plays the address that everybody can reach; 127.0.0.2 is inside


@contextlib.asynccontextmanager
async def looked_up(authority, resolver):
    """Ports of a server and of a resolver."""
    async with serving(hello) as port, serving(resolver, ssl_options=authority.context("localhost")) as doh:
        yield port, doh


@pytest.mark.parametrize(
    "host",
    [
        *("127.0.0.1", "127.1", "0177.0.0.1", "0x7f.1", "0x7f000001", "2130706433", "017700000001", "127.0.0.1."),
        *("localhost", "localhost.", "LOCALHOST", "0.0.0.0", "0", "[::]", "[::1]", "[0:0:0:0:0:0:0:1]", "[::1%25lo]"),
        *("[::ffff:127.0.0.1]", "[::ffff:7f00:1]", "[::127.0.0.1]", "[64:ff9b::127.0.0.1]", "[64:ff9b:1::7f00:1]"),
        *("[fe80::1%25lo]", "[2002:7f00:1::]", "169.254.169.254", "0xa9fea9fe", "１２７.0.0.1", "127。0。0。1"),
    ],
)
def test_no_spelling_of_an_inner_address_is_connected_to(host):
    asked = []

    def answer(request):
        asked.append(request.host)
        hello(request)

    async def use(client):
        async with serving(answer) as port:
            with pytest.raises(AddressRefusedError):
                await client.fetch(f"http://{host}:{port}/")
            with pytest.raises(AddressRefusedError):
                await client.fetch(f"http://{host}:{port}/", connect_timeout=0)

    run_with_client(use, addresses=AddressPolicy())
    assert asked == []


def test_name_that_leads_inside_the_second_time_is_refused(authority):
    """DNS rebinding: what was allowed is the address of one connection, not the name."""
    asked = []

    def inner(request):
        asked.append(request.host)
        hello(request)

    async def use(client):
        resolver = Resolver("127.0.0.1", "127.0.0.2")
        async with looked_up(authority, resolver) as (port, doh):
            fields = {"prepare_curl_callback": asking(doh, DNS_CACHE_TIMEOUT=0, FORBID_REUSE=1)}
            first = await client.fetch(f"http://rebind.example:{port}/", **fields)
            with pytest.raises(AddressRefusedError, match=r"rebind\.example: the address 127\.0\.0\.2") as caught:
                await client.fetch(f"http://rebind.example:{port}/", **fields)
            return first.body, caught.value.address, resolver.asked

    assert run_with_client(use, addresses=PUBLIC) == (b"GET / 0", "127.0.0.2", 2)


def test_name_that_leads_inside_behind_a_redirect_is_refused(authority):
    def redirect(request):
        request.connection.answer(
            b"HTTP/1.1 302 Found\r\nLocation: http://%b/inside\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
            % request.host.encode()
        )

    async def use(client):
        resolver = Resolver("127.0.0.1", "127.0.0.2")
        doh_options = {"ssl_options": authority.context("localhost")}
        async with serving(redirect) as port, serving(resolver, **doh_options) as doh:
            fields = {"prepare_curl_callback": asking(doh, DNS_CACHE_TIMEOUT=0)}
            with pytest.raises(AddressRefusedError) as caught:
                await client.fetch(f"http://rebind.example:{port}/", **fields)
            return caught.value.address, caught.value.response.effective_url.rpartition("/")[2]

    assert run_with_client(use, addresses=PUBLIC) == ("127.0.0.2", "inside")


def test_connection_that_is_kept_stays_where_it_was_allowed(authority):
    async def use(client):
        resolver = Resolver("127.0.0.1", "127.0.0.2")
        async with looked_up(authority, resolver) as (port, doh):
            fields = {"prepare_curl_callback": asking(doh, DNS_CACHE_TIMEOUT=0)}
            return [(await client.fetch(f"http://rebind.example:{port}/", **fields)).code for _ in range(2)]

    assert run_with_client(use, addresses=PUBLIC) == [200, 200]


def test_answer_of_the_dns_is_kept_and_asked_for_again_when_it_is_old(authority, monkeypatch):
    async def use(client):
        resolver = Resolver("127.0.0.1")
        async with looked_up(authority, resolver) as (port, doh):
            url, fields = f"http://kept.example:{port}/", {"prepare_curl_callback": asking(doh, FORBID_REUSE=1)}
            for _ in range(5):
                await client.fetch(url, **fields)
            assert resolver.asked == 1
            monkeypatch.setattr(handle, "DNS_CACHE_S", 1)
            while resolver.asked == 1:
                await client.fetch(url, **fields)

    run_with_client(use)


@pytest.mark.parametrize("field", ["url", "proxy_host"])
def test_missing_name_is_said_and_found_soon_after_it_is_there(field, authority, monkeypatch):
    async def use(client):
        resolver = Resolver(None, "127.0.0.1")
        async with looked_up(authority, resolver) as (port, doh):
            url, fields = f"http://New.example:{port}/", {"prepare_curl_callback": asking(doh)}
            if field == "proxy_host":
                fields |= {"proxy_host": "New.example", "proxy_port": port}
            for _ in range(3):
                with pytest.raises(CurlError, match=r"(?i)new\.example") as caught:
                    await client.fetch(url, **fields)
                assert caught.value.errno == (5 if field == "proxy_host" else 6)
            assert resolver.asked == 1  # who asks in a loop does not ask the DNS each time
            monkeypatch.setattr(transfer, "FAILED_NAME_S", 0.0)
            response = await client.fetch(url, **fields)
            return response.code, resolver.asked, client.means.failed_names

    assert run_with_client(use) == (200, 2, {})


def test_names_that_failed_are_not_remembered_without_end():
    means = transfer.Means(None)
    for number in range(5000):
        means.note_failed_name(f"{number}.example:80", 0.0)
    assert len(means.failed_names) == 1000
    assert means.forgets_failed_name("4999.example:80", 2.0)
    assert not means.forgets_failed_name("4999.example:80", 2.0)
