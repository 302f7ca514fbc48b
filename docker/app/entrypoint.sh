#!/bin/sh
# What the app image does: serve (supervisord with the frontends), init (secrets), migrate. Validates first, then execs.
set -eu
. /opt/appliance/settings.sh

# Random, never a default: a copied default is a published password.
make_secret() {
    [ ! -s "$1" ] || { log "keeping $1"; return 0; }
    umask 0227 # r--r-----: the owner writes it once, here
    head -c 48 /dev/urandom | base64 -w 0 | tr '+/' '-_' > "$1.new"
    mv "$1.new" "$1"
    log "made $1"
}

init() {
    make_secret /run/secrets-db/db_password
    make_secret /run/secrets-app/cookie_secret
}

migrate() {
    file_setting DB_PASSWORD
    [ -n "${MIGRATE:-}" ] || [ -d app/migrations ] || { log "no MIGRATE and no app/migrations, nothing to do"; return 0; }
    python /opt/appliance/wait_for_database.py
    [ -n "${MIGRATE:-}" ] || exec python -m framework.database.migrate app/migrations
    enter_application
    log "migrating: $MIGRATE"
    exec sh -euc "$MIGRATE"
}

# What is no package (Django's projects, most of FastAPI's) has its modules at the top level, and its files where it runs.
enter_application() {
    if [ ! -f app/__init__.py ]; then
        cd app
        export PYTHONPATH="$PYTHONPATH:$PWD"
    fi
}

# Beside the frontends runs WORKER, or app/worker.py, or nothing.
choose_worker() {
    WORKER_COMMAND=${WORKER:-} HAS_WORKER=true
    if [ -z "$WORKER_COMMAND" ]; then
        if [ -f app/__init__.py ] && [ -f app/worker.py ]; then WORKER_COMMAND="python -m app.worker"; else
            WORKER_COMMAND=true HAS_WORKER=false
        fi
    fi
    export WORKER_COMMAND HAS_WORKER
}

serve() {
    choose_slots
    choose_scheduling
    check_size MAX_BODY "${MAX_BODY:-32m}"
    check_size BODY_MEMORY "${BODY_MEMORY:-256k}"
    check_size MAX_BODIES "${MAX_BODIES:-1g}"
    file_setting DB_PASSWORD
    file_setting COOKIE_SECRET
    need_space /srv/uploads
    [ -w "$FRONTENDS_DIR" ] || die "$FRONTENDS_DIR cannot be written by uid $(id -u); it must belong to group 10000 with mode 2770"
    mkdir -p "$CONTROL_DIR"
    # nginx draws its list of slots from this number when it starts.
    echo "$SLOTS" > "$FRONTENDS_DIR/slots.new"
    mv "$FRONTENDS_DIR/slots.new" "$FRONTENDS_DIR/slots"
    [ ! -d app/static ] || python /opt/appliance/statics.py app/static /srv/statics
    ulimit -n "$(ulimit -H -n)" # a frontend holds thousands of waiting pages; the soft limit is often 1024
    choose_worker
    enter_application
    log "release $RELEASE, $SLOTS slots"
    exec supervisord --configuration /opt/appliance/supervisord.conf
}

case "${1:-serve}" in
    init) init ;;
    migrate) migrate ;;
    serve) serve ;;
    *) exec "$@" ;;
esac
