import asyncio
import contextlib
import gc
import json
import logging
import re
import subprocess
import sys
import weakref
from pathlib import Path

import pytest

import framework
from framework.httpserver import Connection, HTTPServer
from framework.log import AccessLog
from framework.request import HTTPRequest
from framework.testing import Client, exchange, parse_response
from framework.web import (
    Application,
    ConfigurationError,
    HostMatches,
    OutputTransform,
    RedirectHandler,
    RequestHandler,
    asynchronous,
    url,
)
from tests.support.front import free_port, wait_for_port
from tests.support.memory import MemoryTransport

ROOT = Path(framework.__file__).parent


def answering(text):
    class Handler(RequestHandler):
        def get(self, *groups):
            self.write(text + "".join(groups))

    return Handler


A, B, C = answering("a"), answering("b"), answering("c")


def fetch(application, path, host="example.com", **kwargs):
    return Client(application, host=host).fetch(path, **kwargs)


def test_hosts_have_routes_of_their_own():
    application = Application([("/", A)])
    application.add_handlers(r"www\.example\.com", [("/", B), ("/only", B, {}, "only")])
    application.add_handlers(".*", [("/late", C)])
    assert fetch(application, "/", "www.example.com").text == "b"
    assert fetch(application, "/", "WWW.EXAMPLE.COM:8080").text == "b"
    assert fetch(application, "/", "other.com").text == "a"
    assert fetch(application, "/only", "other.com").status == 404
    assert fetch(application, "/late", "www.example.com").text == "c"
    assert application.reverse_url("only") == "/only"
    for host, text in (("www.example.com", "b"), ("other.com", "a"), ("www.example.com", "b")):
        assert fetch(application, "/", host).text == text


def test_unknown_host_is_sent_to_the_default_one():
    application = Application(default_host="example.com")
    application.add_handlers(r"www\.example\.com", [("/", A)])
    response = fetch(application, "/x", "other.com")
    assert (response.status, response.headers["Location"]) == (301, "http://example.com/")
    named = Application(default_host="www.example.com")
    named.add_handlers(r"www\.example\.com", [("/", A)])
    assert fetch(named, "/", "localhost").text == "a"
    assert fetch(named, "/", "localhost", headers={"X-Real-IP": "10.0.0.1"}).status == 301


def test_nested_tables_and_host_rules():
    application = Application(
        [
            (HostMatches(r"api\..*"), [("/x", B)]),
            ("/sub/.*", [("/sub/([a-z]*)", C)]),
            ("/x", A),
        ]
    )
    assert fetch(application, "/x", "api.example.com").text == "b"
    assert fetch(application, "/x").text == "a"
    assert fetch(application, "/x", "api.example.com").text == "b"
    assert fetch(application, "/sub/q").text == "cq"


def test_default_handler_class_answers_what_nothing_else_does():
    application = Application(
        [("/", A)], default_handler_class=RedirectHandler, default_handler_args={"url": "/", "permanent": False}
    )
    assert fetch(application, "/nowhere").status == 302
    assert fetch(Application([("/", A)]), "/nowhere").status == 404


def test_names_reverse():
    application = Application([url("/entry/([0-9]+)", A, name="entry"), ("/x", B, {}, "x")])
    assert application.reverse_url("entry", 5) == "/entry/5"
    assert application.reverse_url("x") == "/x"
    with pytest.raises(KeyError):
        application.reverse_url("nothing")


def test_routes_are_remembered_up_to_a_bound():
    application = Application([("/(.*)", A)])
    browser = Client(application)

    async def scenario():
        for number in range(3000):
            await browser.fetch_async(f"/{number}")
        await browser.fetch_async("/" + "x" * 5000)
        for number in range(100):
            await browser.fetch_async(f"nowhere/{number}")

    logging.getLogger("framework.access").setLevel(logging.ERROR)
    try:
        asyncio.run(scenario())
    finally:
        logging.getLogger("framework.access").setLevel(logging.NOTSET)
    assert 0 < len(application._routes) <= 1024
    assert not [key for key in application._routes if len(key) > 256 or key.startswith("nowhere")]


@contextlib.contextmanager
def ask_on_one_connection(application):
    """A function that asks for a path on one connection, and gives the answer."""
    server = HTTPServer(application, io_loop=asyncio.new_event_loop())
    connection = Connection(server)
    transport = MemoryTransport(connection)
    connection.connection_made(transport)

    def ask(path, host="h"):
        transport.sent = b""
        connection.data_received(f"GET {path} HTTP/1.1\r\nHost: {host}\r\n\r\n".encode())
        return parse_response(transport.sent)

    yield ask
    connection.connection_lost(None)
    server.loop.close()


