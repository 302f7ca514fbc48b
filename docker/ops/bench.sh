#!/bin/sh
# Requests per second through nginx as `ab` counts them, and a page beside its peers; the report goes to build/bench.
# URL_PATH, REQUESTS and CONCURRENCY may be set; the default is the hello page, 100000 and 25. ARGS=--publish makes the ratios
# of the run the baseline.
set -eu
. "$(dirname "$0")/lib.sh"
need_stack nginx
export BENCH_NETWORK=host
# shellcheck disable=SC2086
exec sh docker/ops/bench-image.sh python -m tests.benchmarks.appliance \
    --url "http://$(setting NGINX_LISTEN 127.0.0.1:8080)${URL_PATH:-/hello}" --environments /opt/peers \
    --requests "${REQUESTS:-100000}" --concurrency "${CONCURRENCY:-25}" ${ARGS:-}
