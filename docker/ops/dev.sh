#!/bin/sh
# The stack with the working tree in place of the images' copy. `make roll` takes up changed code without losing a request.
set -eu
. "$(dirname "$0")/lib.sh"
COMPOSE_FILE=$(setting COMPOSE_FILE compose.yaml):compose.dev.yaml
export COMPOSE_FILE
sh docker/ops/up.sh
say "  changed code make roll"
exec docker compose logs --follow --tail 10 app
