#!/bin/sh
# Stop the appliance and remove all of its data, after asking. CONFIRM=<project name> answers for a script.
set -eu
. "$(dirname "$0")/lib.sh"
project=$(setting COMPOSE_PROJECT_NAME squall)
if [ -z "${CONFIRM:-}" ]; then
    say "This removes the database, the uploads and the secrets of '$project'. There is no way back."
    printf 'Type the name of the project to go on: '
    read -r CONFIRM || CONFIRM=
fi
[ "$CONFIRM" = "$project" ] || die "that is not '$project': nothing was removed"
step "stack: stopping, data: removing" compose down --volumes --remove-orphans
