#!/bin/sh
# See to what the appliance stands on: the engine, a running daemon, the base image, Compose v2 and buildx. Each is looked for
# first and installed only if it is missing.
set -eu
. "$(dirname "$0")/lib.sh"

BASE_IMAGE=$(setting BASE_IMAGE debian:trixie-slim)

is_packaged() { apt-cache show "$1" > /dev/null 2>&1; }

install_packages() {
    command -v apt-get > /dev/null || die "$* is missing, and this system has no apt-get; install it by hand (docs.docker.com/engine/install) and try again"
    as_root apt-get update -qq && as_root env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "$@"
}

is_daemon_up() { docker version --format '{{.Server.Version}}' > /dev/null 2>&1; }

# The client is part of docker.io up to Debian 12, and a package of its own afterwards. The daemon needs iptables.
install_engine() {
    install_packages docker.io iptables
    command -v docker > /dev/null || install_packages docker-cli
}

start_daemon() {
    if [ -d /run/systemd/system ]; then
        as_root systemctl start docker
    else
        # No systemd (a container, WSL, a rescue system): the daemon runs on its own.
        as_root sh -c 'setsid dockerd > /var/log/dockerd.log 2>&1 < /dev/null &'
    fi
    left=150
    until is_daemon_up; do
        left=$((left - 1))
        if [ "$left" -le 0 ]; then
            tail -n 5 /var/log/dockerd.log 2> /dev/null || true
            echo "the docker daemon does not start here; a container without privileges cannot run one: use a machine or a virtual machine"
            return 1
        fi
        sleep 0.2
    done
}

has_compose() {
    version=$(docker compose version --short 2> /dev/null) || return 1
    version=${version#v} major=${version%%.*} rest=${version#*.}
    minor=${rest%%.*}
    [ "$major" -gt 2 ] || { [ "$major" = 2 ] && [ "$minor" -ge 26 ]; }
}
has_buildx() { docker buildx version > /dev/null 2>&1; }

# From a registry if one answers at once; otherwise from the distribution's packages, which takes 20 s.
make_base() {
    if timeout 20 docker pull -q "$BASE_IMAGE"; then return 0; fi
    command -v mmdebstrap > /dev/null || install_packages mmdebstrap debian-archive-keyring
    mirror=$(setting DEBIAN_MIRROR "")
    as_root mmdebstrap --variant=minbase --include=ca-certificates trixie - ${mirror:+"$mirror"} | docker import - "$BASE_IMAGE"
    docker image inspect "$BASE_IMAGE" > /dev/null
}

# Debian 12 has no Compose v2. The programs are static: those of Debian 13 run anywhere.
fetch_plugins() {
    if [ "$(id -u)" = 0 ]; then folder=/usr/local/lib/docker/cli-plugins; else folder=$HOME/.docker/cli-plugins; fi
    mkdir -p "$folder"
    docker run --rm "$BASE_IMAGE" sh -ec '
        cd /tmp
        { apt-get update -qq && apt-get download -qq docker-compose docker-buildx; } >&2
        for package in *.deb; do dpkg-deb -x "$package" unpacked; done
        tar -C unpacked/usr/libexec/docker/cli-plugins -c .' | tar -C "$folder" -x
}

install_plugins() {
    for package in docker-compose-v2 docker-buildx; do # Ubuntu's names
        if is_packaged "$package"; then install_packages "$package" || true; fi
    done
    { has_compose && has_buildx; } || fetch_plugins
    has_compose && has_buildx
}

if command -v docker > /dev/null; then say "engine: docker $(docker --version | sed 's/Docker version \([^,]*\).*/\1/')"; else
    step "engine: installing docker from the distribution" install_engine
fi
if ! is_daemon_up; then
    case "$(docker version 2>&1)" in
        *"permission denied"*) die "you may not use the docker daemon; run 'sudo make $1', or join its group: 'sudo usermod -aG docker $(id -un)' and log in again" ;;
    esac
    [ -z "${DOCKER_HOST-}" ] || die "no docker daemon answers at DOCKER_HOST=$DOCKER_HOST; unset it to use one on this machine"
    # A client alone is found on machines that build elsewhere: it is no engine. The daemon may lie where only root looks.
    PATH=$PATH:/usr/sbin:/sbin command -v dockerd > /dev/null \
        || step "engine: installing the daemon from the distribution" install_engine
    is_daemon_up || step "engine: starting the daemon" start_daemon
fi
docker image inspect "$BASE_IMAGE" > /dev/null 2>&1 || step "base image: $BASE_IMAGE" make_base
{ has_compose && has_buildx; } || step "plugins: Compose v2 and buildx" install_plugins
