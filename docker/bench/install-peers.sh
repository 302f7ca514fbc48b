#!/bin/sh
# install-peers.sh LOCKS FOLDER: one virtual environment for each lock file. Runs inside a build step.
# Without the main set there is nothing to compare; of the others a failure is noted, and the report names it.
set -eu
locks=$1 folder=$2
[ ! -s /run/secrets/ca_bundle ] || export PIP_CERT=/run/secrets/ca_bundle
[ ! -s /run/secrets/pip_conf ] || export PIP_CONFIG_FILE=/run/secrets/pip_conf

mkdir -p "$folder"
for lock in "$locks"/*.txt; do
    name=$(basename "$lock" .txt)
    python3 -m venv "$folder/$name"
    # A peer may come as a source archive alone: the hashes hold all the same.
    if ! "$folder/$name/bin/pip" install --quiet --disable-pip-version-check --no-cache-dir --require-hashes -r "$lock" \
        > /tmp/pip.log 2>&1; then
        [ "$name" != main ] || { cat /tmp/pip.log >&2; exit 1; }
        tail -n 3 /tmp/pip.log > "$folder/$name.failed"
        rm -rf "${folder:?}/$name"
    fi
done
