#!/bin/sh
# install-requirements.sh LOCK VENV: a virtual environment with exactly what LOCK names. Runs inside a build step.
set -eu
lock=$1 venv=$2

python3 -m venv "$venv"
[ ! -s /run/secrets/ca_bundle ] || export PIP_CERT=/run/secrets/ca_bundle
[ ! -s /run/secrets/pip_conf ] || export PIP_CONFIG_FILE=/run/secrets/pip_conf
# Hashes are required, so an index can refuse to deliver but not deliver something else.
"$venv/bin/pip" install --quiet --disable-pip-version-check --no-cache-dir --require-hashes --only-binary :all: -r "$lock"
# pip itself is not needed at run time, and what is not there cannot be misused.
"$venv/bin/pip" uninstall --quiet --yes pip
