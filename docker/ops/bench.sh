#!/bin/sh
# Requests per second through nginx, as a table. URL_PATH, REQUESTS and CONCURRENCY may be set; the default is the hello page.
set -eu
. "$(dirname "$0")/lib.sh"
need_stack nginx
step "test image: building" sh docker/ops/build-test-image.sh
exec docker run --rm --network host -v "$PWD/docker/test/bench.sh:/bench.sh:ro" "$(setting IMAGES squall)-test:dev" \
    sh /bench.sh "http://$(setting NGINX_LISTEN 127.0.0.1:8080)${URL_PATH:-/hello}" "${REQUESTS:-100000}" "${CONCURRENCY:-1 25 100}"
