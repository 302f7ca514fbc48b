"""UI modules: pieces of a page that bring their own CSS and JavaScript, and what a page makes of these.

Each asset appears once, however often a module is used: CSS in the head, JavaScript just before `</body>`.
"""

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any

from framework.escape import utf8, xhtml_escape

if TYPE_CHECKING:
    from framework.web.handler import RequestHandler
    from framework.web.rendering import UI


class UIModule:
    """A piece of a page; `render` gives its text, the other methods say what the page needs for it."""

    def __init__(self, handler: "RequestHandler") -> None:
        self.handler = handler
        self.request = handler.request

    @property
    def ui(self) -> "UI":
        """The handler's."""
        return self.handler.ui

    @property
    def current_user(self) -> Any:
        """The handler's."""
        return self.handler.current_user

    @property
    def locale(self) -> Any:
        """The handler's."""
        return self.handler.locale

    def render(self, *args: Any, **kwargs: Any) -> str | bytes:
        """The module's text. Every module overrides it."""
        raise TypeError(f"{type(self).__name__}.render() is not defined")

    def embedded_javascript(self) -> str | bytes | None:
        """JavaScript to put into the page."""

    def javascript_files(self) -> str | Iterable[str] | None:
        """Scripts to link, absolute or relative to the static path."""

    def embedded_css(self) -> str | bytes | None:
        """CSS to put into the page."""

    def css_files(self) -> str | Iterable[str] | None:
        """Style sheets to link, absolute or relative to the static path."""

    def html_head(self) -> str | bytes | None:
        """Text to put before `</head>`."""

    def html_body(self) -> str | bytes | None:
        """Text to put before `</body>`."""

    def render_string(self, path: str, **kwargs: Any) -> bytes:
        """A template's text, with the handler's names."""
        return self.handler.render_string(path, **kwargs)


class TemplateModule(UIModule):
    """`{% module Template("entry.html", entry=e) %}`: a template as a module; `set_resources` names its assets."""

    def __init__(self, handler: "RequestHandler") -> None:
        super().__init__(handler)
        self._resources: dict[str, dict[str, Any]] = {}

    def render(self, path: str, **kwargs: Any) -> bytes:
        def set_resources(**resources: Any) -> str:
            known = self._resources.setdefault(path, resources)
            if known != resources:
                raise ValueError(f"set_resources of {path}: expected the same at each use")
            return ""

        return self.render_string(path, set_resources=set_resources, **kwargs)

    def _joined(self, key: str) -> str | None:
        found = [_text(one[key]) for one in self._resources.values() if key in one]
        return "\n".join(found) or None

    def _listed(self, key: str) -> list[str]:
        return [path for one in self._resources.values() if key in one for path in _listed(one[key])]

    def embedded_javascript(self) -> str | None:
        return self._joined("embedded_javascript")

    def javascript_files(self) -> list[str]:
        return self._listed("javascript_files")

    def embedded_css(self) -> str | None:
        return self._joined("embedded_css")

    def css_files(self) -> list[str]:
        return self._listed("css_files")

    def html_head(self) -> str | None:
        return self._joined("html_head")

    def html_body(self) -> str | None:
        return self._joined("html_body")


class Modules:
    """`modules` in a template: `modules.Entry(...)` renders the module and remembers that the page uses it."""

    def __init__(self, handler: "RequestHandler", classes: dict[str, type[UIModule]]) -> None:
        self._handler = handler
        self._classes = classes
        self._used: dict[str, UIModule] = {}

    def __getitem__(self, name: str) -> Callable[..., Any]:
        module_class = self._classes[name]

        def render(*args: Any, **kwargs: Any) -> Any:
            module = self._used.get(name)
            if module is None:
                module = self._used[name] = module_class(self._handler)
            return self._handler.as_safe(module.render(*args, **kwargs))

        return render

    def __getattr__(self, name: str) -> Callable[..., Any]:
        try:
            return self[name]
        except KeyError:
            raise AttributeError(f"there is no UI module {name!r}; see the setting ui_modules") from None

    @property
    def used(self) -> list[UIModule]:
        """One object per module that the page uses, in the order of first use."""
        return list(self._used.values())


def insert_assets(page: bytes, handler: "RequestHandler", modules: list[UIModule]) -> bytes:
    """The page with what its modules need.

    Raises:
        ValueError: the page has no `</head>` or `</body>` to put it before.
    """
    head, body = "", ""
    css_files = _unique(path for module in modules for path in _listed(module.css_files()))
    css = [_text(part) for module in modules if (part := module.embedded_css())]
    scripts = _unique(path for module in modules for path in _listed(module.javascript_files()))
    script = [_text(part) for module in modules if (part := module.embedded_javascript())]
    if css_files:
        head += handler.render_linked_css(css_files)
    if css:
        head += handler.render_embed_css(css)
    head += "".join(_text(part) + "\n" for module in modules if (part := module.html_head()))
    if scripts:
        body += handler.render_linked_js(scripts)
    if script:
        body += handler.render_embed_js(script)
    body += "".join(_text(part) + "\n" for module in modules if (part := module.html_body()))
    if head:
        page = _insert(page, page.find(b"</head>"), head, "</head>")
    if body:
        page = _insert(page, page.rfind(b"</body>"), body, "</body>")
    return page


def _insert(page: bytes, at: int, text: str, tag: str) -> bytes:
    if at < 0:
        raise ValueError(f"UI modules need a {tag} in the page to put their CSS or JavaScript before")
    return page[:at] + text.encode() + page[at:]


def linked_css(urls: Iterable[str]) -> str:
    """Elements that link these style sheets."""
    return "".join(f'<link href="{xhtml_escape(url)}" type="text/css" rel="stylesheet"/>\n' for url in urls)


def linked_js(urls: Iterable[str]) -> str:
    """Elements that link these scripts."""
    return "".join(f'<script src="{xhtml_escape(url)}" type="text/javascript"></script>\n' for url in urls)


def embedded_css(parts: Iterable[str]) -> str:
    """An element with this CSS."""
    return '<style type="text/css">\n' + "\n".join(parts) + "\n</style>\n"


def embedded_js(parts: Iterable[str]) -> str:
    """An element with this JavaScript, which XML parsers leave alone."""
    return '<script type="text/javascript">\n//<![CDATA[\n' + "\n".join(parts) + "\n//]]>\n</script>\n"


def _text(part: str | bytes) -> str:
    return utf8(part).decode()


def _listed(given: str | bytes | Iterable[str] | None) -> list[str]:
    if not given:
        return []
    return [_text(given)] if isinstance(given, str | bytes) else [_text(path) for path in given]


def _unique(paths: Iterable[str]) -> list[str]:
    return list(dict.fromkeys(paths))
