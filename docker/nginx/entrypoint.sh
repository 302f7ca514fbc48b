#!/bin/sh
# Draws nginx's configuration from the settings, lets nginx itself check it, and runs nginx. `render` only draws and checks.
set -eu
log() { echo "nginx: $*" >&2; }
die() { echo "nginx: $*" >&2; exit 1; }

source=${NGINX_SOURCE:-/etc/squall/nginx} run=${NGINX_RUN:-/run/nginx} # other places for the tests only
frontends=${FRONTENDS_DIR:-/run/frontends}
NGINX_LISTEN=${NGINX_LISTEN:-127.0.0.1:8080} NGINX_TLS_LISTEN=${NGINX_TLS_LISTEN:-127.0.0.1:8443}
NGINX_WORKERS=${NGINX_WORKERS:-auto} MAX_BODY=${MAX_BODY:-32m} CONNECTIONS_PER_CLIENT=${CONNECTIONS_PER_CLIENT:-1024}
SCHEDULING=${SCHEDULING:-batch}

# check NAME VALUE PATTERN WHAT: VALUE is wholly matched by the extended regular expression PATTERN.
check() {
    echo "$2" | grep -Eqx "$3" || die "$1 is '$2'; expected $4"
}

validate() {
    address='(([0-9.]+|\[[0-9a-f:]+\]|[a-z0-9.-]+):)?[0-9]{1,5}'
    check NGINX_LISTEN "$NGINX_LISTEN" "$address" "an address and a port, such as 127.0.0.1:8080"
    check NGINX_TLS_LISTEN "$NGINX_TLS_LISTEN" "$address" "an address and a port, such as 127.0.0.1:8443"
    check NGINX_WORKERS "$NGINX_WORKERS" 'auto|[1-9][0-9]*' "auto or a number"
    check MAX_BODY "$MAX_BODY" '[0-9]+[kmg]?' "a size, such as 32m"
    check SCHEDULING "$SCHEDULING" 'batch|normal' "batch or normal"
    check CONNECTIONS_PER_CLIENT "$CONNECTIONS_PER_CLIENT" '[1-9][0-9]{0,4}' "a number from 1 to 65535"
    check TRUSTED_PROXIES "${TRUSTED_PROXIES:-none}" 'none|[0-9a-f.:/, ]+' "networks, such as 10.0.0.0/8,192.168.0.0/16"
}

# As many slots as the app container said; SLOTS as a number decides at once.
count_slots() {
    case "${SLOTS:-auto}" in
        auto)
            # Written in the first instants of the app container, which is started before this one.
            left=300
            until [ -s "$frontends/slots" ] || [ "$left" -le 0 ] || [ "${1:-serve}" = render ]; do sleep 0.1; left=$((left - 1)); done
            [ -s "$frontends/slots" ] || die "$frontends/slots is missing; the app container writes it: start that first"
            slots=$(cat "$frontends/slots")
            ;;
        *) slots=$SLOTS ;;
    esac
    check SLOTS "$slots" '[1-9][0-9]{0,2}' "a number from 1 to 128, or auto (one per core)"
}

fill() {
    sed -e "s|@NGINX_LISTEN@|$NGINX_LISTEN|g" -e "s|@NGINX_TLS_LISTEN@|$NGINX_TLS_LISTEN|g" \
        -e "s|@NGINX_WORKERS@|$NGINX_WORKERS|g" -e "s|@MAX_BODY@|$MAX_BODY|g" \
        -e "s|@FILES@|$files|g" -e "s|@CONNECTIONS@|$((files / 2))|g" -e "s|@INSTANCE@|$instance|g" \
        -e "s|@CONNECTIONS_PER_CLIENT@|$CONNECTIONS_PER_CLIENT|g" "$source/templates/$1"
}

