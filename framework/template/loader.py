"""Templates ready to render, and where they come from."""

import datetime
import inspect
import json
import linecache
import os
import posixpath
import threading
from collections.abc import Callable, Mapping
from types import CodeType, FunctionType, TracebackType
from typing import Any

from framework import escape
from framework.template import nodes
from framework.template.nodes import Block, Extends, Include, Place, Writer
from framework.template.parser import ParseError, Source, parse

DEFAULT_AUTOESCAPE = "xhtml_escape"
MAX_INCLUDES = 40  # includes inside includes: a template that includes itself is an error, not an endless loop


def _text(value: Any) -> str:
    """A value as it is printed unescaped: text, bytes as UTF-8, anything else by str()."""
    if isinstance(value, str):
        return value
    return value.decode() if isinstance(value, bytes) else str(value)


def _escape_by(value: Any, function: Callable[[Any], Any]) -> str:
    """A value through another escaping function than the default; what is marked as safe goes around it."""
    return _text(value) if hasattr(value, "__html__") else _text(function(_text(value)))


# What every template can call. Their results are markup, or harmless in it, and say so: else they would be escaped
# twice.
_NAMES: dict[str, Any] = {
    "escape": lambda value: escape.Safe(escape.escape_value(value)),
    "xhtml_escape": lambda value: escape.Safe(escape.escape_value(value)),
    "url_escape": escape.url_escape,
    "json_encode": escape.json_encode,
    "squeeze": escape.squeeze,
    "linkify": escape.linkify,
    "datetime": datetime,
}
# What the generated code calls itself: arguments of its function, which are looked up faster than global names.
_ARGUMENTS: dict[str, Callable[..., str]] = {
    nodes.ESCAPE: escape.escape_value,
    nodes.ESCAPE_BY: _escape_by,
    nodes.TEXT: _text,
}


