"""An editor shows a docstring, its own or inherited, for every public name of the framework."""

import importlib
import inspect
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
MODULES = sorted(
    ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")
    for path in (ROOT / "framework").rglob("*.py")
)


def undocumented(module):
    """Public functions, classes and methods that the module defines and that have no docstring."""
    found = []
    for name, value in vars(module).items():
        if name.startswith("_") or getattr(value, "__module__", None) != module.__name__:
            continue
        if inspect.isfunction(value) and not inspect.getdoc(value):
            found.append(name)
        elif inspect.isclass(value):
            found += [] if value.__doc__ else [name]
            methods = ((one, getattr(value, one)) for one in vars(value) if not one.startswith("_"))
            found += [
                f"{name}.{one}"
                for one, method in methods
                if (inspect.isfunction(method) or isinstance(method, property)) and not inspect.getdoc(method)
            ]
    return found


@pytest.mark.parametrize("name", MODULES)
def test_public_names_have_docstrings(name):
    module = importlib.import_module(name)
    assert module.__doc__
    assert not undocumented(module)
