"""Importing the framework has no effects: no threads, no sockets, no loop, no handlers on the root logger."""

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
MODULES = sorted(
    str(p.relative_to(ROOT).with_suffix("")).replace("/", ".").removesuffix(".__init__")
    for p in (ROOT / "framework").rglob("*.py")
    if p.name != "__main__.py"
)

PROBE = """
import asyncio, importlib, logging, os, sys, threading, warnings
warnings.simplefilter("error")
before = set(os.listdir("/proc/self/fd"))
importlib.import_module(sys.argv[1])
after = set(os.listdir("/proc/self/fd"))
assert threading.active_count() == 1, threading.enumerate()
assert not logging.getLogger().handlers, logging.getLogger().handlers
assert after <= before, after - before
try:
    asyncio.get_running_loop()
except RuntimeError:
    pass
else:
    raise AssertionError("a loop runs")
"""


@pytest.mark.parametrize("module", MODULES)
def test_import_has_no_effects(module):
    done = subprocess.run([sys.executable, "-c", PROBE, module], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
