"""Text with holes, compiled once to Python and rendered many times.

    t = Template("<b>{{ name }}</b>")
    t.generate(name="x")                        # b"<b>x</b>"
    Loader("/templates").load("page.html")      # cached; DictLoader holds templates in memory

What `{{ }}` prints is HTML-escaped, but for what is marked as safe (`escape.Safe`, anything with `__html__`): so that
templates of 2011, which call `escape()` themselves, and those of today both print rightly. `autoescape=None` is the
behaviour of 2011.

    {{ x }}  {% raw x %}                     print x: escaped, as it is
    {% if %} {% elif %} {% else %}           and for, while (with break, continue), try (with except, finally);
        … {% end %}                          {% end %} ends each of them
    {% set x = y %}  {% import m %}          and {% from m import x %}
    {% extends "f" %}  {% block b %}         inheritance
    {% include "f" %}                        another template in this place, with the same names
    {% apply f %} … {% end %}                what f makes of this text; linkify and escape get it unescaped
    {% module Entry(e) %}                    a UI module of framework.web; {{ modules.Entry(e) }} as well
    {% autoescape f %}  {% whitespace w %}   from here on; None: no escaping; all, single or oneline
    {# … #}  {% comment … %}                 nothing
    {{! {%! {#!                              plain braces

    parser    template text to nodes
    nodes     nodes to Python source
    loader    Template, and where templates come from

Expressions are Python, taken as they are: a template is code, so its author must be trusted.
"""

from framework.template.loader import BaseLoader, DictLoader, Loader, Template
from framework.template.parser import ParseError, filter_whitespace

__all__ = ["BaseLoader", "DictLoader", "Loader", "ParseError", "Template", "filter_whitespace"]
