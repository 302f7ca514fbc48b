#!/bin/sh
# What `make test` does inside the test image. Each part says its name; the first failure ends the run.
set -eu
part() { echo "== $*"; }

unit() {
    part "ruff"
    ruff check .
    part "mypy --strict framework, and a program that uses it"
    mypy --strict framework tests/conformance/typed/notes.py
    part "everything that needs no stack"
    python -m pytest -q tests --ignore tests/appliance
}

appliance() {
    [ -d tests/appliance ] || return 0
    part "the whole stack, in containers of its own"
    python -m pytest -q tests/appliance
}

case "${1:-all}" in
    all) unit; appliance ;;
    unit) unit ;;
    appliance) appliance ;;
    *) echo "ONLY is '$1'; expected unit or appliance" >&2; exit 1 ;;
esac
