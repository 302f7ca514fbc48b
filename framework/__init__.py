"""Squall's framework: a non-blocking server and a web framework in one. Read it in this order.

Each module imports only what stands above it (tests/architecture holds that), so the list is the layering as well.

    errors      the root of every exception raised here
    clock       one coarse clock: the Date header, and the time-outs of all connections
    escape      text made safe for its place: HTML, URL, JSON, UTF-8
    httputil    what HTTP is made of, as values: headers, dates, hosts, parameters
    cookies     Cookie and Set-Cookie, to and from bytes (RFC 6265)
    signing     signed, expiring values
    forms       urlencoded and multipart bodies to fields and files
    http1       HTTP/1.1 messages to and from bytes (RFC 9112)
    frames      websocket frames and their compression to and from bytes (RFC 6455, RFC 7692)
    options     settings declared once: flag, environment variable, file, help
    log         three loggers and their formatters; the access log
    template    text with holes, compiled to Python
    locale      translations, plurals, dates, numbers
    metrics     counters and histograms in Prometheus' text form
    ioloop      the seed's loop on asyncio's
    autoreload  the process anew when its code has changed
    netutil     listening sockets, TLS contexts, addresses
    iostream    a non-blocking byte stream with callbacks and awaitables
    process     one process per core
    request     an HTTP request as the application sees it
    httpserver  bytes in, application called, bytes out
    slots       claim, release, park, hold, resume; the control socket
    database    MySQL: the blocking wrapper of the seed, and a pool that never blocks the loop
    bus         wake-ups between frontends
    httpclient  the blocking and the non-blocking client
    web         handlers, routes, applications
    websocket   websocket handlers and the client
    events      server-sent events, and waiters for long polls
    auth        sign-in by others: OpenID Connect, OAuth, and the providers the seed names
    foreign     what WSGI and ASGI applications on our server have in common
    wsgi        WSGI applications in both directions
    asgi        ASGI applications in both directions
    s3server    an S3 store on local files
    frontend    one application as one frontend of the appliance
    testing     an application without a socket, or with one, under test

`import framework` loads none of them; `framework.web` and the others load when first named.
"""

from importlib import import_module
from types import ModuleType

version = "0.1.0"
version_info = (0, 1, 0)

# Taken from the list above, so that list and names cannot drift apart.
_MODULES = frozenset(line.split()[0] for line in (__doc__ or "").splitlines() if line.startswith("    "))


def __getattr__(name: str) -> ModuleType:
    """The module `framework.<name>`, imported when first asked for.

    Raises:
        AttributeError: if no module of that name is listed above.
    """
    if name not in _MODULES:
        raise AttributeError(f"module 'framework' has no attribute {name!r}")
    return import_module(f"framework.{name}")


def __dir__() -> list[str]:
    return sorted({*globals(), *_MODULES})
