#!/bin/sh
# bench-image.sh COMMAND…: build what benchmarks run in, and run a command there; quick if nothing changed.
set -eu
. "$(dirname "$0")/lib.sh"
IMAGES=$(setting IMAGES squall)
sh docker/ops/engine.sh bench
step "test image: building" sh docker/ops/build-test-image.sh
step "bench image: building" docker buildx build --load --quiet -f docker/bench/Dockerfile -t "$IMAGES-bench:dev" \
    --build-arg "TEST_IMAGE=$IMAGES-test:dev" \
    --secret "id=ca_bundle,src=$(setting CA_BUNDLE /etc/ssl/certs/ca-certificates.crt)" \
    --secret id=pip_conf,src=build/pip.conf .
mkdir -p build/bench build/profile
interactive=
[ ! -t 1 ] || interactive=--tty
# Loopback alone: in the host's network namespace every packet, over loopback too, passes the tables of the engine's NAT, and
# a server's figure would hold what a firewall costs. BENCH_NETWORK=host reaches the running stack without the engine's proxy.
# ptrace, since a profiler looks into its child.
# shellcheck disable=SC2016
exec docker run --rm --init $interactive --network "${BENCH_NETWORK:-none}" --cap-add SYS_PTRACE --shm-size 512m \
    -v "$PWD:$PWD" -w "$PWD" -e "OWNER=$(stat -c %u:%g .)" "$IMAGES-bench:dev" sh -c '
    "$@"
    status=$?
    chown -R "$OWNER" build/bench build/profile
    [ ! -d docs/benchmarks ] || chown -R "$OWNER" docs/benchmarks BENCHMARKS.md
    exit $status' bench "$@"
