#!/bin/sh
# Bring the appliance up on this machine, from whatever there is, and wait until it is healthy.
set -eu
. "$(dirname "$0")/lib.sh"

sh docker/ops/check-settings.sh
sh docker/ops/engine.sh up

# Room for the images the first time, for data later.
check_disk() {
    root=$(docker info --format '{{.DockerRootDir}}')
    [ -d "$root" ] || return 0 # the engine is elsewhere, in a machine of its own
    need=300
    docker image inspect "$(setting IMAGES squall)-app:$(setting RELEASE dev)" > /dev/null 2>&1 || need=3000
    need=${DISK_NEED_MB:-$need}
    free=$(df -Pm "$root" | awk 'NR == 2 {print $4}')
    [ "$free" -ge "$need" ] || die "$root has $free MB free and this needs $need MB; free some space ('docker system prune' removes what no container uses)"
}

# Addresses with a listener, from the kernel: hexadecimal ports in state 0A.
is_port_taken() {
    wanted=$(printf '%04X' "$1")
    cat /proc/net/tcp /proc/net/tcp6 2> /dev/null | awk -v port="$wanted" '
        $4 == "0A" { n = split($2, part, ":"); if (part[n] == port) found = 1 }
        END { exit !found }'
}
check_port() {
    running=$(docker ps -q --filter "label=com.docker.compose.service=nginx" \
        --filter "label=com.docker.compose.project=$(setting COMPOSE_PROJECT_NAME squall)")
    if [ -n "$running" ] && docker inspect --format '{{.Config.Env}}' "$running" | grep -q "NGINX_LISTEN=$listen[] ]"; then
        return 0 # it is ours
    fi
    ! is_port_taken "$(port_of "$listen")" ||
        die "port $(port_of "$listen") is taken by another program; stop that, or set NGINX_LISTEN to another address in .env"
}

# Compose waits for each service before it starts the next. What it does not say is why one did not get healthy.
start_stack() {
    compose up --detach --remove-orphans --quiet-pull && return 0
    for container in $(compose ps --all --quiet); do
        docker inspect --format '{{.State.Status}} {{.State.ExitCode}}' "$container" |
            grep -Eq '^(exited [1-9]|restarting)' || continue
        explain "$(docker inspect --format '{{index .Config.Labels "com.docker.compose.service"}}' "$container")" "$container"
    done
    return 1
}

# explain SERVICE CONTAINER: its last lines.
explain() {
    echo "--- $1 did not get healthy; its last lines:"
    docker logs --tail 8 "$2" 2>&1
}

# Whether a container starts over and over, or one whose frontends do: it will not get better by itself.
is_hopeless() {
    restarts=$(docker inspect --format '{{.RestartCount}}' "$1")
    [ "$((restarts - $2))" -ge 3 ] ||
        [ "$(docker logs --since "$asked_at" "$1" 2>&1 | grep -c 'exited: frontend.*; not expected')" -ge 6 ]
}

# Asked here, because the engine asks too seldom for somebody who waits.
wait_healthy() {
    left=300
    container=$(compose ps --all --quiet "$1")
    before=$(docker inspect --format '{{.RestartCount}}' "$container")
    until docker exec "$container" healthy > /dev/null 2>&1; do
        left=$((left - 1))
        if [ "$left" -le 0 ] || { [ $((left % 5)) = 0 ] && is_hopeless "$container" "$before"; }; then
            docker exec "$container" healthy || true
            explain "$1" "$container"
            return 1
        fi
        sleep 0.2
    done
}

print_summary() {
    slots=$(compose exec -T app cat /run/frontends/slots)
    say ""
    say "Squall is up:  http://$listen"
    [ ! -f "$(setting TLS_DIR ./nginx/tls)/fullchain.pem" ] || say "               https://$(setting NGINX_TLS_LISTEN 127.0.0.1:8443)"
    say "  slots        $slots"
    say "  release      $(setting RELEASE dev)"
    say "  versions     squall $(compose exec -T app python -c 'import framework; print(framework.version)')," \
        "$(compose exec -T app python --version)," \
        "$(compose exec -T nginx nginx -v 2>&1 | sed 's,.*/,nginx ,; s, .*(.*,,' | head -n 1)," \
        "$(compose exec -T db mariadbd --version 2> /dev/null | sed 's/.*Ver \([0-9.]*\).*/MariaDB \1/')," \
        "$(compose exec -T bus valkey-server --version | sed 's/.*v=\([0-9.]*\).*/Valkey \1/')"
    say "  next         make logs, make ps, make help"
}

listen=$(setting NGINX_LISTEN 127.0.0.1:8080)
check_disk
check_port
mkdir -p build
if [ -z "$(setting PIP_CONF "")" ]; then
    sh docker/ops/pip-conf.sh > build/pip.conf
    export PIP_CONF=./build/pip.conf
fi
step "images: building" compose build
asked_at=$(date +%s)
step "stack: starting" start_stack
for service in db bus app nginx; do step "$service: waiting until healthy" wait_healthy "$service"; done
print_summary
