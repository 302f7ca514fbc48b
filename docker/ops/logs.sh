#!/bin/sh
# Follow the logs of all services, or of SERVICE.
set -eu
. "$(dirname "$0")/lib.sh"
exec docker compose logs --follow --tail 100 ${SERVICE:+"$SERVICE"}
