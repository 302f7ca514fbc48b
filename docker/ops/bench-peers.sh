#!/bin/sh
# Squall beside its peers, every job, in turns: about 45 minutes. ARGS go to tests.benchmarks.peers; ARGS=--help lists them.
set -eu
. "$(dirname "$0")/lib.sh"
# shellcheck disable=SC2086
exec sh docker/ops/bench-image.sh python -m tests.benchmarks.peers --environments /opt/peers ${ARGS:-}
