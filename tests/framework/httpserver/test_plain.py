import pytest

from framework.httpserver import Connection, HTTPServer
from tests.support.memory import MemoryTransport

HEAD = b"HTTP/1.1\r\nHost: h\r\n"
POST = b"POST /p " + HEAD + b"Content-Type: text/plain\r\nContent-Length: 5\r\nA: b\r\n\r\nhello"
LATE = b"GET /l HTTP/1.1\r\nA: b\r\nHost: h\r\nC: d\r\n\r\n"
PROXIED = (
    b"X-Request-ID: r-1\r\nX-Request-Start: t=1764000000.123\r\nX-Real-IP: 192.0.2.17\r\n"
    b"X-Forwarded-For: 192.0.2.17\r\nX-Forwarded-Proto: https\r\nX-Scheme: https\r\n"
)


class Answering:
    """Answers, and remembers what was asked."""

    def __init__(self):
        self.requests = []

    def __call__(self, request):
        self.requests.append(request)
        request.connection.answer(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")


def asked(loop, data, times=2, peer="192.0.2.1", connections=1, **options):
    """The requests that come of feeding the same bytes several times, from the second one on the plain way."""
    application = Answering()
    server = HTTPServer(application, io_loop=loop, xheaders=True, trusted_downstream=["127.0.0.1"], **options)
    for _ in range(connections):
        connection = Connection(server)
        transport = MemoryTransport(connection, {"peername": (peer, 1)})
        connection.connection_made(transport)
        for _ in range(times):
            connection.data_received(data)
    return application.requests


@pytest.mark.parametrize(
    "data",
    [
        b"GET / " + HEAD + b"\r\n",
        b"GET / " + HEAD + b"X-Forwarded-For: 192.0.2.5\r\nX-Forwarded-Proto: https\r\n\r\n",
        LATE,
        LATE.replace(b"A: b", b"X-Forwarded-For: 192.0.2.5"),
        LATE.replace(b"A: b", b"Content-Length: 2") + b"ab",
        LATE.replace(b"C: d", b"Content-Length: 2") + b"ab",
        POST,
        POST.replace(HEAD, HEAD + PROXIED),
    ],
)
def test_the_plain_way_and_the_long_way_find_the_same(loop, data):
    for peer in ("192.0.2.1", "127.0.0.1"):
        # The first goes the long way; the others are found by what is remembered of it.
        first, *others = asked(loop, data, times=4, peer=peer)
        assert len(others) == 3
        for name in ("method", "uri", "path", "host", "version", "body", "raw_head", "remote_ip", "protocol", "trace"):
            for other in others:
                assert getattr(first, name) == getattr(other, name), name


@pytest.mark.parametrize("line", [b"X-Forwarded-For: 192.0.2.9", b"X-Real-IP: 192.0.2.9"])
def test_what_a_stranger_has_sent_a_proxy_may_send_too(loop, line):
    data = b"GET / " + HEAD + line + b"\r\n\r\n"
    for peer, ip in (("192.0.2.1", "192.0.2.1"), ("127.0.0.1", "192.0.2.9"), ("192.0.2.1", "192.0.2.1")):
        assert [request.remote_ip for request in asked(loop, data, times=4, peer=peer)] == [ip] * 4


def test_what_the_proxy_says_is_believed_if_it_is_trusted(loop):
    data = b"GET / " + HEAD + PROXIED + b"\r\n"
    for request in asked(loop, data, peer="127.0.0.1"):
        assert (request.remote_ip, request.protocol) == ("192.0.2.17", "https")
        assert request.trace == (b"r-1", b"t=1764000000.123")
    for request in asked(loop, data):
        assert (request.remote_ip, request.protocol) == ("192.0.2.1", "http")


@pytest.mark.parametrize(
    "line, said",
    [
        (b"X-Forwarded-For: 192.0.2.9", ("192.0.2.9", "http")),
        (b"x-forwarded-for:192.0.2.9", ("192.0.2.9", "http")),
        (b"X-Forwarded-Proto: https", ("127.0.0.1", "https")),
        (b"x-forwarded-PROTO: https", ("127.0.0.1", "https")),
        (b"X-Real-IP: 192.0.2.9", ("192.0.2.9", "http")),
        (b"x-scheme: https", ("127.0.0.1", "https")),
        (b"X-Forwarded-Host: h", ("127.0.0.1", "http")),
        (b"Accept: X-Real-IP: 192.0.2.9", ("127.0.0.1", "http")),
    ],
)
@pytest.mark.parametrize("head", [HEAD, b"HTTP/1.1\r\nAccept: a\r\nHost: h\r\n", HEAD.replace(b"1.1", b"1.0")])
@pytest.mark.parametrize("number", [1, 3])
def test_other_proxies_are_believed_alone_and_in_a_batch(loop, line, said, head, number):
    data = b"GET / " + head + line + b"\r\nConnection: Keep-Alive\r\n\r\n"
    requests = asked(loop, data * number, peer="127.0.0.1")
    assert [(request.remote_ip, request.protocol) for request in requests] == [said] * 2 * number


@pytest.mark.parametrize("line", [b"X-Real-IP: 192.0.2.99", b"x-REAL-ip: 192.0.2.99", b"X-Scheme: http"])
def test_a_client_can_not_speak_before_its_proxy(loop, line):
    """A proxy that only appends its fields would let a client send ours first: then the last one counts."""
    data = b"GET / " + HEAD + PROXIED + line + b"\r\n\r\n"
    first, second = asked(loop, data, peer="127.0.0.1")
    assert (first.remote_ip, first.protocol) == (second.remote_ip, second.protocol) != ("192.0.2.17", "https")


def test_bodies_keep_their_limit(loop):
    requests = asked(loop, POST, max_body_bytes=5)
    assert [request.body for request in requests] == [b"hello", b"hello"]
    assert not asked(loop, POST, times=1, max_body_bytes=4)


def test_a_body_in_two_reads_is_no_lone_request(loop):
    application = Answering()
    connection = Connection(HTTPServer(application, io_loop=loop))
    connection.connection_made(MemoryTransport(connection))
    for data in (POST, POST[:-2], POST[-2:], POST + POST):
        connection.data_received(data)
    assert [request.body for request in application.requests] == [b"hello"] * 4


def test_conditions_are_not_plain(loop):
    plain = b"GET /c " + HEAD + b"\r\n"
    conditional = b"GET /c " + HEAD + b'if-none-match: "x"\r\n\r\n'
    assert [request.is_plain_get for request in asked(loop, plain, times=3)][1:] == [True, True]
    assert not any(request.is_plain_get for request in asked(loop, conditional))
    assert not any(request.is_plain_get for request in asked(loop, plain.replace(b"GET", b"HEAD"), times=3))


@pytest.mark.parametrize("line, is_kept", [(b"", False), (b"Connection: Keep-Alive\r\n", True)])
def test_http_1_0_is_kept_only_if_it_says_so(loop, line, is_kept):
    # ApacheBench says Connection before Host.
    for fields in (b"Host: h\r\n" + line, line + b"A: b\r\nHost: h\r\n"):
        requests = asked(loop, b"GET /0 HTTP/1.0\r\n" + fields + b"\r\n", times=1, connections=3)
        assert [request.connection.keep_alive for request in requests] == [is_kept] * 3
        assert [(request.version, request.body) for request in requests] == [("HTTP/1.0", b"")] * 3
        assert [request.is_plain_get for request in requests] == [False, True, True]


def test_http_1_0_with_a_body_goes_the_long_way(loop):
    data = b"POST /old HTTP/1.0\r\nConnection: Keep-Alive\r\nHost: h\r\nContent-Length: 2\r\n\r\nab"
    assert [(request.version, request.body) for request in asked(loop, data, times=3)] == [("HTTP/1.0", b"ab")] * 3
    assert not asked(loop, data.replace(b"ab", b"a"), times=1)