# upstream NAME KEEP: max_fails=0, or one slow answer takes a slot out for ten seconds, and two take the site down.
upstream() {
    echo "upstream $1 {"
    echo "    zone $1 256k; # counters shared by all workers"
    echo "    least_conn;   # stands before keepalive, or nginx < 1.29.7 ignores it silently"
    slot=0
    while [ "$slot" -lt "$slots" ]; do
        echo "    server unix:$frontends/$slot.sock max_fails=0;"
        slot=$((slot + 1))
    done
    # Closed here after 4 s, long before a frontend would: a frontend never closes an idle connection first.
    echo "    keepalive $2; keepalive_timeout 4s; keepalive_requests 100000;"
    echo "}"
}

# Behind a proxy of ours, the client's address and scheme are what that proxy says; from anyone else they are what we see.
client() {
    if [ "${TRUSTED_PROXIES:-none}" = none ]; then
        echo "map \$scheme \$client_scheme { default \$scheme; }"
        return
    fi
    echo "real_ip_header X-Forwarded-For;"
    echo "real_ip_recursive on;"
    networks=$(echo "$TRUSTED_PROXIES" | tr ',' ' ')
    for network in $networks; do echo "set_real_ip_from $network;"; done
    echo "geo \$realip_remote_addr \$trusted_proxy {"
    echo "    default 0;"
    for network in $networks; do echo "    $network 1;"; done
    echo "}"
    echo "map \$trusted_proxy:\$http_x_forwarded_proto \$client_scheme {"
    echo "    1:https https;"
    echo "    1:http http;"
    echo "    default \$scheme;"
    echo "}"
}

render() {
    mkdir -p "$run/conf"
    fill main.conf > "$run/conf/main.conf"
    fill limits.conf > "$run/conf/limits.conf"
    fill request-id.conf > "$run/conf/request-id.conf"
    client > "$run/conf/client.conf"
    { upstream frontends 256; upstream realtime 64; } > "$run/conf/upstreams.conf"
    fill server.conf > "$run/conf/servers.conf"
    if [ -f /etc/squall/tls/fullchain.pem ]; then
        [ -r /etc/squall/tls/privkey.pem ] || die "privkey.pem is missing beside fullchain.pem, or uid $(id -u) cannot read it; give it group 10000 and mode 0640"
        fill server-tls.conf >> "$run/conf/servers.conf"
    fi
    nginx -q -t -c "$source/nginx.conf" || die "the configuration is not valid; see the line above"
}

# refuse_taken ADDRESS: nothing answers there yet. nginx would say so too, but only after five tries and in its own words.
refuse_taken() {
    host=${1%:*} port=${1##*:}
    case "$host" in "$port" | 0.0.0.0 | '*') host=127.0.0.1 ;; esac
    code=0
    curl --silent --max-time 1 --output /dev/null "http://$host:$port/" || code=$?
    # 7: could not connect. Any answer, and silence too, means that somebody is there.
    [ "$code" = 7 ] || die "port $port is taken by another program; stop it, or set NGINX_LISTEN to another address"
}

# As many open files as the engine allows, to a limit: asking for more would stop nginx, and the engine's own default varies.
count_files() {
    files=$(ulimit -H -n)
    case "$files" in *[!0-9]*) files=65536 ;; esac
    [ "$files" -le 65536 ] || files=65536
}

instance=$(od -An -tx1 -N8 /dev/urandom | tr -d ' ')
validate
count_slots "${1:-serve}"
count_files
[ "${1:-serve}" = render ] || refuse_taken "$NGINX_LISTEN"
render
[ "${1:-serve}" != render ] || exit 0
# As in the app container (settings.sh), and worth most together with it.
[ "$SCHEDULING" = normal ] || chrt --batch --pid 0 $$ 2> /dev/null || log "the kernel refuses SCHEDULING=batch; going on as with normal"
log "$NGINX_LISTEN, $slots slots, $(nginx -v 2>&1 | cut -d/ -f2)"
exec nginx -c "$source/nginx.conf" -g 'daemon off;'
