#!/bin/sh
# Lint, types and tests in a virtual environment of their own, until the app image runs them.
set -eu
cd "$(dirname "$0")/../.."
python=
for candidate in python3.13 python3.12 "$HOME"/.pyenv/versions/3.13*/bin/python "$HOME"/.pyenv/versions/3.12*/bin/python; do
    command -v "$candidate" >/dev/null 2>&1 && "$candidate" -c 'import ssl' 2>/dev/null && { python=$candidate; break; }
done
[ -n "$python" ] || { echo "test: Python 3.12 or newer is needed" >&2; exit 69; }
[ -x build/venv/bin/pytest ] || { "$python" -m venv build/venv && build/venv/bin/pip install -q -e '.[test]'; }
build/venv/bin/ruff check .
build/venv/bin/mypy
build/venv/bin/pytest -q
