"""What each directive prints."""

import pytest

from framework import escape
from framework.template import DictLoader, Template


def _render(text: str, **names: object) -> str:
    return Template(text).generate(**names).decode()


@pytest.mark.parametrize(
    ("text", "printed"),
    [
        ("plain {text} {", "plain {text} {"),
        ("{{ 1 + 1 }}", "2"),
        ("{{{ 1 }}}", "{1}"),
        ("{{! x }} {%! y %} {#! z #}", "{{ x }} {% y %} {# z #}"),
        ("{# comment #}{% comment more %}", ""),
        ("{% for x in [1, 2] %}{{ x }},{% end %}", "1,2,"),
        ("{% for x in [] %}{{ x }}{% else %}none{% end %}", "none"),
        ("{% if 0 %}a{% elif 1 %}b{% else %}c{% end %}", "b"),
        ("{% if 0 %}{% else %}{% end %}", ""),
        ("{% set n = 0 %}{% while n < 3 %}{% set n += 1 %}{{ n }}{% end %}", "123"),
        ("{% for x in range(9) %}{% if x == 1 %}{% continue %}{% end %}{{ x }}{% end %}", "02345678"),
        ("{% for x in range(9) %}{% if x == 2 %}{% break %}{% end %}{{ x }}{% end %}", "01"),
        ("{% try %}{{ 1 / 0 }}{% except ZeroDivisionError %}zero{% finally %}!{% end %}", "zero!"),
        ("{% try %}{{ 1 }}{% except %}x{% else %}y{% end %}", "1y"),
        ("{% import math %}{{ math.floor(1.5) }}{% from math import ceil %}{{ ceil(1.5) }}", "12"),
        ("{% apply upper %}a{{ '<b>' }}{% end %}", "A&LT;B&GT;"),
        ("{% apply upper %}{% apply lower %}AbC{% end %}d{% end %}", "ABCD"),
        (
            "{% apply linkify %}{{ '<&' }} http://x.com/?{{ 'a&b' }}{% end %}{{ '<' }}",
            '&lt;&amp; <a href="http://x.com/?a&amp;b">http://x.com/?a&amp;b</a>&lt;',
        ),
        ("{% apply escape %}<b>{{ '<' }}{% end %}{% apply xhtml_escape %}{{ '&' }}{% end %}", "&lt;b&gt;&lt;&amp;"),
        ("{% raw '<b>' %}{{ '<b>' }}", "<b>&lt;b&gt;"),
        ("{% autoescape None %}{{ '<b>' }}", "<b>"),
        ("{% autoescape upper %}{{ '<b>' }}", "<B>"),
        ("{{ (1, 2) }}{{ [x for x in 'ab'] }}", "(1, 2)[&#39;a&#39;, &#39;b&#39;]"),
        ("{{ {'a': 1}['a'] }}", "1"),
        ("{{ 'é' }}{{ b'\\xc3\\xa9' }}{{ None }}{{ 1.5 }}", "ééNone1.5"),
        ("{{ f'{1}' + \"'\" }}", "1&#39;"),
        ("{{ 1 # why\n}}", "1"),
        ("{{ {'a': {'b': 1}}['a']['b'] }}{{ {1: {2: 3}}}}", "1{1: {2: 3}}"),
        ("{{ '}}' }}{{ 2 }}", "}}2"),
        ("{{ 1 + \\\n 2 }}", "3"),
        ("{{ '''a\nb''' }}{% set x = '''c\nd''' %}{{ x }}", "a\nbc\nd"),
        ("{% if (1 and # why\n 1) %}{% set x = [1, # one\n 2] %}{{ x }}{% end %}", "[1, 2]"),
        ("{% if 1\n and 1 %}y{% end %}", "y"),
        ("{{ [1,\n2] }}", "[1, 2]"),
        ('a\\n\\b\'"""', 'a\\n\\b\'"""'),
    ],
)
def test_item_042_directives(text: str, printed: str) -> None:
    assert _render(text, upper=str.upper, lower=str.lower) == printed


@pytest.mark.parametrize("text", ["{{ x }}", "{{ escape(x) }}", "{{ xhtml_escape(x) }}"])
def test_item_045_values_are_escaped_once_in_templates_of_both_generations(text: str) -> None:
    assert _render(text, x="<a>&") == "&lt;a&gt;&amp;"


