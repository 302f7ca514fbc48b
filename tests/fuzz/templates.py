"""Fuzzes the template compiler: any source compiles or is a ParseError with a line of that source.

python -m tests.fuzz.templates --seconds 600
"""

import warnings

from framework.template import DictLoader, ParseError
from tests.fuzz import engine

CORPUS = [
    b"<b>{{ name }}</b>{# c #}{% comment c %}{{! x }}{% raw '<' %}{{ {1: {2: 3}} }}{{ '}}' }}",
    b"{% for x in range(3) %}{% if x == 1 %}{% continue %}{% elif x %}{% break %}{% else %}{{ x }}{% end %}{% end %}",
    b"{% while x %}{% try %}{{ 1 / 0 }}{% except ValueError as e %}{% finally %}{% end %}{% end %}",
    b"{% extends base %}{% block a %}{% include part %}{% end %}{% set x = '''a\nb''' %}{% import math %}",
    b"{% apply str.upper %}{% module Entry(1, a=2) %}{% end %}{% autoescape None %}{% whitespace oneline %} a  b",
    b"{{ [1, # why\n 2] }}{% set x = [1,\n 2] %}{{ f'{x!r:>{w}}' }}{{ lambda a: (yield) }}{% from a import b %}",
]
TOKENS = [
    *(b"{{", b"}}", b"{%", b"%}", b"{#", b"#}", b"{", b"}", b"!", b"(", b")", b"[", b"]", b":", b"=", b",", b"."),
    *(b"'", b'"', b"'''", b"\\", b"\n", b"\r", b"\0", b"\t", b"#", b" ", b"f'{", b"*", b"0", b"\xc3\xa9"),
    *(b"if ", b"elif ", b"else", b"for x in y", b"while ", b"try", b"except", b"finally", b"end", b"{% end %}"),
    *(b"block a", b"extends base", b"include part", b"set x = ", b"apply f", b"module M()", b"raw ", b"autoescape "),
    *(b"import os", b"from os import ", b"yield", b"await ", b"lambda: ", b"return", b"global x", b"_tt_print", b":="),
]


def run(seconds, seed=0):
    """The number of inputs tried.

    Raises:
        AssertionError: a ParseError without a line of the source.
        Exception: whatever else the compiler failed with.
    """

    def check(data, generator):
        text = data.decode("utf-8", "replace")
        loader = DictLoader({"page": text, "base": "{% block a %}{% end %}", "part": "{% block a %}x{% end %}"})
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", SyntaxWarning)  # "\d" and `1 is 1` are the author's own business
            try:
                loader.load("page")
            except ParseError as error:
                assert error.filename in loader.dict, error
                assert 1 <= error.lineno <= loader.dict[error.filename].count("\n") + 1, error

    return engine.fuzz(check, CORPUS, TOKENS, seconds, seed)


if __name__ == "__main__":
    engine.main(run)
