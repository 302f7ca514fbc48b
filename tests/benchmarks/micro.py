"""What single parts cost, without sockets, as multiples of a yardstick: ordinary Python that handles text.

    python -m tests.benchmarks.micro [--seconds 5] [--publish]

A multiple says little about a machine and much about the code: `tests/benchmarks/test_micro.py` holds each against the
committed one, with room for noise, so that a lost factor of two is seen. --publish commits to those of this run, as
`make bench-peers ARGS=--publish` does with its own.
"""

import argparse
import itertools
from collections.abc import Callable, Mapping
from contextlib import ExitStack

import uvloop

from framework import cookies, forms, http1, httputil, metrics, signing, web
from framework.httpserver import Connection, HTTPServer
from framework.log import AccessLog
from framework.request import HTTPRequest
from tests.benchmarks import history
from tests.benchmarks.handlerpath import BROWSER, Entry, Nowhere, answer_bare, head, make_application
from tests.benchmarks.templates import make_renderers, measure

# Side by side, runs differ by a tenth, and a busy machine's are up to 1.4 times a quiet one's.
ROOM = 1.6
SECRET = "a long secret that is only good for measuring 0123456789abcdef"
FORM = b"".join(
    b'--edge\r\nContent-Disposition: form-data; name="field%d"\r\n\r\n%b\r\n' % (number, b"some text " * 20)
    for number in range(8)
)
MULTIPART = FORM + (
    b'--edge\r\nContent-Disposition: form-data; name="file"; filename="a.bin"\r\n'
    b"Content-Type: application/octet-stream\r\n\r\n" + b"\x00\x01\x02\x03" * 4096 + b"\r\n--edge--\r\n"
)
SETTINGS = "\n".join(f"name{number}: value {number} of many" for number in range(40))


def yardstick() -> bytes:
    """Splits lines, fills a dictionary, joins it, encodes: what code like ours is made of."""
    found: dict[str, str] = {}
    for line in SETTINGS.split("\n"):
        name, _, value = line.partition(": ")
        found[name.upper()] = value.strip()
    return ";".join([f"{name}={value}" for name, value in found.items()]).encode()


def make_connection(
    stack: ExitStack, callback: Callable[[HTTPRequest], object], access_log: AccessLog | None = None
) -> Callable[[bytes], None]:
    """A function that has the bytes arrive at the server, as the loop would, until the stack is closed."""
    server = HTTPServer(callback)
    server.wheel.start()
    stack.callback(server.wheel.stop)
    connection = Connection(server)
    connection.connection_made(Nowhere({"peername": ("127.0.0.1", 1024)}))

    def receive(data: bytes) -> None:
        connection._requests = 0
        connection.data_received(data)
        if access_log is not None and len(access_log.lines) > 200:
            access_log.flush()
            metrics.count_answered()

    return receive


def make_jobs(stack: ExitStack) -> dict[str, Callable[[], object]]:
    """Each part, as a call without arguments. Needs a running loop."""
    application = make_application()
    access_log = AccessLog(lambda text: None, lambda flush: None, "json")
    application.access_log = access_log
    bare, handled = make_connection(stack, answer_bare), make_connection(stack, application, access_log)
    routes = [(rf"/other/{n}/([0-9]+)", Entry) for n in range(1000)]
    many = web.Application(routes, access_log=None)
    routed = make_connection(stack, many)
    asked = [HTTPRequest("GET", f"/other/{n}/{n}") for n in range(0, 1000, 50)]
    # Heads that differ, as browsers' do: nothing may be known already.
    all_heads = [head(headers=BROWSER, number=number) for number in range(100_000, 104_000)]
    heads, some_heads = itertools.cycle(all_heads), all_heads[:50]
    # More than are asked for in a run: a target that comes again is known.
    targets = itertools.cycle([head(target=f"/other/{n % 1000}/{n}") for n in range(60_000)])
    plain, as_json = head(), head(target="/json")
    header = "; ".join(f"name{n}=value{n}" for n in range(10))
    signed = itertools.cycle([signing.create_signed_value(SECRET, "user", f"user {n}") for n in range(4000)])

    def match_heads() -> None:
        for one in some_heads:
            assert http1.match_plain_request(one)

    def find_handlers() -> None:
        for request in asked:
            assert many.find_handler(request).target is Entry

    def examine_head() -> None:
        assert http1.HeadReader(16_384, 8192, 100).examine(next(heads), 0)

    def parse_multipart() -> None:
        arguments: dict[str, list[bytes]] = {}
        files: dict[str, list[httputil.HTTPFile]] = {}
        forms.parse_body("multipart/form-data; boundary=edge", MULTIPART, arguments, files)
        assert len(files["file"][0].body) == 16384

    return {
        "parser: a browser's head": lambda: bare(next(heads)),
        "parser: the pattern alone, 50 heads": match_heads,
        "parser: line by line": examine_head,
        "handler: plain": lambda: handled(plain),
        "handler: a browser's head": lambda: handled(next(heads)),
        "handler: JSON": lambda: handled(as_json),
        "router: 1,000 routes": lambda: routed(next(targets)),
        "router: 20 lookups alone": find_handlers,
        "cookies: ten": lambda: cookies.parse_cookies(header),
        "cookies: a signed one, unknown": lambda: signing.decode_signed_value(SECRET, "user", next(signed)),
        "template: a page": make_renderers("page")["squall"],
        "template: 1,000 rows": make_renderers("rows")["squall"],
        "multipart: 8 fields and a file": parse_multipart,
    }


async def compare(seconds: float) -> dict[str, float]:
    """What each part costs, in yardsticks: the best of many short rounds, in which all take turns."""
    with ExitStack() as stack:
        jobs = make_jobs(stack)
        took = measure({"yardstick": yardstick, **jobs}, seconds, 0.004)  # type: ignore[dict-item]
    return {name: took[name] / took["yardstick"] for name in jobs}


def find_lost(found: Mapping[str, float], committed: Mapping[str, float]) -> dict[str, tuple[float, float]]:
    """The parts that cost more than they may, with what they cost and what was committed to."""
    return {name: (found[name], committed[name]) for name in found if found[name] > ROOM * committed[name]}


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks.micro")
    parser.add_argument("--seconds", type=float, default=5)
    parser.add_argument("--publish", action="store_true", help="these are the multiples to be held from now on")
    options = parser.parse_args()
    found = uvloop.run(compare(options.seconds))
    committed = history.read_baseline("micro")
    print(f"{'':<34}{'yardsticks':>12}{'committed':>12}")
    for name, multiple in found.items():
        print(f"{name:<34}{multiple:>12.2f}{committed.get(name, float('nan')):>12.2f}")
    if options.publish:
        history.write_baseline("micro", found)


if __name__ == "__main__":
    main()
