"""Templates that can't be compiled say where and why; others never make the compiler fail otherwise."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from framework.template import DictLoader, ParseError, Template, filter_whitespace


@pytest.mark.parametrize(
    ("text", "line", "message"),
    [
        ("{% if %}", 1, "if: expected something behind it"),
        ("a\n\n{{ a b }}", 3, "not a Python expression"),
        ("{{ x) + (y }}", 1, "unbalanced parentheses"),
        ("{{ {1: {2: }} }}\n{{ {} }}", 1, "not a Python expression"),
        ("{% set x = 1 #\nimport os %}", 1, "not Python"),
        ("a\n{% for x in %}{% end %}", 2, "not Python"),
        ("a\n{% if x %}\nb", 2, "{% end %} of if is missing"),
        ("{% foo %}", 1, "foo: no such directive"),
        ("{% for x in y %}\n{% endfor %}", 2, "endfor: no such directive; {% end %} ends all of them"),
        ("a\n{{ x", 2, "}} is missing"),
        ("{% x", 1, "%} is missing"),
        ("{# x", 1, "#} is missing"),
        ("{% end %}", 1, "{% end %} without a beginning"),
        ("{% break %}", 1, "break outside of a loop"),
        ("{% for x in y %}{% apply f %}{% continue %}{% end %}{% end %}", 1, "continue outside of a loop"),
        ("{% else %}", 1, "else outside of if or for or while or try"),
        ("{% if x %}{% except %}{% end %}", 1, "except outside of try"),
        ("{{ (yield) }}", 1, "yield has no place"),
        ("{{ await x }}", 1, "not"),
        ("{% set x %}", 1, "set: expected name = value"),
        ("{% set import os %}", 1, "set: expected name = value"),
        ("{% from x %}", 1, "not a Python expression"),
        ("{% if a b %}{% end %}", 1, "not Python"),
        ("{{ }}", 1, "an expression is missing"),
        ("{% %}", 1, "a directive is missing"),
        ("{% extends 'x' %}", 1, "extends and include need a loader"),
        ("{% extends %}", 1, "extends: expected a template's name"),
        ("{% whitespace odd %}", 1, "whitespace: expected all, single or oneline, got 'odd'"),
        ("{% module 5 %}", 1, "module: expected a call"),
        ("{% if x %}" * 70 + "{% end %}" * 70, 1, "more than 60 directives inside each other"),
    ],
)
def test_parse_error_has_name_line_and_reason(text: str, line: int, message: str) -> None:
    with pytest.raises(ParseError) as caught:
        Template(text, name="page.html")
    assert (caught.value.filename, caught.value.lineno) == ("page.html", line)
    assert message in caught.value.message and f"page.html:{line}: " in str(caught.value)


def test_parse_error_quotes_the_source() -> None:
    with pytest.raises(ParseError, match=r"<p>\{\{ a b \}\}</p>"):
        Template("one\n  <p>{{ a b }}</p>\n")


@pytest.mark.parametrize("name", ["self", "a", "b"])
def test_template_that_uses_itself_is_an_error(name: str) -> None:
    loader = DictLoader({"self": "{% include self %}", "a": "{% extends b %}", "b": "{% extends a %}"})
    with pytest.raises(ParseError):
        loader.load(name)


@pytest.mark.parametrize(("mode", "result"), [("all", " a \n\n\t b  c"), ("single", " a\nb c"), ("oneline", " a b c")])
def test_filter_whitespace(mode: str, result: str) -> None:
    assert filter_whitespace(mode, " a \n\n\t b  c") == result


_PARTS = st.sampled_from(
    [
        *(
            "{{",
            "}}",
            "{%",
            "%}",
            "{#",
            "#}",
            "{",
            "}",
            "!",
            "if",
            "for",
            "x",
            "in",
            "end",
            "else",
            "block",
            "set",
            "=",
        ),
        *(
            "apply",
            "try",
            "except",
            "raw",
            "module",
            "(",
            ")",
            "'",
            '"',
            "\\",
            "#",
            ":",
            "é",
            "\0",
            "while",
            "lambda",
            "*",
        ),
        *("autoescape", "yield", "import", "from", "break", "whitespace", "None", 'f"{', "0", "\n", " "),
    ]
)


@settings(max_examples=600, deadline=None)
@given(st.lists(_PARTS, max_size=40).map("".join) | st.lists(_PARTS, max_size=30).map(" ".join))
def test_random_source_compiles_or_is_a_parse_error_with_a_line(source: str) -> None:
    try:
        Template(source)
    except ParseError as error:
        assert 1 <= error.lineno <= source.count("\n") + 1
