# Settings of the app image, checked in one place. Sourced by entrypoint.sh.
log() { echo "app: $*" >&2; }
die() { echo "app: $*" >&2; exit 1; }

export FRONTENDS_DIR="${FRONTENDS_DIR:-/run/frontends}" CONTROL_DIR="${CONTROL_DIR:-/run/control}"
export DRAIN_DEADLINE_S="${DRAIN_DEADLINE_S:-60}"

# file_setting NAME: NAME or NAME_FILE is set, not both, and the file can be read and is not empty.
file_setting() {
    eval "value=\${$1:-} file=\${$1_FILE:-}"
    [ -z "$value" ] || [ -z "$file" ] || die "$1 and $1_FILE are both set; keep one of them"
    [ -n "$value$file" ] || die "$1 is not set; set $1_FILE to a file that holds it (see .env.example)"
    [ -z "$file" ] || [ -s "$file" ] || die "$1_FILE names $file, which is missing or empty; 'docker compose run --rm init' makes it"
    [ -z "$file" ] || [ -r "$file" ] || die "$1_FILE names $file, which uid $(id -u) cannot read; give it group 10000 and mode 0440"
}

# Cores that the cgroup allows, at least 1: not the host's cores, or a container limited to two of 64 starts 64 frontends.
count_cores() {
    cores=$(nproc)
    quota=max period=100000
    if [ -r /sys/fs/cgroup/cpu.max ]; then
        read -r quota period < /sys/fs/cgroup/cpu.max
    elif [ -r /sys/fs/cgroup/cpu/cpu.cfs_quota_us ]; then
        read -r quota < /sys/fs/cgroup/cpu/cpu.cfs_quota_us
        read -r period < /sys/fs/cgroup/cpu/cpu.cfs_period_us
    fi
    case "$quota" in
        max | -*) ;;
        *) allowed=$(((quota + period - 1) / period)); [ "$allowed" -ge "$cores" ] || cores=$allowed ;;
    esac
    echo "$cores"
}

choose_slots() {
    SLOTS=${SLOTS:-auto}
    [ "$SLOTS" != auto ] || SLOTS=$(count_cores)
    case "$SLOTS" in
        *[!0-9]* | "" | 0*) die "SLOTS is '$SLOTS'; set it to a number from 1 to 128, or to auto (one per core)" ;;
    esac
    [ "$SLOTS" -le 128 ] || die "SLOTS is '$SLOTS'; set it to a number from 1 to 128, or to auto (one per core)"
    export SLOTS
}

# In the batch class a process that is woken does not interrupt the one that runs, so each gets further before it must
# give way: a tenth to a third more requests on busy cores. The price: beside other busy programs it waits some milliseconds.
choose_scheduling() {
    case "${SCHEDULING:-batch}" in
        batch) chrt --batch --pid 0 $$ 2> /dev/null || log "the kernel refuses SCHEDULING=batch; going on as with normal" ;;
        normal) ;;
        *) die "SCHEDULING is '$SCHEDULING'; set it to batch or normal" ;;
    esac
}

# check_size NAME VALUE: bytes, or with k, m, g.
check_size() {
    printf '%s\n' "$2" | grep -Eqx '[0-9]+[kmg]?' || die "$1 is '$2'; expected a size, such as 32m"
}

# need_space DIRECTORY: at least DISK_MIN_MB are free there.
need_space() {
    free=$(df -Pm "$1" | awk 'NR == 2 {print $4}')
    [ "$free" -ge "${DISK_MIN_MB:-64}" ] || die "$1 has only $free MB free, less than DISK_MIN_MB=${DISK_MIN_MB:-64}; free some space"
}
