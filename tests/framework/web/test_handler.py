import asyncio
import logging

import pytest

import framework.web
from framework.testing import Client
from framework.web import Application, Finish, HTTPError, RequestHandler, asynchronous
from framework.web.handler import verbs_of


def client(*handlers, **settings):
    return Client(Application(list(handlers), **settings))


# The first examples of the seed, with nothing changed but the name of the package.


class MainHandler(framework.web.RequestHandler):
    def get(self):
        self.write("You requested the main page")


class StoryHandler(framework.web.RequestHandler):
    def get(self, story_id):
        self.write("You requested the story " + story_id)


stories = framework.web.Application(
    [
        (r"/", MainHandler),
        (r"/story/([0-9]+)", StoryHandler),
    ]
)


class FormHandler(framework.web.RequestHandler):
    def get(self):
        self.write(
            '<html><body><form action="/" method="post">'
            '<input type="text" name="message">'
            '<input type="submit" value="Submit">'
            "</form></body></html>"
        )

    def post(self):
        self.set_header("Content-Type", "text/plain")
        self.write("You wrote " + self.get_argument("message"))


def test_item_011_url_is_mapped_to_a_class_and_verb_to_a_method():
    class Handler(RequestHandler):
        def get(self):
            self.write("got")

        def post(self):
            self.write("posted")

    browser = client(("/x", Handler))
    assert browser.fetch("/x").text == "got"
    assert browser.fetch("/x", "POST").text == "posted"


def test_item_012_story_example():
    browser = Client(stories)
    assert browser.fetch("/").text == "You requested the main page"
    assert browser.fetch("/story/123").text == "You requested the story 123"
    assert browser.fetch("/story/abc").status == 404


def test_item_013_groups_arrive_url_decoded():
    class Positional(RequestHandler):
        def get(self, *args):
            self.write({"args": args, "path_args": self.path_args})

    class Named(RequestHandler):
        def get(self, year, name=None):
            self.write({"year": year, "name": name, "path_kwargs": self.path_kwargs})

    browser = client(
        (r"/p/([^/]*)/(.*)", Positional), (r"/n/(?P<year>\d+)/(?P<name>.*)", Named), ("/o(/x)?", Positional)
    )
    assert browser.fetch("/p/a%20b%2F/%C3%A9").json() == {"args": ["a b/", "é"], "path_args": ["a b/", "é"]}
    found = {"year": "2011", "name": "x y"}
    assert browser.fetch("/n/2011/x%20y").json() == {**found, "path_kwargs": found}
    assert browser.fetch("/o").json()["args"] == [None]
    assert browser.fetch("/p/%FF/").status == 400


def test_item_014_unimplemented_verb_is_405_with_allow():
    browser = client(("/", MainHandler))
    for method in ("POST", "PUT", "DELETE", "PATCH", "BREW"):
        response = browser.fetch("/", method)
        assert response.status == 405
        assert response.headers["Allow"] == "GET, OPTIONS, HEAD"


def test_verbs_are_those_that_the_class_defines():
    class Handler(RequestHandler):
        def get(self):
            pass

    verbs = verbs_of(Handler)
    assert set(verbs) == {"GET", "HEAD", "OPTIONS"}
    assert verbs["HEAD"] is verbs["GET"]


def test_405_always_says_what_is_allowed():
    class Handler(RequestHandler):
        def set_default_headers(self):
            self.set_header("Server", "own")

        def get(self):
            return super().get()

        def post(self):
            self.send_error(405)

    browser = client(("/", Handler))
    for method, allowed in (("GET", "GET, POST, OPTIONS, HEAD"), ("PUT", "GET, POST, OPTIONS, HEAD")):
        response = browser.fetch("/", method)
        assert (response.status, response.headers["Allow"]) == (405, allowed)
    assert browser.fetch("/", "POST").headers["Allow"] == "GET, POST, OPTIONS, HEAD"


def test_405_keeps_an_allow_header_that_was_set():
    class Handler(RequestHandler):
        def delete(self):
            self.set_header("Allow", "GET")
            raise HTTPError(405)

    assert client(("/", Handler)).fetch("/", "DELETE").headers["Allow"] == "GET"


@pytest.mark.parametrize("name", ["get_current_user", "check_xsrf_cookie", "initialize", "write_error", "check_origin"])
def test_hook_that_nothing_waits_for_can_not_be_a_coroutine(name):
    """An `async def get_current_user` was a user to @authenticated, whoever asked."""

    async def hook(self, *args, **kwargs):
        return None

    with pytest.raises(TypeError, match=rf"^Handler\.{name}\(\) is async def, and nothing waits for it"):
        type("Handler", (RequestHandler,), {name: hook})


