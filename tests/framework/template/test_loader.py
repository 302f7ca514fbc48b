"""Loading, caching, whitespace by name, and errors that name line and source."""

import traceback
from pathlib import Path

import pytest

from framework.template import DictLoader, Loader, ParseError, Template


def test_item_033_list_template() -> None:
    text = """<html><head><title>{{ title }}</title></head>
      <body><ul>{% for item in items %}<li>{{ escape(item) }}</li>{% end %}</ul></body></html>"""
    page = Template(text).generate(title="My title", items=["Item 1", "<Item 2>"]).decode()
    assert "<title>My title</title>" in page and "<li>Item 1</li><li>&lt;Item 2&gt;</li>" in page


@pytest.mark.parametrize(("name", "printed"), [("x.html", b"a\nb c"), ("x.txt", b"a \n\n b  c")])
def test_whitespace_by_name(name: str, printed: bytes) -> None:
    assert Template("a \n\n b  c", name=name).generate() == printed
    assert Template("a \n\n b  c", name=name, compress_whitespace=False).generate() == b"a \n\n b  c"


def test_preformatted_text_keeps_its_blanks() -> None:
    assert Template("<pre>a  b</pre>", name="x.html").generate() == b"<pre>a  b</pre>"


def test_loader_reads_once_until_reset(tmp_path: Path) -> None:
    (tmp_path / "sub").mkdir()
    (tmp_path / "page.html").write_text("{% include sub/part.html %}")
    (tmp_path / "sub/part.html").write_text("{% include other.html %}{% include /top.html %}")
    (tmp_path / "sub/other.html").write_text("other,")
    (tmp_path / "top.html").write_text("top")
    loader = Loader(tmp_path)
    assert loader.load("page.html").generate() == b"other,top"
    (tmp_path / "page.html").write_text("new")
    assert loader.load("page.html").generate() == b"other,top"
    loader.reset()
    assert loader.load("page.html").generate() == b"new"


@pytest.mark.parametrize("name", ["../outside", "/../outside", "sub/../../outside", "a/../../outside"])
def test_loader_never_leaves_its_folder(tmp_path: Path, name: str) -> None:
    (tmp_path / "outside").write_text("secret")
    (tmp_path / "root").mkdir()
    with pytest.raises(OSError, match="outside"):
        Loader(tmp_path / "root").load(name)


def test_missing_template_names_who_wanted_it() -> None:
    with pytest.raises(ParseError, match=r"page:2: none\.html: no such template"):
        DictLoader({"page": "\n{% include none.html %}"}).load("page")


def test_item_043_error_names_template_line_and_source() -> None:
    loader = DictLoader({"page": "{% include part %}", "part": "a\n{{ 1 / zero }}"})
    with pytest.raises(ZeroDivisionError) as caught:
        loader.load("page").generate(zero=0)
    assert caught.value.__notes__ == ["in template part, line 2: {{ 1 / zero }}"]
    assert "{{ 1 / zero }}" in "".join(traceback.format_exception(caught.value))


def test_item_043_traceback_has_the_lines_of_each_template() -> None:
    base = "<html>\n{% block body %}{% end %}"
    page = "{% extends base %}\n\n{% block body %}\n{% apply f %}{{ 1 / zero }}{% end %}{% end %}"
    with pytest.raises(ZeroDivisionError) as caught:
        DictLoader({"base": base, "page": page}).load("page").generate(zero=0, f=str)
    entries = [(entry.filename, entry.lineno, entry.line) for entry in traceback.extract_tb(caught.value.__traceback__)]
    line = (4, "{% apply f %}{{ 1 / zero }}{% end %}{% end %}")
    assert entries[-2:] == [("<template page>", *line), ("<template page>", *line)]


def test_item_043_template_that_renders_itself_is_explained_once_for_each() -> None:
    template = Template("\n\n{{ render(depth) }}")

    def render(depth: int) -> bytes:
        return template.generate(render=render, depth=depth - 1) if depth else b"" % 0  # nothing to format

    with pytest.raises(TypeError) as caught:
        render(2)
    entries = traceback.extract_tb(caught.value.__traceback__)
    assert [entry.lineno for entry in entries if entry.filename == "<template <string>>"] == [3, 3]


def test_item_043_unknown_name_is_python_s_own_error() -> None:
    with pytest.raises(NameError, match="nothing"):
        Template("{{ nothing }}").generate()


def test_loader_settings_hold_for_its_templates() -> None:
    loader = DictLoader({"a": "{{ x }}  {{ y }}"}, autoescape=None, namespace={"y": "<"}, whitespace="oneline")
    assert loader.load("a").generate(x="<") == b"< <"


def test_a_name_may_be_self() -> None:
    assert Template("{{ self }}").generate(self=1) == b"1"


def test_names_of_one_rendering_do_not_leak_into_the_next() -> None:
    template = Template("{{ x }}")
    template.generate(x=1)
    with pytest.raises(NameError):
        template.generate()
