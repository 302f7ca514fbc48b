#!/bin/sh
# Where the time of a job goes, as a flame graph in build/profile. JOB is any job of the benchmarks (hello, page, row, rows, post,
# static, routes, echo, fan-out, crowd), or stack for a frontend behind nginx; LOAD is one of ab, ab-k, wrk25, wrk256, browser and
# pipelined where the job is plain HTTP, and may be left out.
set -eu
. "$(dirname "$0")/lib.sh"
exec sh docker/ops/bench-image.sh python -m tests.benchmarks.profile --environments /opt/peers \
    --job "${JOB:-hello}" --load "${LOAD:-}"
