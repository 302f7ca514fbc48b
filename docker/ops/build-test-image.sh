#!/bin/sh
# Build the image that tests and benchmarks run in; quick if nothing changed.
set -eu
. "$(dirname "$0")/lib.sh"
mkdir -p build
sh docker/ops/pip-conf.sh > build/pip.conf
sh docker/ops/npm-conf.sh > build/npmrc
exec docker buildx build --load --quiet -f docker/test/Dockerfile -t "$(setting IMAGES squall)-test:dev" \
    --build-arg "BASE_IMAGE=$(setting BASE_IMAGE debian:trixie-slim)" \
    --secret "id=ca_bundle,src=$(setting CA_BUNDLE /etc/ssl/certs/ca-certificates.crt)" \
    --secret id=pip_conf,src=build/pip.conf --secret id=npmrc,src=build/npmrc .
