"""Text made safe for its place."""

import html
import json
import re
from html.parser import HTMLParser
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from framework import escape


@pytest.mark.parametrize(
    ("plain", "escaped"),
    [
        ("<foo>", "&lt;foo&gt;"),
        ("\"'&", "&quot;&#39;&amp;"),
        ("é", "é"),
        ("", ""),
        (b"<b>", "&lt;b&gt;"),
        ("&lt;", "&amp;lt;"),
    ],
)
def test_item_024_xhtml_escape(plain: str | bytes, escaped: str) -> None:
    assert escape.xhtml_escape(plain) == escaped
    assert escape.xhtml_unescape(escaped) == escape.to_unicode(plain)


def test_xhtml_escape_leaves_safe_text_alone() -> None:
    assert escape.xhtml_escape(escape.Safe("<b>")) == "<b>"
    assert escape.xhtml_escape(escape.Safe("<b>") + "<i>") == "&lt;b&gt;&lt;i&gt;"


@given(st.text())
def test_xhtml_escape_returns_by_unescape(text: str) -> None:
    escaped = escape.xhtml_escape(text)
    assert not set("<>\"'") & set(escaped)
    assert escape.xhtml_unescape(escaped) == html.unescape(escaped)


@pytest.mark.parametrize("value", ["</script><script>alert(1)", "<!-- <script>", {"a": ["</", "\u2028"]}])
def test_item_134_json_encode_is_safe_inside_a_script_element(value: object) -> None:
    text = escape.json_encode(value)
    assert "</" not in text and "<!--" not in text and text.isascii()
    assert escape.json_decode(text) == json.loads(text) == value


def test_squeeze_joins_whitespace() -> None:
    assert escape.squeeze(" a \t\n b\x00\x01c ") == "a b c"


@pytest.mark.parametrize(
    ("plain", "query", "path"),
    [("a b+é", "a+b%2B%C3%A9", "a%20b%2B%C3%A9"), ("/", "%2F", "/"), (b"\xff", "%FF", "%FF")],
)
def test_item_134_url_escape(plain: str | bytes, query: str, path: str) -> None:
    assert escape.url_escape(plain) == query
    assert escape.url_escape(plain, plus=False) == path
    assert escape.url_unescape(query, encoding=None) == escape.utf8(plain)
    assert escape.url_unescape(path, encoding=None, plus=False) == escape.utf8(plain)


def test_url_unescape_refuses_what_is_not_text() -> None:
    with pytest.raises(UnicodeDecodeError):
        escape.url_unescape("%ff")


def test_parse_qs_bytes() -> None:
    assert escape.parse_qs_bytes("a=%ff&b=1&b=+&c=") == {"a": [b"\xff"], "b": [b"1", b" "]}
    assert escape.parse_qs_bytes("c=", keep_blank_values=True) == {"c": [b""]}


def test_text_and_bytes() -> None:
    assert (escape.utf8("é"), escape.utf8(None)) == (b"\xc3\xa9", None)
    assert (escape.to_unicode(b"\xc3\xa9"), escape.native_str(None)) == ("é", None)
    assert escape.recursive_unicode({b"a": [b"b", (b"c", 1)]}) == {"a": ["b", ("c", 1)]}
    with pytest.raises(TypeError, match="int"):
        escape.utf8(5)  # type: ignore[call-overload]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("hello http://x.com/!", 'hello <a href="http://x.com/">http://x.com/</a>!'),
        ("www.x.com", '<a href="http://www.x.com">www.x.com</a>'),
        ("(https://x.com/a?b=1&c=2)", '(<a href="https://x.com/a?b=1&amp;c=2">https://x.com/a?b=1&amp;c=2</a>)'),
        ("http://x.com/a_(b)_c", '<a href="http://x.com/a_(b)_c">http://x.com/a_(b)_c</a>'),
        ("(see http://x.com/a_(b)).", '(see <a href="http://x.com/a_(b)">http://x.com/a_(b)</a>).'),
        ("http://... www....", "http://... www...."),
        ("http://[::1]/", '<a href="http://[::1]/">http://[::1]/</a>'),
        ("见http://x.com/é。然后", '见<a href="http://x.com/é">http://x.com/é</a>。然后'),
        ("javascript:/alert(1)", "javascript:/alert(1)"),
        ("javascript://%0aalert(1)", "javascript://%0aalert(1)"),
        ("<script>http://x.com", '&lt;script&gt;<a href="http://x.com">http://x.com</a>'),
        ('http://x.com/"onclick="', '<a href="http://x.com/">http://x.com/</a>&quot;onclick=&quot;'),
    ],
)
def test_item_134_linkify(text: str, expected: str) -> None:
    assert escape.linkify(text) == expected


def test_linkify_options() -> None:
    url = "http://x.com/a-long-path/that-goes-on-and-on?and=on"
    short = escape.linkify(url, shorten=True)
    assert "..." in short and f'title="{url}"' in short
    assert escape.linkify("www.x.com", require_protocol=True) == "www.x.com"
    assert 'rel="nofollow"' in escape.linkify("http://x.com", extra_params='rel="nofollow"')
    assert 'class="x"' in escape.linkify("http://x.com", extra_params=lambda href: 'class="x"' if "x" in href else "")
    assert escape.linkify("ftp://x.com", permitted_protocols=["ftp"]).startswith("<a ")


@pytest.mark.parametrize("unit", ["(", "http://", "www.", "a:/", "a+", "http://x.com/(a", "http://x/(a)(", "&"])
def test_linkify_takes_linear_time(unit: str) -> None:
    # A quadratic pattern would take hours for this much, and the run's time-out would name the test.
    text = unit * 100_000
    assert len(escape.linkify(text)) >= len(text)


class _Tags(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.seen: list[tuple[str, list[str]]] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.seen.append((tag, [name for name, _ in attrs]))


@settings(max_examples=300)
@given(st.text("htps:/w.x<>\"'&; =()!\n") | st.text())
def test_linkify_never_lets_markup_through(text: str) -> None:
    tags = _Tags()
    tags.feed(escape.linkify(text))
    assert all(seen == ("a", ["href"]) for seen in tags.seen)


def test_any_value_is_printed_as_what_it_is() -> None:
    class Markup:
        def __html__(self) -> str:
            return "<i>"

    class Shown:
        def __str__(self) -> str:
            return "<s>"

    values = ["<", b"<\xc3\xa9", 5, 1.5, None, Markup(), Shown(), escape.Safe("<b>")]
    printed = ["&lt;", "&lt;é", "5", "1.5", "None", "<i>", "&lt;s&gt;", "<b>"]
    assert [escape.escape_value(value) for value in values] == printed
    markup: Any = Markup()
    assert escape.xhtml_escape(markup) == "<i>"
    number: Any = 5
    with pytest.raises(TypeError):
        escape.xhtml_escape(number)


def test_plus_is_a_blank_in_a_query_only() -> None:
    assert (escape.url_unescape("a+b%20c"), escape.url_unescape("a+b%20c", plus=False)) == ("a b c", "a+b c")
    assert (escape.url_unescape("a+%FF", None), escape.url_unescape("a+%FF", None, False)) == (b"a \xff", b"a+\xff")


def test_short_form_of_a_url_keeps_its_host() -> None:
    path = "/a/very/long/path/that/nobody/wants/to/see"
    for start in ("http://example.com", "www.example.com"):
        shown = re.sub("<[^>]*>", "", escape.linkify(start + path, shorten=True))
        assert shown.startswith(f"{start}/a") and shown.endswith("...") and len(shown) < len(start + path)
