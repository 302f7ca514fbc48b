#!/bin/sh
# Valkey in the foreground. Validates the one thing that can be wrong: the socket's directory.
set -eu
die() { echo "bus: $*" >&2; exit 1; }

[ -w /run/bus ] || die "/run/bus cannot be written by uid $(id -u); it must belong to group 10000 with mode 2770"
exec valkey-server /etc/squall/valkey.conf
