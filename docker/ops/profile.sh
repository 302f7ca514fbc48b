#!/bin/sh
# Where the time of a job goes, as a flame graph in build/profile. JOB is hello, page, row, rows, post or static; LOAD one of ab,
# ab-k, wrk25, wrk256, browser and pipelined.
set -eu
. "$(dirname "$0")/lib.sh"
exec sh docker/ops/bench-image.sh python -m tests.benchmarks.profile --environments /opt/peers \
    --job "${JOB:-hello}" --load "${LOAD:-wrk25}"
