"""Every module of the framework has a test file of its own."""

from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
FILES = (ROOT / "framework").rglob("*.py")
MODULES = sorted(p.relative_to(ROOT / "framework") for p in FILES if p.name != "__init__.py")


@pytest.mark.parametrize("module", MODULES, ids=str)
def test_module_has_a_test_file(module):
    mirror = ROOT / "tests" / "framework" / module.parent / f"test_{module.name}"
    assert mirror.exists(), f"{mirror.relative_to(ROOT)} is missing"
