import asyncio
from urllib.parse import urlencode, urlsplit

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import framework.escape
import framework.web
from framework.testing import Client
from framework.web import Application, RequestHandler, authenticated
from framework.web.authentication import local_path

SECRET = "61oETzKXQAGaYdkL5gEmGeJJFuYh7EQnp2XdTP1o/Vo="


class BaseHandler(framework.web.RequestHandler):
    def get_current_user(self):
        return self.get_secure_cookie("user")


class MainHandler(BaseHandler):
    def get(self):
        if not self.current_user:
            self.redirect("/login")
            return
        name = framework.escape.xhtml_escape(self.current_user)
        self.write("Hello, " + name)


class LoginHandler(BaseHandler):
    def get(self):
        self.write(
            '<html><body><form action="/login" method="post">'
            'Name: <input type="text" name="name">'
            '<input type="submit" value="Sign in">'
            "</form></body></html>"
        )

    def post(self):
        self.set_secure_cookie("user", self.get_argument("name"))
        self.redirect("/")


def test_item_055_current_user_is_none_by_default_and_asked_once():
    asked = []

    class Handler(RequestHandler):
        def get_current_user(self):
            asked.append(1)
            return self.get_argument("user", None)

        def get(self):
            self.write({"user": self.current_user, "again": self.current_user})

    class Default(RequestHandler):
        def get(self):
            assert self.current_user is None

    browser = Client(Application([("/", Handler), ("/default", Default)]))
    assert browser.fetch("/?user=bob").json() == {"user": "bob", "again": "bob"}
    assert len(asked) == 1
    browser.fetch("/")
    assert len(asked) == 2
    assert browser.fetch("/default").status == 200


def test_current_user_can_be_set_by_an_asynchronous_prepare():
    class Handler(RequestHandler):
        async def prepare(self):
            self.current_user = "bob"

        @authenticated
        async def get(self):
            self.write(self.current_user)

    assert Client(Application([("/", Handler)])).fetch("/").text == "bob"


def test_item_056_057_nickname_login_example():
    application = framework.web.Application(
        [
            (r"/", MainHandler),
            (r"/login", LoginHandler),
        ],
        cookie_secret="61oETzKXQAGaYdkL5gEmGeJJFuYh7EQnp2XdTP1o/Vo=",
    )
    browser = Client(application)
    response = browser.fetch("/")
    assert (response.status, response.headers["Location"]) == (302, "/login")
    assert '<form action="/login" method="post">' in browser.fetch("/login").text
    response = browser.fetch("/login", "POST", body={"name": "<b>é"})
    assert (response.status, response.headers["Location"]) == (302, "/")
    assert browser.fetch("/").text == "Hello, &lt;b&gt;é"


class Guarded(BaseHandler):
    @framework.web.authenticated
    def get(self):
        name = framework.escape.xhtml_escape(self.current_user)
        self.write("Hello, " + name)

    @framework.web.authenticated
    def post(self):
        self.write("posted")

    put = delete = post


def guarded(login_url="/login"):
    settings = {
        "cookie_secret": "61oETzKXQAGaYdkL5gEmGeJJFuYh7EQnp2XdTP1o/Vo=",
        "login_url": login_url,
    }
    application = framework.web.Application(
        [
            (r"/.*", Guarded),
        ],
        **settings,
    )
    return Client(application, host="example.com")


def test_item_058_authenticated_sends_to_the_login_page_with_next():
    response = guarded().fetch("/")
    assert (response.status, response.headers["Location"]) == (302, "/login?next=%2F")
    assert guarded().fetch("/a?b=c&d", "HEAD").headers["Location"] == "/login?next=%2Fa%3Fb%3Dc%26d"


def test_item_058_authenticated_lets_the_user_pass():
    browser = guarded()
    browser.cookies["user"] = framework.web.create_signed_value(SECRET, "user", "bob").decode()
    assert browser.fetch("/").text == "Hello, bob"
    assert browser.fetch("/", "POST").text == "posted"


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE"])
def test_item_059_authenticated_post_is_403(method):
    assert guarded().fetch("/", method).status == 403


def test_item_060_next_is_absolute_when_the_login_page_is_elsewhere():
    location = guarded("https://login.example.com/in").fetch("/a?b").headers["Location"]
    assert location == "https://login.example.com/in?next=http%3A%2F%2Fexample.com%2Fa%3Fb"
    assert guarded("/login?next=/x").fetch("/a").headers["Location"] == "/login?next=/x"


def test_login_url_is_needed(caplog):
    assert guarded(None).fetch("/").status == 500
    assert "login_url is not set" in caplog.text


@pytest.mark.parametrize("path", ["//evil.com", "/\\evil.com", "///evil.com/x", "/%09/evil.com"])
def test_next_never_names_another_host(path):
    location = guarded().fetch(path).headers["Location"]
    assert not location.startswith(("/login?next=%2F%2F", "/login?next=%2F%5C", "/login?next=http"))


@pytest.mark.parametrize(
    ("given", "target"),
    [
        ("/a/b?c=d", "/a/b?c=d"),
        ("http://example.com/a", "/a"),
        ("//evil.com/a", "/"),
        ("///evil.com/a", "/evil.com/a"),
        ("/\\evil.com", "/"),
        ("\\\\evil.com", "/"),
        ("https://evil.com/", "/"),
        ("https://example.com/a", "/"),
        ("http://example.com@evil.com/", "/"),
        ("javascript:alert(1)", "/"),
        ("data:text/html,x", "/"),
        ("http:///evil.com", "/"),
        ("http://[", "/"),
        ("a", "/"),
        ("", "/"),
        ("/\t/evil.com", "/"),
    ],
)
def test_get_next_url_is_a_page_of_ours(given, target):
    class Handler(RequestHandler):
        def post(self):
            self.write(self.get_next_url())

    browser = Client(Application([("/", Handler)]), host="example.com")
    assert browser.fetch("/", "POST", body={"next": given}).text == target


@pytest.mark.parametrize(
    ("path", "local"),
    [
        ("/a", "/a"),
        ("//a", "/a"),
        ("/\\a", "/a"),
        ("\\/a", "/a"),
        ("a", "/a"),
        ("", "/"),
        ("/\t/a", "/a"),
        ("/\r\n//a", "/a"),
    ],
)
def test_local_path_has_one_slash_in_front(path, local):
    assert local_path(path) == local


@settings(max_examples=200, deadline=None)
@given(st.one_of(st.text(), st.from_regex(r"[/\\]{0,3}(http:|https:|//)?[a-z./\\@:?#\t ]*", fullmatch=True)))
def test_no_next_url_leaves_the_site(given_url):
    class Handler(RequestHandler):
        def get(self):
            pass

    client = Client(Application([]), host="example.com")

    async def scenario():
        request = client.make_request("/?" + urlencode({"next": given_url.encode(errors="replace")}))
        return Handler(client.application, request).get_next_url()

    target = asyncio.run(scenario())
    # As a browser reads it: backslashes are slashes, blanks and line ends in front are nothing.
    seen = urlsplit(target.replace("\\", "/").strip())
    assert target.startswith("/") and not seen.netloc and not seen.scheme
