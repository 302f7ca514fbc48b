"""Text with holes, compiled once to Python and rendered many times.

    t = Template("<b>{{ name }}</b>")
    t.generate(name="x")                        # b"<b>x</b>"
    Loader("/templates").load("page.html")      # cached; DictLoader holds templates in memory

What `{{ }}` prints is HTML-escaped, but for what is marked as safe (`escape.Safe`, anything with `__html__`): so that
templates of 2011, which call `escape()` themselves, and those of today both print rightly. `autoescape=None` is the
behaviour of 2011.

    parser    template text to nodes
    nodes     nodes to Python source
    loader    Template, and where templates come from

Expressions are Python, taken as they are: a template is code, so its author must be trusted.
"""

from framework.template.loader import BaseLoader, DictLoader, Loader, Template
from framework.template.parser import ParseError, filter_whitespace

__all__ = ["BaseLoader", "DictLoader", "Loader", "ParseError", "Template", "filter_whitespace"]
