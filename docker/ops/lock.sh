#!/bin/sh
# Write the locked, hashed dependencies anew from pyproject.toml. Runs in a container; the machine needs no Python.
set -eu
. "$(dirname "$0")/lib.sh"
sh docker/ops/engine.sh lock
mkdir -p build
sh docker/ops/pip-conf.sh > build/pip.conf
bundle=$(setting CA_BUNDLE /etc/ssl/certs/ca-certificates.crt)

compile() {
    docker run --rm -v "$PWD:/work" -v "$bundle:/ca.crt:ro" -v "$PWD/build/pip.conf:/pip.conf:ro" \
        -e PIP_CERT=/ca.crt -e PIP_CONFIG_FILE=/pip.conf -w /work "$(setting BASE_IMAGE debian:trixie-slim)" sh -ec '
        apt-get update -qq
        apt-get install -y -qq --no-install-recommends python3-venv
        python3 -m venv /tmp/venv
        /tmp/venv/bin/pip install -q pip-tools
        # lock TARGET SOURCE…
        lock() {
            target=$1
            shift
            # No address of an index may get into the file: where packages come from is the business of each machine.
            /tmp/venv/bin/pip-compile -q --generate-hashes --allow-unsafe --strip-extras --no-header --no-emit-options \
                --no-emit-index-url --no-emit-trusted-host --no-emit-find-links "$@" -o /tmp/lock.txt
            { echo "# Written by \`make lock\` from pyproject.toml. Every file is named by its hash; where it comes from is the machine'"'"'s business."; cat /tmp/lock.txt; } > "$target"
            rm /tmp/lock.txt
        }
        lock docker/app/requirements.txt --extra appliance pyproject.toml
        lock docker/test/requirements.txt --extra appliance --extra test --extra bench pyproject.toml
        peers=tests/benchmarks/peers/requirements
        lock $peers/main.txt --extra bench pyproject.toml $peers/main.in
        for name in robyn sanic socketify; do
            lock $peers/$name.txt $peers/$name.in
        done'
}
step "dependencies: locking" compile
