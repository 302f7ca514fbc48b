"""Fuzzes linkify: whatever the text, its markup is links with an http address, and their text is the text.

python -m tests.fuzz.links --seconds 600
"""

from html.parser import HTMLParser

from framework.escape import linkify
from tests.fuzz import engine

CORPUS = [
    b"hello http://x.com/a_(b)?c=1&d=<i>\"'! www.x.com, (https://[::1]/) javascript://x",
    "见http://bücher.de/é。http://x.com/".encode() + b"a" * 40 + b" HTTP://X.Y/(a(b)) ftp://x data:text/html,<script>",
]
TOKENS = [
    *(b"http://", b"https:///", b"www.", b"javascript:", b"//", b"&quot;", b"&", b"<", b">", b'"', b"'", b"`", b"="),
    *(b"(", b")", b"[", b"]", b"{", b".", b",", b"!", b":", b";", b"?", b"#", b"/", b" ", b"\n", b"\0", b"\x85"),
    *(b"<script>", b"onclick=", b"x.com", b"a", "é。\u2028\u00a0ſK".encode()),
]


class _Links(HTMLParser):
    """Notes the tags and the text of a page."""

    def __init__(self):
        super().__init__(convert_charrefs=True)
        self.tags, self.text = [], ""

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))

    def handle_data(self, data):
        self.text += data

    def handle_comment(self, data):
        self.tags.append(("comment", {}))

    handle_decl = handle_pi = unknown_decl = handle_comment


def run(seconds, seed=0):
    """The number of inputs tried.

    Raises:
        AssertionError: something of the text became markup, or was lost.
    """

    def check(data, generator):
        text = data.decode("utf-8", "replace")
        for shorten in (False, True):
            links = _Links()
            links.feed(linkify(text, shorten=shorten))
            links.close()
            for tag, attributes in links.tags:
                assert tag == "a" and set(attributes) <= {"href", "title"}, tag
                assert attributes["href"].lower().startswith(("http://", "https:/", "http:/")), attributes
            if not shorten:
                assert links.text == text, links.text

    return engine.fuzz(check, CORPUS, TOKENS, seconds, seed)


if __name__ == "__main__":
    engine.main(run)