def test_what_a_server_remembers_is_out_of_date_when_the_rules_change():
    application = Application([("/", A), ("/([0-9])", A)])
    with ask_on_one_connection(application) as ask:
        # The first of each goes the long way; the second is given to what was remembered for its target.
        assert [ask(path).text for path in ("/", "/", "/1", "/1", "/2")] == ["a", "a", "a1", "a1", "a2"]
        application.add_handlers("h", [("/", B), ("/1", B)])
        assert [ask(path).text for path in ("/", "/", "/1", "/1", "/2")] == ["b", "b", "b", "b", "a2"]
        assert [ask("/", "other").text for _ in range(3)] == ["a", "a", "a"]
        application.add_transform(Shouting)
        assert [ask(path).text for path in ("/", "/", "/1", "/2")] == ["B", "B", "B", "A2"]


class Shouting(OutputTransform):
    def transform_first_chunk(self, status_code, headers, chunk, finishing):
        return status_code, headers, chunk.upper()


class Counting(Application):
    """An application whose every request is seen by what stands before it."""

    seen = 0

    def __call__(self, request):
        self.seen += 1
        super().__call__(request)


class Wrapper:
    """As Counting, around an application that it passes all else on to."""

    def __init__(self, application):
        self.application = application
        self.seen = 0

    def __call__(self, request):
        self.seen += 1
        self.application(request)

    def __getattr__(self, name):
        return getattr(self.application, name)


@pytest.mark.parametrize("make", [lambda rules: Counting(rules), lambda rules: Wrapper(Application(rules))])
def test_who_stands_before_an_application_sees_every_request(make):
    application = make([("/", A)])
    with ask_on_one_connection(application) as ask:
        assert [ask("/").text for _ in range(4)] == ["a"] * 4
    assert application.seen == 4


def test_who_patches_the_call_of_applications_sees_every_request(monkeypatch):
    seen = []
    call = Application.__call__
    monkeypatch.setattr(Application, "__call__", lambda self, request: seen.append(request) or call(self, request))
    with ask_on_one_connection(Application([("/", A)])) as ask:
        assert [ask("/").text for _ in range(4)] == ["a"] * 4
    assert len(seen) == 4


def test_only_what_nothing_stands_before_may_be_called_in_the_applications_place():
    class Preparing(A):
        def prepare(self):
            self.write("prepared ")

    application = Application([("/", A), ("/prepared", Preparing), ("/(.)", A)])
    with ask_on_one_connection(application) as ask:
        assert application.find_call("GET", "h", "/") is None, "nobody has asked for it yet"
        assert [ask("/").text, ask("/prepared").text, ask("/x").text] == ["a", "prepared a", "ax"]
        assert application.find_call("GET", "h", "/") is application.find_call("GET", "h", "/") is not None
        assert application.find_call("GET", "h", "/x") is not None
        assert application.find_call("POST", "h", "/") is None
        assert application.find_call("GET", "h", "/prepared") is None
        assert [ask("/prepared").text for _ in range(2)] == ["prepared a"] * 2


def test_routes_that_are_forgotten_leave_no_cycle():
    application = Application([("/(.*)", A)])
    with ask_on_one_connection(application) as ask:
        ask("/0")
        route = weakref.ref(application.find_call("GET", "h", "/0"))
        gc.collect()
        gc.disable()
        try:
            for number in range(1, 4000):
                ask(f"/{number}")
            assert route() is None
        finally:
            gc.enable()


def test_remembered_groups_are_each_requests_own():
    class Changing(RequestHandler):
        def get(self, **groups):
            self.write(str(sorted(groups.items())))
            groups["x"] = "changed"
            self.path_kwargs["y"] = "changed"

    browser = Client(Application([("/(?P<x>.*)", Changing)]))
    assert browser.fetch("/1").text == browser.fetch("/1").text


def test_access_log_line_says_who_what_and_how_it_went(caplog):
    caplog.set_level(logging.INFO, "framework.access")

    class Handler(RequestHandler):
        def get(self):
            self.set_status(int(self.get_argument("status")))

    browser = Client(Application([("/", Handler)]), remote_ip="10.0.0.9")
    for status, level in ((200, "INFO"), (404, "WARNING"), (503, "ERROR")):
        caplog.clear()
        browser.fetch(f"/?status={status}")
        (record,) = caplog.records
        assert record.levelname == level
        assert record.getMessage().startswith(f"{status} GET /?status={status} (10.0.0.9) ")


def test_access_log_in_batches_takes_the_loggers_place(caplog):
    lines = []
    application = Application([("/", A)])
    application.access_log = AccessLog(lines.append, lambda flush: None)
    fetch(application, "/")
    fetch(application, "/nowhere")
    application.access_log.close()
    assert [line.split("] ")[1].split(" (")[0] for line in lines[0].splitlines()] == ["200 GET /", "404 GET /nowhere"]
    assert not caplog.records


