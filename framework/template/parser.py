"""Template text to nodes. Knows the directives, not where templates come from nor how they are run."""

import ast
import re
from dataclasses import dataclass, field

from framework.errors import FrameworkError
from framework.template import nodes
from framework.template.nodes import Body, Place

_MAX_ENDS = 5  # "}}" that are tried as an expression's end

MAX_DEPTH = 60  # bodies inside bodies; Python's own compiler gives up at 100

_OPENING = re.compile(r"\{[{%#]")
_BLANKS = re.compile(r"[\t ]+")
_LINE_BREAKS = re.compile(r"\s*\n\s*")
_RUNS = re.compile(r"\s+")
# Functions whose result is text made HTML: what `apply` hands to them must be the text.
_ESCAPING = ("linkify", "escape", "xhtml_escape")
_NEED_LINE_ENDS = ("#", '"""', "'''", "\\\n")

# Which directives may stand in the body of which, as parts of the same statement.
_INTERMEDIATE = {
    "else": ("if", "for", "while", "try"),
    "elif": ("if",),
    "except": ("try",),
    "finally": ("try",),
}


class ParseError(FrameworkError):
    """A template that can't be compiled: `message`, `filename` (the template's name) and `lineno` (from 1)."""

    def __init__(self, message: str, filename: str | None = None, lineno: int = 0, source: str = "") -> None:
        text = f"{filename or '<string>'}:{lineno}: {message}"
        super().__init__(f"{text}: {source.strip()}" if source.strip() else text)
        self.message = message
        self.filename = filename
        self.lineno = lineno


def filter_whitespace(mode: str, text: str) -> str:
    """`text` with its whitespace as it is ("all"), runs as one blank or line end ("single"), or one blank ("oneline").

    Raises:
        ValueError: if there is no such mode.
    """
    if mode == "all":
        return text
    if mode == "single":
        return _LINE_BREAKS.sub("\n", _BLANKS.sub(" ", text))
    if mode == "oneline":
        return _RUNS.sub(" ", text)
    raise ValueError(f"whitespace: expected all, single or oneline, got {mode!r}")


@dataclass(slots=True)
class Source:
    """A template's text being read, and what holds for it from here on."""

    name: str
    text: str
    autoescape: str | None
    whitespace: str
    position: int = 0
    lines: list[str] = field(default_factory=list)
    _line: int = 1
    _counted: int = 0

    def __post_init__(self) -> None:
        self.lines = self.text.split("\n")

    def place(self) -> Place:
        """Where the reading stands; line ends are counted once."""
        self._line += self.text.count("\n", self._counted, self.position)
        self._counted = self.position
        return Place(self.name, self._line)

    def error(self, message: str, place: Place) -> ParseError:
        """A ParseError for that line, which it quotes."""
        line = self.lines[place.line - 1] if place.line <= len(self.lines) else ""
        return ParseError(message, self.name, place.line, line)

    def take_until(self, end: str, place: Place) -> str:
        """The text up to `end`, stripped; reading goes on behind it."""
        stop = self.text.find(end, self.position)
        if stop < 0:
            raise self.error(f"{end} is missing", place)
        taken = self.text[self.position : stop]
        self.position = stop + len(end)
        return taken.strip()


def parse(source: Source) -> Body:
    """The template as nodes.

    Raises:
        ParseError: if a directive is unknown, misplaced, unfinished or not valid Python.
    """
    return _parse_body(source, [], False)


def _parse_body(source: Source, inside: list[str], in_loop: bool) -> Body:
    """The nodes up to the `{% end %}` of the body, or to the end of the text; `inside` names the open directives."""
    body = Body(Place(source.name, 1))
    opened_at = source.place()
    while True:
        opening = _find_opening(source)
        if opening < 0:
            if inside:
                raise source.error(f"{{% end %}} of {inside[-1]} is missing", opened_at)
            _add_text(source, body, len(source.text))
            return body
        _add_text(source, body, opening)
        place = source.place()
        kind = source.text[opening : opening + 2]
        source.position += 2
        if source.text.startswith("!", source.position):  # {{! is {{
            source.position += 1
            body.nodes.append(nodes.Text(place, kind))
        elif kind == "{#":
            source.take_until("#}", place)
        elif kind == "{{":
            body.nodes.append(_parse_expression(source, _take_expression(source, place), place, source.autoescape))
        elif _parse_directive(source, body, source.take_until("%}", place), place, inside, in_loop):
            return body


