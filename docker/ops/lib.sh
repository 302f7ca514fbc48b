# What the verbs share: how they speak, where settings come from, how a long step shows that it lives. Sourced, POSIX sh.
# A verb is run from anywhere; it works in the repository's root.
cd "$(dirname "$0")/../.."

say() { printf '%s\n' "$*"; }
die() { printf 'squall: %s\n' "$*" >&2; exit 1; }

# setting NAME DEFAULT: from the environment, else from .env, else DEFAULT: the order that Compose has.
setting() {
    eval "value=\${$1-}"
    if [ -z "$value" ] && [ -f .env ]; then
        value=$(sed -n "s/^$1=//p" .env | tail -n 1 | sed -e 's/^"\(.*\)"$/\1/' -e "s/^'\(.*\)'\$/\1/")
    fi
    printf '%s' "${value:-$2}"
}

# As the user who may administer this machine.
as_root() {
    if [ "$(id -u)" = 0 ]; then "$@"; elif command -v sudo > /dev/null; then sudo "$@"; else
        die "this needs root: run it as root, or install sudo"
    fi
}

# step WHAT COMMAND…: one line; dots while it lasts; its output only if it fails, and kept in build/log.
step() {
    what=$1
    shift
    mkdir -p build/log
    output=build/log/$(printf '%s' "$what" | tr -cs 'A-Za-z0-9\n' '-').log
    printf '%s ' "$what"
    began=$(date +%s)
    "$@" > "$output" 2>&1 &
    job=$!
    ticks=0
    while kill -0 "$job" 2> /dev/null; do
        sleep 0.2
        ticks=$((ticks + 1))
        [ $((ticks % 15)) -ne 0 ] || printf '.'
    done
    if wait "$job"; then
        say "ok ($(($(date +%s) - began)) s)"
    else
        say "failed"
        tail -n 25 "$output" >&2
        die "$what: failed; all of its output is in $output"
    fi
}

compose() { docker compose "$@"; }

# The port at the end of an address.
port_of() { printf '%s' "${1##*:}"; }

need_stack() {
    command -v docker > /dev/null || die "docker is not installed; 'make up' installs it"
    [ -n "$(compose ps -q "$1" 2> /dev/null)" ] || die "$1 is not running; start the appliance with 'make up'"
}
