"""Pages: templates with a handler's names, the locale, addresses of static files, UI modules."""

import datetime
import os
import sys
from collections.abc import Iterable
from functools import lru_cache
from typing import TYPE_CHECKING, Any, cast

from framework import escape, locale
from framework.locale import Locale
from framework.template import BaseLoader, Loader
from framework.web.authentication import Users
from framework.web.modules import Modules, embedded_css, embedded_js, insert_assets, linked_css, linked_js

if TYPE_CHECKING:
    from framework.web.handler import RequestHandler


class UI:
    """`self.ui`: every UI method, bound to the handler, and `modules`."""

    def __init__(self, handler: "RequestHandler") -> None:
        self.modules = Modules(handler, handler.application.ui_modules)
        self._handler = handler

    def __getattr__(self, name: str) -> Any:
        method = self._handler.application.ui_methods.get(name)
        if method is None:
            raise AttributeError(f"there is no UI method {name!r}; see the setting ui_methods")
        return method.__get__(self._handler) if hasattr(method, "__get__") else method


class Rendering(Users):
    """What a handler makes pages with."""

    _locale: Locale | None = None

    @property
    def ui(self) -> UI:
        """UI methods and modules, for code; templates have them as names."""
        if self._ui is None:
            self._ui = UI(self._handler())
            self._has_epilogue = True
        return self._ui

    def _handler(self) -> "RequestHandler":
        return cast("RequestHandler", self)

    def render(self, template_name: str, **kwargs: Any) -> Any:
        """Finish with a template's text, with the CSS and JavaScript of the UI modules it uses."""
        page = self.render_string(template_name, **kwargs)
        modules = self._ui.modules.used if self._ui is not None else []
        if modules:
            page = insert_assets(page, self._handler(), modules)
        return self.finish(page)

    def render_string(self, template_name: str, **kwargs: Any) -> bytes:
        """A template's text as bytes.

        Its names are those of get_template_namespace, all UI methods and modules, and `kwargs`.
        """
        path = self.get_template_path() or (
            "" if "template_loader" in self.application.settings else _folder_of_caller()
        )
        template = self.application.template_loader(path, self._handler()).load(template_name)
        names = self.get_template_namespace()
        names.update(kwargs)
        return template.generate(**names)

    def get_template_path(self) -> str | None:
        """Hook: the folder of the templates; the setting `template_path`. None: beside the calling Python file."""
        return cast("str | None", self.application.settings.get("template_path"))

    def create_template_loader(self, template_path: str) -> BaseLoader:
        """Hook: a loader for this folder; made once per folder."""
        settings = self.application.settings
        if "template_loader" in settings:
            return cast(BaseLoader, settings["template_loader"])
        kwargs = {}
        for name, parameter in (("autoescape", "autoescape"), ("template_whitespace", "whitespace")):
            if name in settings:
                kwargs[parameter] = settings[name]
        return Loader(template_path, **kwargs)

    def get_template_namespace(self) -> dict[str, Any]:
        """Hook: the names that every template has."""
        chosen, modules = self.locale, self.ui.modules
        names: dict[str, Any] = {
            "handler": self,
            "request": self.request,
            "current_user": self.current_user,
            "locale": chosen,
            "_": chosen.translate,
            "pgettext": chosen.pgettext,
            "static_url": self.static_url,
            "xsrf_form_html": self.xsrf_form_html,
            "reverse_url": self.reverse_url,
            "datetime": datetime,
            "modules": modules,
            # {% module Entry(e) %} compiles to this name.
            "_tt_modules": modules,
        }
        for name in self.application.ui_methods:
            names[name] = getattr(self.ui, name)
        return names

    @staticmethod
    def as_safe(text: Any) -> Any:
        """The text marked as markup, which templates print as it is."""
        return escape.mark_safe(text)

    # ---- locale

    @property
    def locale(self) -> Locale:
        """The locale of this request: the user's, else the browser's, else the default."""
        if self._locale is None:
            chosen = self.get_user_locale()
            if isinstance(chosen, str):
                # The seed's own example returns a code, its text says a locale: both do.
                chosen = locale.get(chosen)
            self._locale = chosen or self.get_browser_locale()
        return self._locale

    @locale.setter
    def locale(self, value: Locale) -> None:
        self._locale = value

    def get_user_locale(self) -> Locale | str | None:
        """Hook: the locale (or its code) that this user chose; None for what the browser asks for."""
        return None

    def get_browser_locale(self, default: str = "en_US") -> Locale:
        """The closest locale to what Accept-Language asks for, by its q-values; the default without one."""
        header = self.request.find_header(b"accept-language")
        wanted = _parse_accept_language(header) if header else []
        return locale.get(*wanted) if wanted else locale.get(default)

    # ---- addresses

    def static_url(self, path: str, include_host: bool | None = None, **kwargs: Any) -> str:
        """The address of a static file with its content's version, so that browsers may keep it for ever."""
        self.application.require_setting("static_path", "static_url")
        static = self.application.static_handler_class
        address = static.make_static_url(self.application.settings, path, **kwargs)
        if include_host is None:
            include_host = getattr(self, "include_host", False)
        return f"{self.request.protocol}://{self.request.host}{address}" if include_host else address

    def reverse_url(self, name: str, *args: Any) -> str:
        """The path of the route with this name."""
        return self.application.reverse_url(name, *args)

    # ---- hooks for the assets of UI modules

    def render_linked_css(self, css_files: Iterable[str]) -> str:
        """Hook: the elements that link these style sheets."""
        return linked_css(self._asset_url(path) for path in css_files)

    def render_linked_js(self, js_files: Iterable[str]) -> str:
        """Hook: the elements that link these scripts."""
        return linked_js(self._asset_url(path) for path in js_files)

    def render_embed_css(self, css_embed: Iterable[str]) -> str:
        """Hook: the element with this CSS."""
        return embedded_css(css_embed)

    def render_embed_js(self, js_embed: Iterable[str]) -> str:
        """Hook: the element with this JavaScript."""
        return embedded_js(js_embed)

    def _asset_url(self, path: str) -> str:
        is_absolute = path.startswith(("/", "http:", "https:"))
        return path if is_absolute else self.static_url(path)


@lru_cache(maxsize=256)
def _parse_accept_language(header: bytes) -> list[str]:
    # Browsers of one kind and country all send the same; taking it apart costs as much as a small page.
    return locale.parse_accept_language(header.decode("latin-1"))


def _folder_of_caller() -> str:
    """The folder of the Python file that asked for a template."""
    frame = sys._getframe(1)
    while frame.f_back is not None and frame.f_globals.get("__name__", "").startswith("framework.web"):
        frame = frame.f_back
    return os.path.dirname(os.path.abspath(frame.f_code.co_filename))
