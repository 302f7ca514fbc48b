#!/bin/sh
# MariaDB in the foreground. The first start makes the data directory aside, without any running server that could answer a
# health check too early, and puts it in place by one rename: a first start that was cut off is simply done again.
set -eu
log() { echo "db: $*" >&2; }
die() { echo "db: $*" >&2; exit 1; }

store=/var/lib/mysql
name=${DB_NAME:-squall} user=${DB_USER:-squall} password_file=${DB_PASSWORD_FILE:-/run/secrets-db/db_password}

check_name() {
    case "$2" in
        *[!A-Za-z0-9_]* | "") die "$1 is '$2'; use letters, digits and underscores only" ;;
    esac
}

validate() {
    check_name DB_NAME "$name"
    check_name DB_USER "$user"
    [ -s "$password_file" ] || die "$password_file is missing or empty; 'docker compose run --rm init' makes it"
    [ -w "$store" ] || die "$store cannot be written by uid $(id -u)"
    [ -w /run/db ] || die "/run/db cannot be written by uid $(id -u); it must belong to group 10000 with mode 2770"
    free=$(df -Pm "$store" | awk 'NR == 2 {print $4}')
    [ "$free" -ge "${DISK_MIN_MB:-64}" ] || die "$store has only $free MB free, less than DISK_MIN_MB=${DISK_MIN_MB:-64}; free some space"
}

# The statements that make the database ours; the last one is the row that `healthy` looks for.
first_sql() {
    password=$(cat "$password_file")
    case "$password" in
        *[\'\\]*) die "$password_file holds a quote or a backslash; use letters, digits, - and _" ;;
    esac
    cat <<SQL
CREATE DATABASE \`$name\` CHARACTER SET utf8mb4 COLLATE utf8mb4_unicode_ci;
CREATE USER '$user'@'localhost' IDENTIFIED BY '$password';
GRANT ALL PRIVILEGES ON \`$name\`.* TO '$user'@'localhost';
CREATE DATABASE squall_appliance;
CREATE TABLE squall_appliance.ready (made_at TIMESTAMP NOT NULL DEFAULT CURRENT_TIMESTAMP);
INSERT INTO squall_appliance.ready () VALUES ();
SQL
}

make_data() {
    log "first start: making the data directory"
    rm -rf "$store/data.new"
    # Who the operating system says is uid 10003 is the administrator: there is no root password to lose.
    mariadb-install-db --no-defaults --datadir="$store/data.new" --auth-root-authentication-method=socket \
        --auth-root-socket-user=db --skip-test-db --tmpdir=/tmp > /tmp/install.log 2>&1 || { cat /tmp/install.log >&2; die "mariadb-install-db failed"; }
    { echo "FLUSH PRIVILEGES;"; first_sql; } | mariadbd --datadir="$store/data.new" --skip-log-bin --bootstrap 2> /tmp/bootstrap.log \
        || { cat /tmp/bootstrap.log >&2; die "the first statements failed"; }
    mv "$store/data.new" "$store/data"
}

validate
[ -d "$store/data" ] || make_data
exec mariadbd --innodb-buffer-pool-size="${DB_BUFFER_POOL:-256M}" --max-connections="${DB_MAX_CONNECTIONS:-200}"
