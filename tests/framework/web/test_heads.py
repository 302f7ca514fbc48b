import pytest

from framework.web import heads


def test_common_head_is_a_200_up_to_the_length():
    head = heads.common_head("text/html" + heads.connection_line(False, "HTTP/1.1"))
    lines = head.decode().split("\r\n")
    assert lines[:2] == ["HTTP/1.1 200 OK", f"Server: {heads.SERVER}"]
    assert lines[2].startswith("Date: ") and lines[2].endswith(" GMT")
    assert lines[3:] == ["Content-Type: text/html", "Connection: close", "Content-Length: "]


def test_common_heads_are_bounded():
    for number in range(1000):
        heads.common_head(f"text/{number}")
    assert len(heads._prebuilt) <= 64


@pytest.mark.parametrize(
    ("is_kept", "version", "line"),
    [
        (True, "HTTP/1.1", ""),
        (True, "HTTP/1.0", "\r\nConnection: keep-alive"),
        (False, "HTTP/1.1", "\r\nConnection: close"),
        (False, "HTTP/1.0", "\r\nConnection: close"),
    ],
)
def test_connection_line_says_what_the_version_does_not(is_kept, version, line):
    assert heads.connection_line(is_kept, version) == line


def test_head_is_formatted_in_order():
    head = heads.format_head(404, None, [("A", "1"), ("Set-Cookie", "x"), ("Set-Cookie", "y")])
    assert head == b"HTTP/1.1 404 Not Found\r\nA: 1\r\nSet-Cookie: x\r\nSet-Cookie: y\r\n\r\n"


def test_reason_of_an_unknown_status():
    assert heads.reason_phrase(799, None) == "Unknown"
    assert heads.reason_phrase(799, "Mine") == "Mine"


@pytest.mark.parametrize("text", ["a\r\nb", "a\nb", "a\rb", "a\x00b", "a\x7fb", "a\x0bb"])
def test_text_that_ends_a_line_is_unsafe(text):
    assert heads.is_unsafe(text)


def test_tab_and_blank_are_safe():
    assert not heads.is_unsafe("a\tb c")
