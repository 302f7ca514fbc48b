#!/bin/sh
# bench.sh URL REQUESTS "CONCURRENCIES": ab with and without keep-alive, one line each.
set -eu
url=$1 requests=$2 concurrencies=$3

run() {
    ab -q -r "$@" "$url" > /tmp/ab.txt 2>&1 || { tail -n 3 /tmp/ab.txt >&2; exit 1; }
    awk -v what="$label" '
        /^Requests per second/ { rate = $4 }
        /^Failed requests/ { failed = $3 }
        /^Non-2xx responses/ { failed += $3 }
        /^ +50%/ { median = $2 }
        /^ +99%/ { slow = $2 }
        END { printf "%-24s %10.0f %8d %8d %8d\n", what, rate, median, slow, failed }' /tmp/ab.txt
}

echo "$url, $requests requests each"
printf '%-24s %10s %8s %8s %8s\n' "" "requests/s" "p50 ms" "p99 ms" "failed"
for concurrency in $concurrencies; do
    label="ab -c $concurrency"
    run -n "$requests" -c "$concurrency"
    label="ab -k -c $concurrency"
    run -k -n "$requests" -c "$concurrency"
done
