#!/bin/sh
# Services and slots.
set -eu
. "$(dirname "$0")/lib.sh"
compose ps --all --format 'table {{.Service}}\t{{.Status}}\t{{.Image}}'
[ -z "$(compose ps -q app 2> /dev/null)" ] || compose exec -T app appctl status
