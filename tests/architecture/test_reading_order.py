"""The docstring of `framework` is the reading order, and a module imports only what stands above it."""

import ast
from pathlib import Path

import pytest

import framework

ROOT = Path(framework.__file__).parent
ORDER = [line.split()[0] for line in framework.__doc__.splitlines() if line.startswith("    ")]


def room_of(path: Path) -> str:
    """The listed name a file belongs to: `web` for framework/web/routing.py."""
    return path.relative_to(ROOT).parts[0].removesuffix(".py")


FILES = sorted(p for p in ROOT.rglob("*.py") if p != ROOT / "__init__.py")


def imports_of(path: Path) -> set[str]:
    """Rooms of the framework that a file imports when it is loaded (imports inside functions run later)."""
    tree = ast.parse(path.read_text())
    found = set()
    pending: list[ast.AST] = [tree]
    while pending:
        node = pending.pop()
        if isinstance(node, ast.Import):
            found |= {a.name.split(".")[1] for a in node.names if a.name.startswith("framework.")}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative import"
            if node.module == "framework":
                found |= {a.name for a in node.names} & set(ORDER)
            elif (node.module or "").startswith("framework."):
                found.add(node.module.split(".")[1])
        elif isinstance(node, ast.If) and "TYPE_CHECKING" in ast.dump(node.test):
            continue
        if not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            pending += ast.iter_child_nodes(node)
    return found - {room_of(path)}


def test_every_file_is_listed_and_everything_listed_exists():
    assert {room_of(p) for p in FILES} == set(ORDER)
    assert len(ORDER) == len(set(ORDER))


@pytest.mark.parametrize("path", FILES, ids=lambda p: str(p.relative_to(ROOT)))
def test_imports_only_from_above(path):
    above = set(ORDER[: ORDER.index(room_of(path))])
    below = imports_of(path) - above
    assert not below, f"{path.name} imports {sorted(below)}, which stand below it in framework/__init__.py"
