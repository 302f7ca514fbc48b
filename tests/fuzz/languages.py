"""Fuzzes Accept-Language: whatever it says, the answer is a locale that we have, and the most wanted comes first.

python -m tests.fuzz.languages --seconds 600
"""

import re

from framework import locale
from framework.locale import Locale, parse_accept_language
from tests.fuzz import engine

CORPUS = [
    b"da, en-gb;q=0.8, en;q=0.7",
    b"fr-CH, fr;q=0.9, en;q=0.8, de;q=0.7, *;q=0.5",
    b"zh-Hant-TW,zh;q=0,es-419;q=1.0,iw,no-NO;q=0.123",
    b"en;q=x, ;;, de;q=1.5;level=1, a" + b"-b" * 20,
]
TOKENS = [
    *(
        b",",
        b";",
        b"q=",
        b";q=0.5",
        b";q=0",
        b";q=1.0",
        b"q=+1",
        b"q=1e3",
        b"q=nan",
        b"=",
        b"-",
        b"_",
        b"*",
        b" ",
        b"\t",
    ),
    *(b"en", b"en-US", b"zh-TW", b"iw", b"nb", b"sr-Latn", b"x-private", b"../..", b"\0", b"\xc3\xa9", b"\xff"),
]
SUPPORTED = ("en_US", "es", "es_GT", "fr_CA", "he", "id", "nb", "pt_BR", "sr_Latn", "zh_Hans", "zh_Hant")


def run(seconds, seed=0):
    """The number of inputs tried.

    Raises:
        AssertionError: a locale that we do not have, or an order that is not the header's.
    """
    before = locale._catalogue.locales
    locale._catalogue.replace({code: Locale(code) for code in SUPPORTED})

    def check(data, generator):
        header = data.decode("latin-1")
        wanted = parse_accept_language(header)
        assert all(re.fullmatch(r"[A-Za-z0-9_]+", code) for code in wanted), wanted
        assert locale.get(*wanted).code in SUPPORTED
        # Whatever a stranger's header begins with: a language that nothing is wanted more than comes before it.
        assert parse_accept_language(f"es_GT,{header}")[0] == "es_GT"
        assert locale.get(*parse_accept_language(f"he,{header}")).rtl
        if "yy" not in header.lower():
            # Items of one weight keep their order, whatever stands around them.
            codes = parse_accept_language(f"xx;q=0.001,yy;q=0.001,{header}")
            assert codes.index("xx") < codes.index("yy")

    try:
        return engine.fuzz(check, CORPUS, TOKENS, seconds, seed)
    finally:
        locale._catalogue.replace(before)


if __name__ == "__main__":
    engine.main(run)
