"""What the environment says about this application; every name stands in .env.example."""

from dataclasses import dataclass, field
from urllib.parse import urlsplit

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
    openid_connect: dict[str, str] = field(default_factory=dict, repr=False)
    openid_name: str = ""
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
    options.define("oidc_issuer", default="", help="issuer of an OpenID Connect provider to sign in at")
    options.define("oidc_client_id", default="", help="who we are there")
    options.define("oidc_client_secret", default="", help="our secret there; without one we are a public client")
    options.define("oidc_name", default="", help="what the button calls the provider; its host if empty")
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
    provider, provider_name = _read_provider(options)
    return Settings(
        database=address,
        cookie_secrets=secrets,
        bus=bus,
        debug=options.debug,
        has_test_routes=options.test_routes,
        openid_connect=provider,
        openid_name=provider_name,
        slot=options.slot,
        release=options.release,
    )


def _read_provider(options: OptionParser) -> tuple[dict[str, str], str]:
    """Settings for OpenIDConnectMixin and the provider's name; empty without an issuer."""
    issuer, client_id = options.oidc_issuer, options.oidc_client_id
    if not issuer:
        return {}, ""
    if urlsplit(issuer).scheme not in ("https", "http") or not urlsplit(issuer).hostname:
        raise OptionError(f"OIDC_ISSUER: expected a URL such as https://accounts.example.com, got {issuer!r}")
    if not client_id:
        raise OptionError("OIDC_CLIENT_ID is not set; the provider gives one to each site")
    provider = {"issuer": issuer, "client_id": client_id, "client_secret": options.oidc_client_secret}
    return provider, options.oidc_name or str(urlsplit(issuer).hostname)
