import pytest

from framework.httpserver.xheaders import is_within, parse_address, parse_networks, read_xheaders


@pytest.mark.parametrize(
    "text, expected",
    [
        (b"192.0.2.1", "192.0.2.1"),
        (b" 192.0.2.1:8080 ", "192.0.2.1"),
        (b"2001:DB8::1", "2001:db8::1"),
        (b"[2001:db8::1]", "2001:db8::1"),
        (b"[2001:db8::1]:443", "2001:db8::1"),
        (b"unknown", None),
        (b"", None),
        (b"192.0.2.1:http", None),
        (b"[2001:db8::1", None),
        (b"[::1]x", None),
        (b"fe80::1%eth0", None),
        (b"1" * 100, None),
        (b"192.0.2.256", None),
        (b"\xd9\xa1.2.3.4", None),
    ],
)
def test_addresses(text, expected):
    assert parse_address(text) == expected


TRUSTED = parse_networks(["10.0.0.0/8", "fd00::/8"])


@pytest.mark.parametrize(
    "lines, expected",
    [
        ([], (None, None)),
        ([b"X-Real-IP: 192.0.2.1", b"X-Scheme: https"], ("192.0.2.1", "https")),
        ([b"x-real-ip: 192.0.2.1", b"X-Forwarded-For: 192.0.2.2"], ("192.0.2.1", None)),
        ([b"X-Scheme: http", b"X-Forwarded-Proto: https"], (None, "http")),
        ([b"X-Forwarded-Proto: https, http"], (None, "http")),
        ([b"X-Scheme: gopher"], (None, None)),
        ([b"X-Forwarded-For: 192.0.2.9, 192.0.2.2, 10.1.1.1, 10.1.1.2"], ("192.0.2.2", None)),
        ([b"X-Forwarded-For: 192.0.2.9", b"X-Forwarded-For: 192.0.2.2"], ("192.0.2.2", None)),
        ([b"X-Forwarded-For: 10.1.1.1"], ("10.1.1.1", None)),
        ([b"X-Forwarded-For: nonsense, 10.1.1.1"], ("10.1.1.1", None)),
        ([b"X-Forwarded-For: nonsense"], (None, None)),
        ([b"X-Real-IP: nonsense", b"X-Forwarded-For: 192.0.2.2"], ("192.0.2.2", None)),
        ([b"A: X-Real-IP: 192.0.2.1"], (None, None)),
    ],
)
def test_xheaders(lines, expected):
    head = b"".join(line + b"\r\n" for line in [b"GET / HTTP/1.1", *lines, b""])
    assert read_xheaders(head, TRUSTED) == expected


def test_networks():
    assert is_within("10.2.3.4", TRUSTED) and is_within("::ffff:10.2.3.4", TRUSTED) and is_within("fd00::1", TRUSTED)
    assert not is_within("192.0.2.1", TRUSTED) and not is_within("", TRUSTED)
    with pytest.raises(ValueError):
        parse_networks(["10.0.0.0/99"])
