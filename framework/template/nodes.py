"""What a template is made of, and the Python source that each part becomes.

Neighbouring text and expressions become one f-string, so that there is one append for all of them and Python joins the
pieces in C (a call for each piece, as 2011 had it, takes twice as long). Each line of the source remembers the line
of the template it comes from, so that errors can name it.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

# Names that the generated code uses; a template has no business with them.
FUNCTION = "_tt_execute"
ESCAPE = "_tt_escape"
ESCAPE_BY = "_tt_escape_by"
TEXT = "_tt_text"
MODULES = "_tt_modules"


@dataclass(frozen=True, slots=True)
class Place:
    """A line of a template's source; the first is 1."""

    template: str
    line: int


@dataclass(slots=True)
class Node:
    """A part of a template: a statement, or something printed, which has a `piece`."""

    place: Place

    def children(self) -> "list[Node]":
        """The parts inside of this one."""
        return []

    def piece(self) -> str | None:
        """What is printed, as a literal of Python source; None for statements."""
        return None

    def write(self, writer: "Writer") -> None:
        """Append this part's statements to the source."""


@dataclass(slots=True)
class Text(Node):
    """Text to be printed as it is."""

    value: str

    def piece(self) -> str | None:
        return repr(self.value) if self.value else ""


@dataclass(slots=True)
class Expression(Node):
    """`{{ expression }}`; `function` is what it goes through: escaping, or conversion to text."""

    source: str
    function: str
    argument: str = ""

    def piece(self) -> str | None:
        # The line end keeps a comment in the expression from swallowing what follows.
        end = "\n" if "#" in self.source else ""
        return f'f"{{{self.function}(({self.source}{end}){self.argument})}}"'


@dataclass(slots=True)
class Module(Node):
    """`{% module X(…) %}`: a UI module renders itself, as markup."""

    source: str

    def piece(self) -> str | None:
        end = "\n" if "#" in self.source else ""
        return f'f"{{{TEXT}({MODULES}.{self.source}{end})}}"'


@dataclass(slots=True)
class Body(Node):
    """Parts one after another."""

    nodes: list[Node] = field(default_factory=list)

    def children(self) -> list[Node]:
        return self.nodes

    def write(self, writer: "Writer") -> None:
        pieces: list[tuple[str, Place]] = []
        for node in self._flatten():
            piece = node.piece()
            if piece is None:
                writer.print_pieces(pieces)
                pieces = []
                node.write(writer)
            elif piece:
                pieces.append((piece, node.place))
        writer.print_pieces(pieces)

    def _flatten(self) -> Iterator[Node]:
        for node in self.nodes:
            if type(node) is Body:
                yield from node._flatten()
            else:
                yield node


@dataclass(slots=True)
class Block(Node):
    """`{% block name %}`: replaceable by a template that extends this one."""

    name: str
    body: Body

    def children(self) -> list[Node]:
        return [self.body]

    def write(self, writer: "Writer") -> None:
        writer.blocks[self.name].body.write(writer)


@dataclass(slots=True)
class Extends(Node):
    """`{% extends "name" %}`"""

    name: str


@dataclass(slots=True)
class Include(Node):
    """`{% include "name" %}`: the other template in this place, with the same names."""

    name: str

    def write(self, writer: "Writer") -> None:
        writer.include(self)


@dataclass(slots=True)
class Apply(Node):
    """`{% apply function %}`: what the function makes of the body's output."""

    function: str
    body: Body
    printed_by: str = TEXT

    def children(self) -> list[Node]:
        return [self.body]

    def write(self, writer: "Writer") -> None:
        writer.apply_count += 1
        name = f"_tt_apply{writer.apply_count}"
        writer.line(f"def {name}():", self.place)
        outer, writer.assigned = writer.assigned, set()
        start = len(writer.lines)
        with writer.indented():
            writer.line("_tt_pieces = []; _tt_print = _tt_pieces.append", self.place)
            self.body.write(writer)
            writer.line("return ''.join(_tt_pieces)", self.place)
            if writer.assigned:
                writer.insert(start, [f"nonlocal {', '.join(sorted(writer.assigned))}"], self.place)
        writer.assigned |= outer
        writer.line(f"_tt_print({self.printed_by}({self.function}({name}())))", self.place)


@dataclass(slots=True)
class Control(Node):
    """`{% if … %}` and its like: a statement with a body."""

    statement: str
    body: Body

    def children(self) -> list[Node]:
        return [self.body]

    def write(self, writer: "Writer") -> None:
        writer.line(f"{self.statement}:", self.place)
        with writer.indented():
            self.body.write(writer)
            writer.line("pass", self.place)


@dataclass(slots=True)
class Intermediate(Node):
    """`{% else %}` and its like: ends one body and begins another."""

    statement: str

    def write(self, writer: "Writer") -> None:
        writer.line("pass", self.place)  # the body before may be empty
        writer.line(f"{self.statement}:", self.place, outdent=1)


@dataclass(slots=True)
class Statement(Node):
    """`{% set x = y %}`, imports, `break`, `continue`; `names` are those that it sets."""

    statement: str
    names: frozenset[str] = frozenset()

    def write(self, writer: "Writer") -> None:
        writer.assigned |= self.names
        writer.line(self.statement, self.place)


class Writer:
    """Puts the source together. `places[n]` is where line n + 1 comes from."""

    def __init__(self, blocks: dict[str, Block], include: "Callable[[Include, Writer], None]") -> None:
        self.blocks = blocks
        self.lines: list[str] = []
        self.places: list[Place] = []
        self.apply_count = 0
        self.assigned: set[str] = set()
        self._indent = 0
        self._include = include

    def line(self, text: str, place: Place, outdent: int = 0) -> None:
        """Append one statement; what stands on its further lines is inside brackets or strings, and is not indented."""
        lines = text.split("\n")
        lines[0] = "    " * (self._indent - outdent) + lines[0]
        self.lines += lines
        self.places += [place] * len(lines)

    def insert(self, position: int, statements: list[str], place: Place) -> None:
        """Put statements of one line each before those that were written from `position` on."""
        self.lines[position:position] = ["    " * self._indent + statement for statement in statements]
        self.places[position:position] = [place] * len(statements)

    def bind_given(self, position: int, place: Place) -> None:
        """Let names that the template sets begin as what it was given: Python would call them unbound until then."""
        bound = [f"if {name!r} in _tt_given: {name} = _tt_given[{name!r}]" for name in sorted(self.assigned)]
        if bound:
            self.insert(position, ["_tt_given = globals()", *bound], place)

    @contextmanager
    def indented(self) -> Iterator[None]:
        """What is written inside the block belongs to the statement before."""
        self._indent += 1
        yield
        self._indent -= 1

    def print_pieces(self, pieces: list[tuple[str, Place]]) -> None:
        """Append one call that prints all pieces, each on lines of its own."""
        if not pieces:
            return
        self.line("_tt_print(", pieces[0][1])
        for piece, place in pieces:
            for part in piece.split("\n"):
                self.lines.append(part)
                self.places.append(place)
        self.line(")", pieces[-1][1])

    def include(self, node: Include) -> None:
        """Write another template's body in place."""
        self._include(node, self)
