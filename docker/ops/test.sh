#!/bin/sh
# Lint, types and all tests, in containers: this machine needs no Python. ONLY=unit or ONLY=appliance runs a part.
set -eu
. "$(dirname "$0")/lib.sh"

sh docker/ops/engine.sh test
IMAGES=$(setting IMAGES squall) only=${ONLY:-all}
step "test image: building" sh docker/ops/build-test-image.sh
if [ "$only" != unit ]; then
    # Built here and not by the tests: the certificates of this machine lie outside the test container.
    PIP_CONF=./build/pip.conf
    export PIP_CONF
    step "images: building" compose build
    step "images: applications of other frameworks" env RELEASE=foreign APP_DIR=tests/appliance/foreign \
        APP_BUILD="python manage.py collectstatic --noinput" docker compose build
fi

# The tests drive the engine and kill processes from outside, as the host would: the engine's socket, the host's process ids
# and network. Only this container gets them, and none of the stack's. The repository has the same path inside and outside,
# because Compose hands paths to the engine.
interactive=
[ ! -t 1 ] || interactive=--tty
exec docker run --rm $interactive --network host --pid host --shm-size 512m \
    -v "${DOCKER_SOCKET:-/var/run/docker.sock}:/var/run/docker.sock" -v "$PWD:$PWD" -w "$PWD" \
    -v "$IMAGES-test-cache:/cache" -e "IMAGES=$IMAGES" -e "RELEASE=$(setting RELEASE dev)" \
    "$IMAGES-test:dev" sh docker/test/run.sh "$only"
