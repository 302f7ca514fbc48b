#!/bin/sh
# Stop with one sentence if a setting is wrong, before anything is built or started.
set -eu
. "$(dirname "$0")/lib.sh"

# A name in .env that means nothing is most often a misspelt one that means something.
known=$(sed -n 's/^#\{0,1\}\([A-Z][A-Z0-9_]*\)=.*/\1/p' .env.example)
if [ -f .env ]; then
    sed -n 's/^\([A-Za-z_][A-Za-z0-9_]*\)=.*/\1/p' .env | while read -r name; do
        printf '%s\n' "$known" | grep -qx "$name" || die "$name in .env is not a setting; .env.example lists them all"
    done
fi

slots=$(setting SLOTS auto)
case "$slots" in
    auto | [1-9] | [1-9][0-9] | 1[01][0-9] | 12[0-8]) ;;
    *) die "SLOTS is '$slots'; set it to a number from 1 to 128, or to auto (one per core)" ;;
esac

scheduling=$(setting SCHEDULING batch)
case "$scheduling" in
    batch | normal) ;;
    *) die "SCHEDULING is '$scheduling'; set it to batch or normal" ;;
esac

check_size() {
    printf '%s\n' "$2" | grep -Eqx '[0-9]+[kmg]?' || die "$1 is '$2'; expected a size, such as 32m"
}
check_size MAX_BODY "$(setting MAX_BODY 32m)"
check_size BODY_MEMORY "$(setting BODY_MEMORY 256k)"
check_size MAX_BODIES "$(setting MAX_BODIES 1g)"

check_address() {
    port=$(port_of "$2")
    case "$port" in
        *[!0-9]* | "" | 0*) die "$1 is '$2'; expected an address and a port, such as 127.0.0.1:8080" ;;
    esac
    [ "$port" -le 65535 ] || die "$1 is '$2'; a port is at most 65535"
}
listen=$(setting NGINX_LISTEN 127.0.0.1:8080)
check_address NGINX_LISTEN "$listen"
check_address NGINX_TLS_LISTEN "$(setting NGINX_TLS_LISTEN 127.0.0.1:8443)"

# nginx runs as an ordinary user on the host's network, where low ports are root's unless the kernel is told otherwise.
low=$(cat /proc/sys/net/ipv4/ip_unprivileged_port_start 2> /dev/null || echo 1024)
case "$(setting COMPOSE_FILE compose.yaml)" in
    *publish*) ;;
    *) [ "$(port_of "$listen")" -ge "$low" ] || die "port $(port_of "$listen") is reserved for root: 'sysctl net.ipv4.ip_unprivileged_port_start=80', or COMPOSE_FILE=compose.yaml:compose.publish.yaml" ;;
esac

# Only what lies in the repository reaches the image.
is_in_repository() { case "$1" in /* | *..*) return 1 ;; *) [ -d "$1" ] ;; esac; }
folder=$(setting APP_DIR app)
is_in_repository "$folder" || die "APP_DIR is '$folder', which is no folder of this repository; put the application into one"

bundle=$(setting CA_BUNDLE /etc/ssl/certs/ca-certificates.crt)
[ -r "$bundle" ] || die "CA_BUNDLE is $bundle, which cannot be read; install ca-certificates, or name the machine's bundle"
