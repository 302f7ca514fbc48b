#!/bin/sh
# Stop the appliance and keep its data.
set -eu
. "$(dirname "$0")/lib.sh"
command -v docker > /dev/null || die "docker is not installed, so nothing is running"
step "stack: stopping (data stays)" compose down --remove-orphans