def test_json_access_log_holds_the_request_id():
    lines = []
    application = Application([("/", A)])
    application.access_log = AccessLog(lines.append, lambda flush: None, "json")
    for sent in ({"X-Request-ID": "abc-123"}, {"x-request-id": 'x"y'}, {}):
        fetch(application, "/", headers=sent)
    application.access_log.close()
    assert [json.loads(line).get("request_id") for line in lines[0].splitlines()] == ["abc-123", None, None]


def test_log_function_takes_the_logs_place():
    seen = []
    fetch(Application([("/", A)], log_function=seen.append), "/")
    assert [handler.get_status() for handler in seen] == [200]


def test_log_request_can_be_overridden():
    class Quiet(Application):
        def log_request(self, handler):
            seen.append(handler.request.path)

    seen = []
    fetch(Quiet([("/", A)]), "/")
    assert seen == ["/"]


def test_setting_that_is_missing_is_named():
    with pytest.raises(ConfigurationError, match="cookie_secret is not set; signed cookies needs it"):
        Application([]).require_setting("cookie_secret", "signed cookies")


def answer_without_loop(application, path):
    request = Client(application).make_request(path)
    application(request)
    return parse_response(bytes(request.connection.out))


def test_item_124_wsgi_refuses_what_it_cannot_do(caplog, tmp_path):
    class Handler(RequestHandler):
        @asynchronous
        def get(self):
            self.finish()

    class Flushing(RequestHandler):
        def get(self):
            self.flush()

    class Waiting(RequestHandler):
        async def get(self):
            await asyncio.sleep(0)
            self.write("never")

    class Plain(RequestHandler):
        async def get(self):
            self.write("plain")

    (tmp_path / "large.bin").write_bytes(b"x" * 200_000)
    routes = [("/asynchronous", Handler), ("/flush", Flushing), ("/wait", Waiting), ("/plain", Plain)]
    application = Application(routes, wsgi=True, static_path=str(tmp_path))
    for path, reason in (
        ("/asynchronous", "@asynchronous is not possible under WSGI"),
        ("/flush", "flush() is not possible under WSGI"),
        ("/wait", "there is no loop here"),
    ):
        caplog.clear()
        assert answer_without_loop(application, path).status == 500
        assert reason in caplog.text
    assert answer_without_loop(application, "/plain").text == "plain"
    assert len(answer_without_loop(application, "/static/large.bin").body) == 200_000


def test_debug_sets_what_developers_want():
    settings = Application([], debug=True, static_hash_cache=True).settings
    assert settings["serve_traceback"] and settings["autoreload"]
    assert settings["static_hash_cache"] is True and settings["compiled_template_cache"] is False


def test_docstring_lists_every_setting_that_is_read():
    """And no other. What the sign-in mixins read stands at each of them."""
    sources = [path for room in ("web", "websocket") for path in (ROOT / room).glob("*.py")]
    pattern = (
        r"""(?:settings(?:\.get\(|\[)|require_setting\(|setting\()\s*"([a-z_]+)\"|"([a-z_]+)" in (?:self\.)?settings"""
    )
    found = {a or b for path in sources for a, b in re.findall(pattern, path.read_text())}
    # These are read in loops.
    found |= {"autoescape", "template_whitespace", "autoreload", "serve_traceback", "compiled_template_cache"}
    rows = re.findall(r"^ {4,8}([a-z_]+(?:, [a-z_]+)*)  +(.*)$", Application.__doc__, re.MULTILINE)
    listed = {name for names, _ in rows for name in names.split(", ")}
    listed |= {name for _, text in rows for name in re.findall(r"[a-z]+_[a-z_]+", text) if name != "xhtml_escape"}
    assert listed == found


def test_find_handler_tells_what_would_answer():
    match = Application([("/(.*)", A)]).find_handler(HTTPRequest("GET", "/x"))
    assert (match.target, match.args) == (A, ("x",))


DEVELOPING = """
import sys
from framework.ioloop import IOLoop
from framework.web import Application, RequestHandler

class MainHandler(RequestHandler):
    def get(self):
        self.write("hello")

Application([("/", MainHandler)], debug=True).listen(int(sys.argv[1]), "127.0.0.1")
IOLoop.current().start()
"""


def test_developer_sees_requests_without_setting_the_log_up(tmp_path):
    port = free_port()
    command = [sys.executable, "-c", DEVELOPING, str(port)]
    with subprocess.Popen(command, cwd=ROOT.parent, stderr=subprocess.PIPE, text=True) as process:
        wait_for_port(port)
        asyncio.run(exchange(port, "/"))
        line = process.stderr.readline()
        process.kill()
    assert re.match(r"\[I \d{6} \d\d:\d\d:\d\d \w+:\d+\] 200 GET / \(127\.0\.0\.1\) ", line), line
