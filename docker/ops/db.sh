#!/bin/sh
# A prompt in the application's database.
set -eu
. "$(dirname "$0")/lib.sh"
need_stack db
exec docker compose exec db mariadb "$(setting DB_NAME squall)"
