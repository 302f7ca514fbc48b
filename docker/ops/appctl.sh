#!/bin/sh
# appctl in the app container: roll, hold, resume or status, given as the first argument; further flags in ARGS.
set -eu
. "$(dirname "$0")/lib.sh"
need_stack app
# shellcheck disable=SC2086 # several flags are several words
exec docker compose exec -T app appctl "$1" ${ARGS:-}
