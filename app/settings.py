"""What the environment says about this application; every name stands in .env.example."""

from dataclasses import dataclass, field

from framework.database import Address
from framework.database.migrate import define_database_options, host_of
from framework.options import OptionError, OptionParser

MIN_SECRET_CHARS = 16


@dataclass(frozen=True, slots=True)
class Settings:
    """The settings, checked."""

    database: Address
    cookie_secrets: tuple[str, ...] = field(repr=False)
    bus: str = ""
    debug: bool = False
    has_test_routes: bool = False
    slot: str = "0"
    release: str = "dev"


def read_settings(environ: dict[str, str] | None = None) -> Settings:
    """The settings from the environment (that of the process if None).

    Raises:
        OptionError: with one sentence that says which setting is wrong and what to do.
    """
    options = OptionParser()
    define_database_options(options)
    options.define(
        "cookie_secret", default="", help="signs cookies; of several lines the first signs and all are believed"
    )
    options.define("bus_socket", default="", help="path of the bus's unix socket; unused if BUS_HOST is set")
    options.define("bus_host", default="", help="host of a bus elsewhere")
    options.define("bus_port", default=6379, help="its port")
    options.define("debug", default=False, help="tracebacks in the browser")
    options.define("test_routes", default=False, help="routes for tests of the appliance")
    options.define("slot", default="0", help="slot of this process")
    options.define("release", default="dev", help="name of the release")
    options.parse_environment(environ)
    secrets = tuple(line.strip() for line in options.cookie_secret.splitlines() if line.strip())
    if not secrets:
        raise OptionError("COOKIE_SECRET is not set, nor COOKIE_SECRET_FILE; see .env.example")
    if min(map(len, secrets)) < MIN_SECRET_CHARS:
        raise OptionError(
            f"COOKIE_SECRET: expected at least {MIN_SECRET_CHARS} characters; make one with: openssl rand -hex 32"
        )
    bus = f"{options.bus_host}:{options.bus_port}" if options.bus_host else options.bus_socket
    address = Address(host_of(options), options.db_name, options.db_user, options.db_password)
    return Settings(address, secrets, bus, options.debug, options.test_routes, options.slot, options.release)
