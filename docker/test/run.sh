#!/bin/sh
# What `make test` does inside the test image. Each part says its name; the first failure ends the run.
set -eu
part() { echo "== $*"; }

unit() {
    part "ruff"
    ruff check .
    part "mypy --strict framework"
    mypy --strict framework
    part "architecture, framework, application, containers, nginx"
    folders=
    for folder in architecture framework app docker nginx conformance; do
        [ ! -d "tests/$folder" ] || folders="$folders tests/$folder"
    done
    # shellcheck disable=SC2086 # several folders are several words
    python -m pytest -q $folders
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