class Template:
    """A compiled template. `code` is the Python source it became.

    `whitespace` is "all", "single" or "oneline"; by default "single" for names that end in .html or .js, else "all"
    (`compress_whitespace` is how 2011 said "single" and "all"). `autoescape` names the function that expressions go
    through; None for none.

    Raises:
        ParseError: with the template's name and line, if it can't be compiled.
    """

    def __init__(
        self,
        template_string: str | bytes,
        name: str = "<string>",
        loader: "BaseLoader | None" = None,
        compress_whitespace: bool | None = None,
        autoescape: str | None = "",
        whitespace: str | None = None,
    ) -> None:
        self.name = name
        self.loader = loader
        if compress_whitespace is not None and whitespace is None:
            whitespace = "single" if compress_whitespace else "all"
        whitespace = whitespace or (loader.whitespace if loader else None)
        whitespace = whitespace or ("single" if name.endswith((".html", ".js")) else "all")
        if autoescape == "":
            autoescape = loader.autoescape if loader else DEFAULT_AUTOESCAPE
        self._source = Source(name, escape.to_unicode(template_string), autoescape, whitespace)
        self.body = parse(self._source)
        # Python asks for __name__ when a template imports relatively, or warns.
        own = {"__name__": self._filename, "__builtins__": __builtins__}
        self._names = {**_NAMES, **own, **(loader.namespace if loader else {})}
        self._places: list[Place] = []
        self.code = ""
        self.compiled = self._compile()

    def generate(self, /, **kwargs: Any) -> bytes:
        """The template's text as UTF-8, with `kwargs` as its names.

        Raises:
            Exception: whatever an expression raises, with a note that says template, line and source.
        """
        execute = FunctionType(self.compiled, {**self._names, **kwargs})
        try:
            return execute(*_ARGUMENTS.values()).encode()  # type: ignore[no-any-return]
        except Exception as error:  # the template's own: it is raised again as it is
            self._explain(error)
            raise

    def _compile(self) -> CodeType:
        ancestors = self._ancestors()
        blocks: dict[str, Block] = {}
        for template in reversed(ancestors):
            _find_blocks(template, blocks, 0)
        including: list[str] = []

        def include(node: Include, writer: Writer) -> None:
            if len(including) >= MAX_INCLUDES:
                raise self._source.error(f"{node.name}: included more than {MAX_INCLUDES} deep", node.place)
            including.append(node.name)
            self._load(node).body.write(writer)
            including.pop()

        writer = Writer(blocks, include)
        start = Place(self.name, 1)
        writer.line(f"def {nodes.FUNCTION}({', '.join(_ARGUMENTS)}):", start)
        with writer.indented():
            writer.line("_tt_pieces = []; _tt_print = _tt_pieces.append", start)
            ancestors[-1].body.write(writer)
            writer.bind_given(1, start)
            writer.line("return ''.join(_tt_pieces)", start)
        self.code = "\n".join(writer.lines) + "\n"
        self._places = writer.places
        return self._compile_source()

    def _compile_source(self) -> CodeType:
        try:
            module = compile(self.code, self._filename, "exec", dont_inherit=True)
        except SyntaxError as error:
            place = self._places[min((error.lineno or 1), len(self._places)) - 1]
            raise ParseError(f"not Python: {error.msg}", place.template, place.line, self._line_of(place)) from None
        except (ValueError, RecursionError, MemoryError) as error:
            raise ParseError(str(error) or type(error).__name__, self.name, 1) from None
        code = next(constant for constant in module.co_consts if isinstance(constant, CodeType))
        if code.co_flags & (inspect.CO_GENERATOR | inspect.CO_COROUTINE | inspect.CO_ASYNC_GENERATOR):
            raise ParseError("yield has no place in a template", self.name, 1)
        return code

    @property
    def _filename(self) -> str:
        # Not _filename_of: when a template renders itself, what was explained inside is not explained again.
        return f"<code of template {self.name}>"

    def _ancestors(self) -> "list[Template]":
        """This template, the one it extends, and so on."""
        found: list[Template] = [self]
        while parent := next((node for node in found[-1].body.nodes if isinstance(node, Extends)), None):
            found.append(self._load(parent))
            if len(found) > MAX_INCLUDES:
                raise self._source.error(f"{parent.name}: extended more than {MAX_INCLUDES} deep", parent.place)
        return found

    def _load(self, node: Extends | Include) -> "Template":
        place = node.place
        if self.loader is None:
            raise ParseError(f"{node.name}: extends and include need a loader", place.template, place.line)
        try:
            return self.loader.load(node.name, place.template)
        except (OSError, KeyError, RecursionError) as error:
            message = f"{node.name}: no such template" if not isinstance(error, RecursionError) else "it uses itself"
            raise ParseError(message, place.template, place.line, self._line_of(place)) from error

    def _lines_of(self, name: str) -> list[str]:
        """The source lines of this template or of another that was loaded."""
        template: Template | None = self
        if name != self.name and self.loader is not None:
            template = self.loader.templates.get(name)
        return template._source.lines if template is not None else []

    def _line_of(self, place: Place) -> str:
        lines = self._lines_of(place.template)
        return lines[place.line - 1] if place.line <= len(lines) else ""

    def _explain(self, error: BaseException) -> None:
        """Let the error's traceback show lines of templates for those of the generated code, and note the last."""
        entries: list[TracebackType] = []
        entry = error.__traceback__
        while entry is not None:
            entries.append(entry)
            entry = entry.tb_next
        shown: TracebackType | None = None
        noted: Place | None = None
        for entry in reversed(entries):
            frame, instruction, line = entry.tb_frame, entry.tb_lasti, entry.tb_lineno
            if frame.f_code.co_filename == self._filename and 0 < line <= len(self._places):
                place = self._places[line - 1]
                noted = noted or place
                lines = [source + "\n" for source in self._lines_of(place.template)]
                filename = _filename_of(place.template)
                linecache.cache[filename] = (len(lines), None, lines, filename)
                stand_in = _make_traceback(filename, place.line)
                frame, instruction, line = stand_in.tb_frame, stand_in.tb_lasti, place.line
            shown = TracebackType(shown, frame, instruction, line)
        error.__traceback__ = shown
        if noted is not None:
            error.add_note(f"in template {noted.template}, line {noted.line}: {self._line_of(noted).strip()}")


