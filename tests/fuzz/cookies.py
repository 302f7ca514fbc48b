"""Fuzzes cookies: no header hides a neighbour, no forged value is taken, no attribute brings another along.

python -m tests.fuzz.cookies --seconds 600
"""

from framework.cookies import format_set_cookie, parse_cookies
from framework.signing import create_signed_value, decode_signed_value, get_signature_key_version
from framework.web.xsrf import format_token, parse_token
from tests.fuzz import engine

SECRETS = {1: "one secret", 2: "another secret"}
NOW = 1_800_000_000.0
SIGNED = create_signed_value(SECRETS, "user", "ann", clock=lambda: NOW, key_version=2)
SIGNED_V1 = create_signed_value(SECRETS[1], "user", "ann", version=1, clock=lambda: NOW)
TOKEN = b"0123456789abcdef"
ATTRIBUTES = ("domain", "path", "expires", "max_age", "samesite", "comment", "priority", "version", "Path", "secure")

CORPUS = [
    b'a=1; b="x\\054\\"y"; _xsrf=2|0|0|0; nameless; =; c="half',
    b"ads=[x],{y}; bad name=1; a=b=c;;; a=\xc3\xa9\xff",
    SIGNED,
    SIGNED_V1,
    format_token(TOKEN).encode(),
    b"example.com",
    b"/path; Domain=evil.example",
    b"Lax",
    b"Fri, 02 Jan 2026 03:04:05 GMT",
]
TOKENS = [
    *(b";", b"; ", b"=", b",", b'"', b"\\", b"\\0", b"\\054", b'\\"', b" ", b"\t", b"\r\n", b"\0", b"\x7f", b"\x85"),
    *(b"|", b":", b"2|", b"1:0|", b"4:user|", b"4:YW5u|", b"+1", b"1_0", b"00", b"-", "\u0661é\u2028".encode()),
    *(b"_xsrf=", b"$Version=1", b"__Host-", b"Path=/", b"HttpOnly", b"; Secure", b"expires=", b"None", b"lax"),
]


def check_header(text):
    """What follows a header of any kind is still read (hackerone 26647: one odd cookie hid the XSRF cookie)."""
    found = parse_cookies(text + "; _xsrf=kept")
    assert found["_xsrf"] == "kept", found
    for name, cookie in found.items():
        assert cookie.key == name and cookie.value == cookie, name


def check_signed(text):
    """Only what we signed is taken, for what it said; and nothing makes the reader fail."""
    for secrets, min_version in ((SECRETS, 2), (SECRETS[1], 1), (list(SECRETS.values()), 1)):
        found = decode_signed_value(secrets, "user", text, clock=lambda: NOW, min_version=min_version)
        assert found is None or (found == b"ann" and text in (SIGNED.decode(), SIGNED_V1.decode())), found
        assert decode_signed_value(secrets, "other", text, clock=lambda: NOW, min_version=2) is None
    get_signature_key_version(text)
    token = parse_token(text)
    assert token is None or len(token) >= 4, token


def check_set_cookie(text, generator):
    """What is written has the attributes that were given, and ends nowhere else."""
    for attribute in generator.sample(ATTRIBUTES, 3):
        for name, value, attributes in (("a", "b", {attribute: text}), ("a", text, {}), (text, "b", {"path": "/"})):
            try:
                line = format_set_cookie(name, value, attributes)
            except ValueError:
                continue
            assert line.isascii() and line.isprintable(), line
            assert line.count(";") == len(attributes), line


def run(seconds, seed=0):
    """The number of inputs tried.

    Raises:
        AssertionError: one of the three does not hold.
    """

    def check(data, generator):
        text = data.decode("utf-8", "surrogateescape")
        check_header(text)
        check_signed(text)
        check_set_cookie(text, generator)

    return engine.fuzz(check, CORPUS, TOKENS, seconds, seed)


if __name__ == "__main__":
    engine.main(run)
