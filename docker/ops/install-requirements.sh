#!/bin/sh
# install-requirements.sh LOCK VENV [FURTHER]: a virtual environment with exactly what LOCK names, and then what FURTHER, a
# requirements file of the application's own, asks for if it is there. Runs inside a build step.
set -eu
lock=$1 venv=$2 further=${3-}

python3 -m venv "$venv"
[ ! -s /run/secrets/ca_bundle ] || export PIP_CERT=/run/secrets/ca_bundle
[ ! -s /run/secrets/pip_conf ] || export PIP_CONFIG_FILE=/run/secrets/pip_conf
pip() { "$venv/bin/pip" --quiet --disable-pip-version-check "$@"; }
# Hashes are required, so an index can refuse to deliver but not deliver something else.
pip install --no-cache-dir --require-hashes --only-binary :all: -r "$lock"
if [ -f "$further" ]; then
    pip install --no-cache-dir -r "$further"
    # It may have replaced what the framework was locked with, but not by what the framework can't work with.
    pip check || { echo "$further: asks for versions that do not go together, see above" >&2; exit 1; }
fi
# pip itself is not needed at run time, and what is not there cannot be misused.
pip uninstall --yes pip