def test_item_015_form_example():
    browser = client(("/", FormHandler))
    assert '<form action="/" method="post">' in browser.fetch("/").text
    response = browser.fetch(
        "/", "POST", body="message=hi", headers={"Content-Type": "application/x-www-form-urlencoded"}
    )
    assert response.headers["Content-Type"] == "text/plain"
    assert response.text == "You wrote hi"


def test_item_019_files_of_a_multipart_body():
    class Handler(RequestHandler):
        def post(self):
            files = self.request.files["f"]
            assert files[0].filename == files[0]["filename"]
            self.write({"files": [[one.filename, one.content_type, one.body.decode()] for one in files]})
            self.set_header("X-Field", self.get_argument("field"))

    part = '--b\r\nContent-Disposition: form-data; name="f"; filename="{}"\r\nContent-Type: text/plain\r\n\r\n{}\r\n'
    field = '--b\r\nContent-Disposition: form-data; name="field"\r\n\r\nx\r\n'
    body = part.format("a.txt", "A") + part.format("b.txt", "B") + field + "--b--\r\n"
    response = client(("/", Handler)).fetch(
        "/", "POST", body=body, headers={"Content-Type": "multipart/form-data; boundary=b"}
    )
    assert response.json() == {"files": [["a.txt", "text/plain", "A"], ["b.txt", "text/plain", "B"]]}
    assert response.headers["X-Field"] == "x"


def test_item_020_http_error_is_an_error_page():
    class Handler(RequestHandler):
        def get(self):
            self.write("never seen")
            self.set_header("X-Never", "seen")
            raise framework.web.HTTPError(403)

    response = client(("/", Handler)).fetch("/")
    assert response.status == 403
    assert response.text == "<html><title>403: Forbidden</title><body>403: Forbidden</body></html>"
    assert "X-Never" not in response.headers


def test_item_021_022_request_fields():
    class Handler(RequestHandler):
        def post(self):
            request = self.request
            assert request.connection is not None
            assert request.get_ssl_certificate is not None
            assert 0 <= request.request_time() < 10
            self.write(
                {
                    "method": request.method,
                    "uri": request.uri,
                    "path": request.path,
                    "query": request.query,
                    "version": request.version,
                    "body": request.body.decode(),
                    "remote_ip": request.remote_ip,
                    "protocol": request.protocol,
                    "host": request.host,
                    "full_url": request.full_url(),
                    "is_1_1": request.supports_http_1_1(),
                    "arguments": {name: [one.decode() for one in values] for name, values in request.arguments.items()},
                    "header": request.headers["X-Header"],
                }
            )

    browser = Client(Application([("/a/.*", Handler)]), host="example.com", remote_ip="10.0.0.1")
    answer = browser.fetch("/a/b?c=1", "POST", body={"d": "2"}, headers={"X-Header": "y"}, protocol="https").json()
    assert answer == {
        "method": "POST",
        "uri": "/a/b?c=1",
        "path": "/a/b",
        "query": "c=1",
        "version": "HTTP/1.1",
        "body": "d=2",
        "remote_ip": "10.0.0.1",
        "protocol": "https",
        "host": "example.com",
        "full_url": "https://example.com/a/b?c=1",
        "is_1_1": True,
        "arguments": {"c": ["1"], "d": ["2"]},
        "header": "y",
    }