def test_item_045_safe_values_are_printed_as_they_are() -> None:
    class Markup:
        def __html__(self) -> str:
            return "<i>"

    assert _render("{{ a }}{{ b }}{{ linkify('http://x.com') }}", a=escape.Safe("<b>"), b=Markup()) == (
        '<b><i><a href="http://x.com">http://x.com</a>'
    )


def test_item_041_names_that_are_always_there() -> None:
    text = "{{ escape('<') }}{{ url_escape('a b') }}{{ json_encode([1]) }}{{ squeeze('a  b') }}"
    text += "{{ datetime.date(2011, 1, 2) }}"
    assert _render(text) == "&lt;a+b[1]a b2011-01-02"


@pytest.mark.parametrize(
    ("text", "printed"),
    [
        ("{{ items[0] }}", "Item 1"),
        ("{% if len(items) > 2 %}many{% else %}few{% end %}", "many"),
        ("{{ ', '.join(item.upper() for item in items if item != 'Item 2') }}", "ITEM 1, ITEM 3"),
        ("{{ [len(item) for item in items] }}", "[6, 6, 6]"),
        ("{{ (lambda item: item[-1])(items[1]) if items else None }}", "2"),
    ],
)
def test_item_035_038_statements_and_any_expression(text: str, printed: str) -> None:
    assert _render(text, items=["Item 1", "Item 2", "Item 3"]) == printed


@pytest.mark.parametrize(
    ("text", "printed"),
    [
        ("{% set n = n + 1 %}{{ n }}", "3"),
        ("{% set n += 1 %}{{ n }}", "3"),
        ("{{ n }}{% set n = 5 %}{{ n }}", "25"),
        ("{% if not missing %}{% set n = 7 %}{% end %}{{ n }}", "7"),
        ("{% apply str.upper %}{{ n }}{% set n = 'b' %}{% end %}{{ n }}", "2b"),
        ("{% apply str.upper %}{% apply str.lower %}{% set new = 'A' %}{{ new }}{% end %}{% end %}{{ new }}", "AA"),
        ("{% for n in [8, 9] %}{% set total = total + n %}{% end %}{{ total }}", "27"),
        ("{% set a, (b, *c) = 1, (2, 3) %}{{ a }}{{ b }}{{ c }}", "12[3]"),
        ("{% set x = [n for n in (1, 2)] %}{{ n }}", "2"),
    ],
)
def test_set_begins_with_what_was_given(text: str, printed: str) -> None:
    assert Template(text).generate(n=2, total=10, missing=None).decode() == printed


def test_item_037_blocks_hold_their_own_text_unless_replaced() -> None:
    loader = DictLoader(
        {"base": "{% block a %}A{% end %}{% block b %}B{% end %}", "page": "{% extends base %}{% block b %}b{% end %}"}
    )
    assert (loader.load("base").generate(), loader.load("page").generate()) == (b"AB", b"Ab")


def test_item_036_inheritance_over_several_levels() -> None:
    loader = DictLoader(
        {
            "base": "<{% block title %}base{% end %}|{% block body %}{% block inner %}inner{% end %}{% end %}>",
            "middle": '{% extends "base" %}{% block title %}middle{% end %}',
            "page": '{% extends "middle" %}ignored{% block inner %}{{ x }}{% end %}',
        }
    )
    assert loader.load("page").generate(x=1) == b"<middle|1>"
    assert loader.load("middle").generate() == b"<middle|inner>"


def test_include_has_the_names_of_its_place_and_its_own_escaping() -> None:
    loader = DictLoader({"a": "{% set y = '<' %}{% include 'b' %}{{ y }}", "b": "{% autoescape None %}{{ x }}{{ y }}"})
    assert loader.load("a").generate(x=1) == b"1<&lt;"


def test_module_goes_through_the_modules_given() -> None:
    class Modules:
        def Entry(self, entry: str, bold: bool = False) -> str:
            return f"<b>{entry}</b>" if bold else entry

    assert _render("{% module Entry('a', bold=True) %}", _tt_modules=Modules()) == "<b>a</b>"


def test_apply_of_somebody_s_own_linkify_is_no_hole():
    source = "{% apply linkify %}{{ x }}{% end %}"
    assert Template(source).generate(x="<b>", linkify=lambda text: f"<i>{text}</i>") == b"&lt;i&gt;&lt;b&gt;&lt;/i&gt;"
    assert Template(source, autoescape=None).generate(x="<b>", linkify=str.upper) == b"<B>"