def _find_opening(source: Source) -> int:
    """Position of the next {{, {% or {#, or -1; of more than two braces the innermost pair counts."""
    match = _OPENING.search(source.text, source.position)
    if match is None:
        return -1
    position = match.start()
    while source.text.startswith("{{{", position):
        position += 1
    return position


def _add_text(source: Source, body: Body, end: int) -> None:
    text = source.text[source.position : end]
    if text:
        # The blanks in preformatted text mean something.
        mode = "all" if "<pre>" in text else source.whitespace
        body.nodes.append(nodes.Text(source.place(), filter_whitespace(mode, text)))
    source.position = end


def _take_expression(source: Source, place: Place) -> str:
    """The text up to the first "}}" that has an expression before it (dictionaries and strings may hold such braces).

    If none has, the text up to the first "}}", for the error to be about.
    """
    start = source.position
    text = first = source.take_until("}}", place)
    end = source.position
    for _ in range(_MAX_ENDS):
        if not text or _is_expression(text):
            return text
        # In }}} the last two may be the end.
        stop = source.text.find("}}", source.position - 1)
        if stop < 0:
            break
        source.position = stop + 2
        text = source.text[start:stop].strip()
    source.position = end
    return first


def _is_expression(text: str) -> bool:
    try:
        ast.parse(f"(\n{text}\n)", mode="eval")
        if ")" in text:  # "x) + (y" is one only inside of parentheses
            ast.parse(f"[\n{text}\n]", mode="eval")
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return False
    return True


def _parse_expression(source: Source, text: str, place: Place, autoescape: str | None) -> nodes.Node:
    if not text:
        raise source.error("an expression is missing", place)
    _check_python(source, f"(\n{text}\n)", "eval", place)
    if not _is_expression(text):
        raise source.error("not a Python expression: unbalanced parentheses", place)
    text = _join_lines(text)
    if autoescape is None:
        return nodes.Expression(place, text, nodes.TEXT)
    if autoescape == "xhtml_escape":
        return nodes.Expression(place, text, nodes.ESCAPE)
    return nodes.Expression(place, text, nodes.ESCAPE_BY, f", {autoescape}")


def _join_lines(text: str) -> str:
    # A line end means nothing inside brackets, and people break lines outside of them too: one line is right for both.
    # But for comments, long strings and "\\", which need their line ends.
    return text if any(mark in text for mark in _NEED_LINE_ENDS) else text.replace("\n", " ")


def _check_python(source: Source, text: str, mode: str, place: Place) -> ast.AST:
    """Raises: ParseError: if `text` is not Python by itself."""
    try:
        return ast.parse(text, mode=mode)
    except SyntaxError as error:
        raise source.error(f"not a Python expression: {error.msg}", place) from None
    except (ValueError, RecursionError, MemoryError) as error:
        raise source.error(f"not a Python expression: {error}", place) from None


def _parse_directive(source: Source, body: Body, contents: str, place: Place, inside: list[str], in_loop: bool) -> bool:
    """Add the directive's node to `body`; True if it was the `end` of this body."""
    operator, rest = ([*contents.split(None, 1), "", ""])[:2]
    if operator == "end":
        if not inside:
            raise source.error("{% end %} without a beginning", place)
        return True
    if operator in _INTERMEDIATE:
        if not inside or inside[-1] not in _INTERMEDIATE[operator]:
            raise source.error(f"{operator} outside of {' or '.join(_INTERMEDIATE[operator])}", place)
        body.nodes.append(nodes.Intermediate(place, _join_lines(contents)))
    elif operator in ("if", "for", "while", "try", "block", "apply"):
        body.nodes.append(_parse_bodied(source, operator, rest, contents, place, inside, in_loop))
    else:
        _parse_simple(source, body, operator, rest, contents, place, in_loop)
    return False


