"""Come back once the database lets us in, so that migrations run when they can and not earlier.

A first start makes its data directory before it listens anywhere (docker/db/entrypoint.sh): who is let in finds all of
it. Waiting here, and not by a health check that the engine repeats for ever: each costs a tenth of a second of a core.
"""

import os
import socket
import sys
import time

DEADLINE_S = 120.0
POLL_S = 0.1


def choose_address(environment: dict[str, str]) -> tuple[int, str | tuple[str, int]]:
    """Family and address of the database that the settings name: DB_HOST if it is set, else DB_SOCKET."""
    if environment.get("DB_HOST"):
        return socket.AF_INET, (environment["DB_HOST"], int(environment.get("DB_PORT") or 3306))
    return socket.AF_UNIX, environment.get("DB_SOCKET", "/run/db/mysqld.sock")


def is_greeting(address: tuple[int, str | tuple[str, int]]) -> bool:
    """True if a server there begins its handshake; a socket file alone may be left over from a crash."""
    family, place = address
    with socket.socket(family, socket.SOCK_STREAM) as probe:
        probe.settimeout(2.0)
        try:
            probe.connect(place)
            return bool(probe.recv(1))
        except OSError:
            return False


def main() -> int:
    """Exit status: 0 once the database greets, 1 if it does not in time."""
    address = choose_address(dict(os.environ))
    end = time.monotonic() + DEADLINE_S
    while not is_greeting(address):
        if time.monotonic() > end:
            print(f"app: no database answers at {address[1]} after {DEADLINE_S:.0f} s; see its log", file=sys.stderr)
            return 1
        time.sleep(POLL_S)
    return 0


if __name__ == "__main__":
    sys.exit(main())