def test_item_022_request_write_and_finish_answer_below_the_framework():
    class Handler(RequestHandler):
        @asynchronous
        def get(self):
            self.request.write(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi")
            self.request.finish()

    assert client(("/", Handler)).fetch("/").text == "hi"


def test_item_023_each_request_has_a_handler_of_its_own():
    seen = []

    class Handler(RequestHandler):
        def get(self):
            seen.append(self)

    browser = client(("/", Handler))
    browser.fetch("/")
    browser.fetch("/")
    assert seen[0] is not seen[1]


def test_item_024_027_029_order_of_calls():
    calls = []

    class Handler(RequestHandler):
        def set_default_headers(self):
            calls.append("set_default_headers")

        def initialize(self, database):
            calls.append(f"initialize {database}")

        def prepare(self):
            calls.append("prepare")

        def get(self, group):
            calls.append(f"get {group}")

        def post(self, group):
            calls.append(f"post {group}")

        def on_finish(self):
            calls.append("on_finish")

    browser = client(("/(.*)", Handler, {"database": "db"}))
    expected = ["set_default_headers", "initialize db", "prepare", None, "on_finish"]
    for method, verb in (("GET", "get"), ("POST", "post"), ("HEAD", "get")):
        calls.clear()
        browser.fetch("/x", method)
        assert calls == [call or f"{verb} x" for call in expected]


def test_item_025_profile_example():
    class ProfileHandler(RequestHandler):
        def initialize(self, database):
            self.database = database

        def get(self, username):
            self.write(self.database[username])

    database = {"bob": "Bob's page"}
    app = Application(
        [
            (r"/user/(.*)", ProfileHandler, dict(database=database)),
        ]
    )
    assert Client(app).fetch("/user/bob").text == "Bob's page"


@pytest.mark.parametrize("output", ["write", "finish", "send_error", "flush", "redirect"])
def test_item_026_initialize_may_not_produce_output(output, caplog):
    class Handler(RequestHandler):
        def initialize(self):
            if output == "write":
                self.write("x")
            elif output == "redirect":
                self.redirect("/")
            else:
                getattr(self, output)()

        def get(self):
            self.write("never")

    assert client(("/", Handler)).fetch("/").status == 500
    assert "initialize(): it may not produce output" in caplog.text


def test_initialize_that_fails_is_answered():
    class Handler(RequestHandler):
        def initialize(self):
            raise HTTPError(503)

    assert client(("/", Handler)).fetch("/").status == 503


def test_settings_of_a_route_need_an_initialize():
    assert client(("/", MainHandler, {"database": 1})).fetch("/").status == 500


@pytest.mark.parametrize("end", ["finish", "send_error", "redirect", "http_error", "finish_error"])
def test_item_028_prepare_that_finishes_is_the_end(end):
    class Handler(RequestHandler):
        def prepare(self):
            self.write("prepared ")
            if end == "finish":
                self.finish("finished")
            elif end == "send_error":
                self.send_error(403)
            elif end == "redirect":
                self.redirect("/login")
            elif end == "http_error":
                raise HTTPError(409)
            else:
                raise Finish("and out")

        def get(self):
            raise AssertionError("the verb was called")

    response = client(("/", Handler)).fetch("/")
    expected = {"finish": 200, "send_error": 403, "redirect": 302, "http_error": 409, "finish_error": 200}
    assert response.status == expected[end]
    if end == "finish":
        assert response.text == "prepared finished"
    if end == "finish_error":
        assert response.text == "prepared and out"


def test_item_030_get_error_html_is_the_error_page():
    class Handler(RequestHandler):
        def get_error_html(self, status_code, exception=None, **kwargs):
            return f"sorry: {status_code} {type(exception).__name__}"

        def get(self):
            if self.get_argument("how") == "http":
                raise HTTPError(404)
            if self.get_argument("how") == "send":
                self.send_error(502)
                return
            raise KeyError("x")

    browser = client(("/", Handler), debug=True, autoreload=False)
    assert browser.fetch("/?how=http").text == "sorry: 404 HTTPError"
    assert browser.fetch("/?how=send").text == "sorry: 502 NoneType"
    response = browser.fetch("/?how=other")
    assert (response.status, response.text) == (500, "sorry: 500 KeyError")


def test_write_error_is_the_error_page_of_today():
    class Handler(RequestHandler):
        def write_error(self, status_code, **kwargs):
            self.finish({"status": status_code, "kind": kwargs["exc_info"][0].__name__})

        def get(self):
            raise ValueError("x")

    response = client(("/", Handler)).fetch("/")
    assert (response.status, response.json()) == (500, {"status": 500, "kind": "ValueError"})


def test_write_error_that_fails_is_still_an_answer():
    class Handler(RequestHandler):
        def write_error(self, status_code, **kwargs):
            raise ValueError("twice")

        def get(self):
            raise ValueError("once")

    assert client(("/", Handler)).fetch("/").status == 500


def test_error_page_escapes_the_reason():
    """CVE-2025-67724: the reason went into the page as it was, and into the head with its line breaks."""

    class Handler(RequestHandler):
        def get(self):
            raise HTTPError(400, reason=self.get_argument("reason", strip=False))

    browser = client(("/", Handler))
    response = browser.fetch("/?reason=<script>alert(1)</script>")
    assert "<script>" not in response.text and "&lt;script&gt;" in response.text
    response = browser.fetch("/?reason=x%0D%0AX-Evil:%201")
    assert (response.status, response.reason) == (400, "Bad Request")
    assert "X-Evil" not in response.headers


def test_uncaught_exception_is_a_500_without_details(caplog):
    class Handler(RequestHandler):
        def get(self):
            raise KeyError("secret detail")

    response = client(("/", Handler)).fetch("/")
    assert response.status == 500
    assert "secret" not in response.text
    assert "secret detail" in caplog.text


def test_log_message_is_logged_and_not_sent(caplog):
    class Handler(RequestHandler):
        def get(self):
            raise HTTPError(400, "user %s did it", "bob")

    response = client(("/", Handler)).fetch("/")
    assert "bob" not in response.text
    assert any("user bob did it" in record.getMessage() for record in caplog.records)
    assert not [record for record in caplog.records if record.levelno >= logging.ERROR]


def test_rude_client_is_information_not_an_error(caplog):
    caplog.set_level(logging.INFO, "framework.general")

    class Handler(RequestHandler):
        def post(self):
            self.get_argument("x")

    form = {"Content-Type": "multipart/form-data; boundary=b"}
    assert client(("/", Handler), log_function=lambda _: None).fetch("/", "POST", body="x", headers=form).status == 400
    (record,) = caplog.records
    assert record.levelno == logging.INFO and record.getMessage().startswith("400 POST / (127.0.0.1): multipart: ")


def test_write_error_that_writes_and_does_not_finish_is_finished():
    class Handler(RequestHandler):
        def write_error(self, status_code, **kwargs):
            self.write(f"only {status_code}")

        def get(self):
            raise HTTPError(409)

    assert client(("/", Handler)).fetch("/").text == "only 409"


def test_item_031_hooks_have_defaults_from_settings():
    class Handler(RequestHandler):
        def get(self):
            assert self.get_current_user() is None
            assert self.get_user_locale() is None
            self.write({"login": self.get_login_url(), "templates": self.get_template_path()})

    class Overriding(Handler):
        def get_login_url(self):
            return "/other"

        def get_template_path(self):
            return "/elsewhere"

    browser = client(("/", Handler), ("/o", Overriding), login_url="/login", template_path="/templates")
    assert browser.fetch("/").json() == {"login": "/login", "templates": "/templates"}
    assert browser.fetch("/o").json() == {"login": "/other", "templates": "/elsewhere"}
    assert client(("/", Handler)).fetch("/").status == 500


def test_item_032_any_template_language_can_be_used():
    from string import Template

    class Handler(RequestHandler):
        def get(self):
            self.write(Template("Hello, $name").substitute(name="x"))

    assert client(("/", Handler)).fetch("/").text == "Hello, x"


def test_item_099_request_finishes_when_the_method_returns():
    class Handler(RequestHandler):
        def get(self):
            pass

    response = client(("/", Handler)).fetch("/")
    assert (response.status, response.body) == (200, b"")


def test_item_100_asynchronous_keeps_the_request_open():
    class Handler(framework.web.RequestHandler):
        @framework.web.asynchronous
        def get(self):
            self.write("Hello, world")
            self.finish()

    class Never(RequestHandler):
        @asynchronous
        def get(self):
            self.write("Hello, world")

    async def scenario():
        browser = client(("/", Handler), ("/never", Never))
        assert (await browser.fetch_async("/")).text == "Hello, world"
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(browser.fetch_async("/never"), 0.05)

    asyncio.run(scenario())


def test_asynchronous_method_ends_in_a_callback():
    class Handler(RequestHandler):
        @asynchronous
        def get(self):
            asyncio.get_running_loop().call_soon(self.async_callback(self.on_ready, "x"), "y")
            assert self.async_callback(None) is None

        def on_ready(self, x, y):
            self.finish(x + y)

    assert client(("/", Handler)).fetch("/").text == "xy"


def test_asynchronous_coroutine_ends_the_request():
    class Handler(RequestHandler):
        @asynchronous
        async def get(self):
            await asyncio.sleep(0)
            self.write("done")

    assert client(("/", Handler)).fetch("/").text == "done"


@pytest.mark.parametrize("waits", [True, False])
def test_coroutines_may_be_any_of_the_steps(waits):
    class Handler(RequestHandler):
        async def prepare(self):
            if waits:
                await asyncio.sleep(0)
            self.write("prepared ")

        async def get(self):
            if waits:
                await asyncio.sleep(0)
            self.write("got")

        def post(self):
            self.write("posted")

        async def put(self):
            raise HTTPError(409)

    browser = client(("/", Handler))
    assert browser.fetch("/").text == "prepared got"
    assert browser.fetch("/", "POST").text == "prepared posted"
    assert browser.fetch("/", "PUT").status == 409


@pytest.mark.parametrize("status", [204, 304])
def test_error_that_has_no_body_is_no_page(status, caplog):
    class Handler(RequestHandler):
        def get(self):
            raise HTTPError(status)

    response = client(("/", Handler)).fetch("/")
    assert (response.status, response.body) == (status, b"")
    assert "dropped" not in caplog.text


def test_options_says_what_there_is_after_prepare():
    class Handler(RequestHandler):
        def prepare(self):
            self.set_header("Access-Control-Allow-Origin", "*")

        def get(self):
            pass

    response = client(("/", Handler)).fetch("/", "OPTIONS")
    assert (response.status, response.body) == (204, b"")
    assert response.headers["Allow"] == "GET, OPTIONS, HEAD"
    assert response.headers["Access-Control-Allow-Origin"] == "*"
    assert "Content-Length" not in response.headers


def test_supported_methods_can_be_extended():
    class Handler(RequestHandler):
        SUPPORTED_METHODS = (*RequestHandler.SUPPORTED_METHODS, "PROPFIND")

        def propfind(self):
            self.write("found")

    assert client(("/", Handler)).fetch("/", "PROPFIND").text == "found"
