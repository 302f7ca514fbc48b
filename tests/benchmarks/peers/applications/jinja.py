"""The page and the rows by Jinja2, for all peers that have no templates of their own."""

from collections.abc import Sequence
from typing import Any

import jinja2

from tests.benchmarks.peers import content

environment = jinja2.Environment(
    loader=jinja2.FileSystemLoader(content.TEMPLATES / "jinja"),
    autoescape=True,
    auto_reload=False,
    keep_trailing_newline=True,
)
_catalogues = content.read_catalogues()


def make_translate(accept_language: str) -> Any:
    """The function `_` of a page in the language that the browser asks for."""
    catalogue = _catalogues[content.choose_language(accept_language)]
    return lambda message: catalogue.get(message, message)


def render_page(user: str, accept_language: str) -> str:
    """The page."""
    template = environment.get_template("page.html")
    return template.render(_=make_translate(accept_language), user=user, entries=content.ENTRIES)


def render_rows(rows: Sequence[Any]) -> str:
    """The table."""
    return environment.get_template("rows.html").render(rows=rows)