def _filename_of(template: str) -> str:
    return f"<template {template}>"


def _make_traceback(filename: str, line: int) -> TracebackType:
    """A traceback's entry for that line. Only code that fails there has one, so such code is made and run."""
    code = compile("\n" * (line - 1) + "raise Exception", filename, "exec")
    try:
        exec(code.replace(co_name="template", co_qualname="template"), {})
    except Exception as error:  # the one just raised
        traceback = error.__traceback__
        if traceback is not None and traceback.tb_next is not None:
            return traceback.tb_next
    raise AssertionError("a raise did not raise")


def _find_blocks(template: Template, blocks: dict[str, Block], depth: int) -> None:
    """Add every block of the template and of what it includes; those that come later win."""
    waiting: list[nodes.Node] = [template.body]
    while waiting:
        node = waiting.pop()
        if isinstance(node, Block):
            blocks[node.name] = node
        elif isinstance(node, Include) and depth < MAX_INCLUDES:
            _find_blocks(template._load(node), blocks, depth + 1)
        waiting += reversed(node.children())


class BaseLoader:
    """Loads templates by name and keeps them compiled; thread-safe.

    `namespace` holds names for all of its templates.
    """

    def __init__(
        self,
        autoescape: str | None = DEFAULT_AUTOESCAPE,
        namespace: Mapping[str, Any] | None = None,
        whitespace: str | None = None,
    ) -> None:
        self.autoescape = autoescape
        self.namespace = dict(namespace or {})
        self.whitespace = whitespace
        self.templates: dict[str, Template] = {}
        self._lock = threading.RLock()

    def load(self, name: str, parent_path: str | None = None) -> Template:
        """The template of that name, relative to `parent_path`, the name of the template that asks.

        Raises:
            ParseError: if it can't be compiled.
            OSError: if a file can't be read; KeyError from a DictLoader.
        """
        path = self.resolve_path(name, parent_path)
        template = self.templates.get(path)
        if template is None:
            with self._lock:
                template = self.templates.get(path)
                if template is None:
                    template = self.templates[path] = self._create(path)
        return template

    def reset(self) -> None:
        """Forget all templates, so that changed ones are read again."""
        with self._lock:
            self.templates = {}

    def resolve_path(self, name: str, parent_path: str | None = None) -> str:
        """The name from the root; one without a leading slash is relative to the folder of `parent_path`."""
        if parent_path and not parent_path.startswith("<") and not name.startswith("/"):
            name = posixpath.join(posixpath.dirname(parent_path), name)
        return posixpath.normpath(name).lstrip("/")

    def _create(self, name: str) -> Template:
        raise KeyError(name)


class Loader(BaseLoader):
    """Templates in files below one folder."""

    def __init__(self, root_directory: str | os.PathLike[str], **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.root = os.path.abspath(root_directory)

    def _create(self, name: str) -> Template:
        path = os.path.normpath(os.path.join(self.root, name))
        if not path.startswith(self.root + os.sep):
            raise FileNotFoundError(f"the template {json.dumps(name)} is outside of {self.root}")
        with open(path, "rb") as file:
            return Template(file.read(), name=name, loader=self)


class DictLoader(BaseLoader):
    """Templates in a dictionary, name to text."""

    def __init__(self, dict: Mapping[str, str], **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.dict = dict

    def _create(self, name: str) -> Template:
        return Template(self.dict[name], name=name, loader=self)
