"""The seed's WSGI examples: under a CGI, in the manner of App Engine, and a WSGI application beside handlers."""

import asyncio
import os

import framework.web
import framework.wsgi
from framework.testing import Client
from tests.conformance.seed.launch import run

EXAMPLE = """
import framework.web
import framework.wsgi
import wsgiref.handlers

class MainHandler(framework.web.RequestHandler):
    def get(self):
        self.write("Hello, world")

if __name__ == "__main__":
    application = framework.wsgi.WSGIApplication([
        (r"/", MainHandler),
    ])
    wsgiref.handlers.CGIHandler().run(application)
"""

APP_ENGINE = """
import wsgiref.handlers
import framework.database, framework.web, framework.wsgi

class BaseHandler(framework.web.RequestHandler):
    def get_current_user(self):
        return self.get_secure_cookie("user")

class Home(BaseHandler):
    def get(self):
        self.render("home.html", entries=["<one>", "two"])

class Compose(BaseHandler):
    @framework.web.authenticated
    def get(self):
        self.write("compose")

class Entry(framework.web.UIModule):
    def render(self, entry):
        return self.render_string("entry.html", entry=entry)

settings = {"template_path": ".", "ui_modules": {"Entry": Entry}, "xsrf_cookies": True, "login_url": "/login",
            "cookie_secret": "11oETzKXQAGaYdkL5gEmGeJJFuYh7EQnp2XdTP1o/Vo="}
application = framework.wsgi.WSGIApplication([(r"/", Home), (r"/compose", Compose)], **settings)
wsgiref.handlers.CGIHandler().run(application)
"""


def cgi(folder, text, path="/"):
    """What a web server gets that runs the program as a CGI (RFC 3875)."""
    variables = {
        "GATEWAY_INTERFACE": "CGI/1.1",
        "REQUEST_METHOD": "GET",
        "SCRIPT_NAME": "",
        "PATH_INFO": path,
        "QUERY_STRING": "",
        "SERVER_NAME": "localhost",
        "SERVER_PORT": "80",
        "SERVER_PROTOCOL": "HTTP/1.1",
        "REMOTE_ADDR": "127.0.0.1",
    }
    head, _, body = run(folder, text, **variables).partition("\n\n")
    return head, body


def test_item_123_example_answers_a_cgi_request(tmp_path):
    head, body = cgi(tmp_path, EXAMPLE)
    assert head.startswith("Status: 200 OK\n")
    assert "Content-Length: 12" in head
    assert body == "Hello, world"


def test_item_126_application_in_the_manner_of_app_engine(tmp_path):
    (tmp_path / "home.html").write_text("{% for e in entries %}{{ modules.Entry(e) }}{% end %}{{ xsrf_form_html() }}")
    (tmp_path / "entry.html").write_text("<p>{{ entry }}</p>")
    head, body = cgi(tmp_path, APP_ENGINE)
    assert "Set-Cookie: _xsrf=" in head
    assert body.startswith("<p>&lt;one&gt;</p><p>two</p><input")
    head, _ = cgi(tmp_path, APP_ENGINE, "/compose")
    assert head.startswith("Status: 302 Found\n")
    assert "Location: /login?next=%2Fcompose" in head


def test_item_125_wsgi_application_beside_handlers():
    threads = []

    def simple_app(environ, start_response):
        threads.append(os.path.basename(os.readlink("/proc/thread-self")))
        start_response("200 OK", [("Content-type", "text/plain")])
        return [b"Hello from " + environ["PATH_INFO"].encode()]

    class MainHandler(framework.web.RequestHandler):
        def get(self):
            self.write("Hello, world")

    async def scenario():
        container = framework.wsgi.WSGIContainer(simple_app)
        application = framework.web.Application(
            [
                (r"/", MainHandler),
                (r".*", framework.web.FallbackHandler, dict(fallback=container)),
            ],
            log_function=lambda _: None,
        )
        client = Client(application)
        assert (await client.fetch_async("/")).text == "Hello, world"
        assert (await client.fetch_async("/foreign")).text == "Hello from /foreign"

    asyncio.run(scenario())
    # Another's code may block; ours must not wait for it.
    assert threads != [str(os.getpid())]