def _parse_bodied(
    source: Source, operator: str, rest: str, contents: str, place: Place, inside: list[str], in_loop: bool
) -> nodes.Node:
    if len(inside) >= MAX_DEPTH:
        raise source.error(f"more than {MAX_DEPTH} directives inside each other", place)
    if not rest and operator != "try":
        raise source.error(f"{operator}: expected something behind it", place)
    # apply makes a function of its body, where a loop outside can't be broken
    loops = operator in ("for", "while") or (in_loop and operator != "apply")
    printed_by = nodes.TEXT
    if operator == "apply" and rest.strip() in _ESCAPING and source.autoescape is not None:
        before, source.autoescape = source.autoescape, None
        inner = _parse_body(source, [*inside, operator], loops)
        source.autoescape = before
        # Somebody's own function of that name may count on text that is escaped: what it gives is, then.
        printed_by = nodes.ESCAPE
    else:
        inner = _parse_body(source, [*inside, operator], loops)
    if operator == "apply":
        _check_python(source, f"(\n{rest}\n)", "eval", place)
        return nodes.Apply(place, _join_lines(rest), inner, printed_by)
    if operator == "block":
        return nodes.Block(place, rest.strip(), inner)
    return nodes.Control(place, _join_lines(contents), inner)


def _parse_simple(
    source: Source, body: Body, operator: str, rest: str, contents: str, place: Place, in_loop: bool
) -> None:
    """Directives without a body."""
    match operator:
        case "comment":
            return
        case "break" | "continue":
            if not in_loop:
                raise source.error(f"{operator} outside of a loop", place)
            body.nodes.append(nodes.Statement(place, operator))
        case "extends" | "include":
            name = rest.strip("\"'")
            if not name:
                raise source.error(f"{operator}: expected a template's name", place)
            body.nodes.append((nodes.Extends if operator == "extends" else nodes.Include)(place, name))
        case "set" | "import" | "from":
            statement = _join_lines(rest if operator == "set" else contents)
            tree = _check_python(source, statement, "exec", place)
            allowed = (ast.Assign, ast.AugAssign, ast.AnnAssign) if operator == "set" else (ast.Import, ast.ImportFrom)
            if not isinstance(tree, ast.Module) or not tree.body or not isinstance(tree.body[0], allowed):
                raise source.error(
                    f"{operator}: expected {'name = value' if operator == 'set' else 'an import'}", place
                )
            names = (node for node in ast.walk(tree) if isinstance(node, ast.Name))
            assigned = frozenset(name.id for name in names if isinstance(name.ctx, ast.Store))
            body.nodes.append(nodes.Statement(place, statement, assigned))
        case "autoescape":
            source.autoescape = None if rest in ("None", "") else _join_lines(rest)
            if source.autoescape:
                _check_python(source, f"(\n{source.autoescape}\n)", "eval", place)
        case "whitespace":
            try:
                filter_whitespace(rest, "")
            except ValueError as error:
                raise source.error(str(error), place) from None
            source.whitespace = rest
        case "raw":
            body.nodes.append(_parse_expression(source, rest, place, None))
        case "module":
            tree = _check_python(source, f"(\n{rest}\n)", "eval", place)
            if not isinstance(tree, ast.Expression) or not isinstance(tree.body, ast.Call):
                raise source.error("module: expected a call, as Entry(entry)", place)
            body.nodes.append(nodes.Module(place, _join_lines(rest)))
        case "":
            raise source.error("a directive is missing", place)
        case _:
            advice = "; {% end %} ends all of them" if operator.startswith("end") else ""
            raise source.error(f"{operator}: no such directive{advice}", place)
