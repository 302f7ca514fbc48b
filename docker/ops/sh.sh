#!/bin/sh
# A shell in a running service: app, or SERVICE.
set -eu
. "$(dirname "$0")/lib.sh"
need_stack "${SERVICE:-app}"
exec docker compose exec "${SERVICE:-app}" sh
