"""The blog that the seed tells of, against a real MySQL: entries, a UI module, sign-in, XSRF, translations, a feed."""

import datetime
import re
import xml.etree.ElementTree

import pytest

import framework.database
import framework.locale
import framework.web
from framework.template import DictLoader
from framework.testing import Client

SCHEMA = (
    "CREATE TABLE authors (id INT NOT NULL AUTO_INCREMENT PRIMARY KEY, name VARCHAR(100) NOT NULL UNIQUE)",
    "CREATE TABLE entries (id INT NOT NULL AUTO_INCREMENT PRIMARY KEY, author_id INT NOT NULL REFERENCES authors(id),"
    " slug VARCHAR(100) NOT NULL UNIQUE, title VARCHAR(512) NOT NULL, body MEDIUMTEXT NOT NULL,"
    " published DATETIME NOT NULL, KEY (published))",
)

TEMPLATES = {
    "base.html": '<html><head><title>{% block title %}{{ _("Blog") }}{% end %}</title></head><body>'
    "{% if current_user %}{{ current_user.name }}"
    '{% else %}<a href="/login?next={{ url_escape(request.path) }}">{{ _("Sign in") }}</a>{% end %}'
    "{% block body %}{% end %}</body></html>",
    "home.html": '{% extends "base.html" %}{% block body %}'
    "{% for entry in entries %}{{ modules.Entry(entry) }}{% end %}"
    '<p>{{ _("One entry", "%(num)d entries", len(entries)) % {"num": len(entries)} }}</p>{% end %}',
    "entry.html": '{% extends "base.html" %}{% block title %}{{ entry.title }}{% end %}'
    "{% block body %}{{ modules.Entry(entry, show_comments=True) }}{% end %}",
    "compose.html": '{% extends "base.html" %}{% block body %}<form action="{{ request.path }}" method="post">'
    '<input name="title"><textarea name="body"></textarea>{{ xsrf_form_html() }}</form>{% end %}',
    "feed.xml": '<?xml version="1.0" encoding="UTF-8"?><feed xmlns="http://www.w3.org/2005/Atom">'
    '<title>{{ _("Blog") }}</title>{% for entry in entries %}<entry><title>{{ entry.title }}</title>'
    '<link href="{{ request.protocol }}://{{ request.host }}{{ reverse_url("entry", entry.slug) }}"/>'
    "<updated>{{ entry.published.isoformat() }}Z</updated>"
    '<content type="html">{{ escape(entry.body) }}</content></entry>{% end %}</feed>',
    "module-entry.html": '<div class="entry"><h1><a href="{{ reverse_url("entry", entry.slug) }}">{{ entry.title }}</a>'
    "</h1>{{ locale.format_date(entry.published, full_format=True) }}<p>{{ entry.body }}</p>"
    "{% if show_comments %}<div>comments</div>{% end %}</div>",
}


class Entry(framework.web.UIModule):
    def embedded_css(self):
        return ".entry { margin-bottom: 1em; }"

    def render(self, entry, show_comments=False):
        return self.render_string("module-entry.html", entry=entry, show_comments=show_comments)


class BaseHandler(framework.web.RequestHandler):
    @property
    def db(self):
        return self.application.db

    def get_current_user(self):
        user_id = self.get_secure_cookie("user")
        if not user_id:
            return None
        return self.db.get("SELECT * FROM authors WHERE id = %s", int(user_id))

    def get_user_locale(self):
        return self.get_argument("locale", None)


class HomeHandler(BaseHandler):
    def get(self):
        entries = self.db.query("SELECT * FROM entries ORDER BY published DESC, id DESC")
        self.render("home.html", entries=entries)


class EntryHandler(BaseHandler):
    def get(self, slug):
        entry = self.db.get("SELECT * FROM entries WHERE slug = %s", slug)
        if not entry:
            raise framework.web.HTTPError(404)
        self.render("entry.html", entry=entry)


class FeedHandler(BaseHandler):
    def get(self):
        entries = self.db.query("SELECT * FROM entries ORDER BY published DESC LIMIT 10")
        self.set_header("Content-Type", "application/atom+xml")
        self.render("feed.xml", entries=entries)


class ComposeHandler(BaseHandler):
    @framework.web.authenticated
    def get(self):
        self.render("compose.html")

    @framework.web.authenticated
    def post(self):
        title = self.get_argument("title")
        slug = re.sub(r"[^\w]+", "-", title.lower()).strip("-") or "entry"
        while self.db.get("SELECT id FROM entries WHERE slug = %s", slug):
            slug += "-2"
        self.db.execute(
            "INSERT INTO entries (author_id, slug, title, body, published) VALUES (%s, %s, %s, %s, %s)",
            self.current_user.id,
            slug,
            title,
            self.get_argument("body"),
            datetime.datetime(2026, 1, 2, 3, 4, 5),
        )
        self.redirect(self.reverse_url("entry", slug))


class LoginHandler(BaseHandler):
    def get(self):
        self.write(f'<form method="post">{self.xsrf_form_html()}</form>')

    def post(self):
        name = self.get_argument("name")
        author = self.db.get("SELECT * FROM authors WHERE name = %s", name)
        author_id = author.id if author else self.db.execute("INSERT INTO authors (name) VALUES (%s)", name)
        self.set_secure_cookie("user", str(author_id))
        self.redirect(self.get_next_url())


class Blog(framework.web.Application):
    def __init__(self, db):
        handlers = [
            (r"/", HomeHandler),
            framework.web.url(r"/entry/([^/]+)", EntryHandler, name="entry"),
            (r"/feed", FeedHandler),
            (r"/compose", ComposeHandler),
            (r"/login", LoginHandler),
        ]
        settings = {
            "template_loader": DictLoader(TEMPLATES),
            "ui_modules": {"Entry": Entry},
            "xsrf_cookies": True,
            "cookie_secret": "61oETzKXQAGaYdkL5gEmGeJJFuYh7EQnp2XdTP1o/Vo=",
            "login_url": "/login",
        }
        super().__init__(handlers, **settings)
        self.db = db


@pytest.fixture
def blog(mysql_server, tmp_path):
    (tmp_path / "es.csv").write_text(
        '"Sign in","Entrar"\n"One entry","Una entrada","singular"\n"%(num)d entries","%(num)d entradas","plural"\n'
    )
    framework.locale.load_translations(str(tmp_path))
    db = framework.database.Connection(mysql_server.socket, "test", "test", "secret")
    # Other tests leave tables here, some of which refer to entries of their own.
    db.execute("SET FOREIGN_KEY_CHECKS = 0")
    for table in db.query("SELECT table_name AS name FROM information_schema.tables WHERE table_schema = 'test'"):
        db.execute(f"DROP TABLE {table.name}")
    for statement in SCHEMA:
        db.execute(statement)
    yield Blog(db)
    db.execute("DROP TABLE entries, authors")
    db.close()
    (tmp_path / "es.csv").unlink()
    framework.locale.load_translations(str(tmp_path))


def sign_in(blog, name="ann"):
    client = Client(blog)
    assert client.fetch("/compose").headers["Location"] == "/login?next=%2Fcompose"
    client.fetch("/login")
    form = {"name": name, "next": "/compose", "_xsrf": client.cookies["_xsrf"]}
    assert client.fetch("/login", "POST", body=form).headers["Location"] == "/compose"
    return client


def write_entry(client, title, body):
    token = re.search(r'name="_xsrf" value="([^"]+)"', client.fetch("/compose").text)[1]
    response = client.fetch("/compose", "POST", body={"title": title, "body": body, "_xsrf": token})
    assert response.status == 302
    return response.headers["Location"]


def test_item_093_136_entry_is_written_and_read(blog):
    ann = sign_in(blog)
    assert write_entry(ann, "Hello, <wörld>", "'; DROP TABLE entries; -- é€😀") == "/entry/hello-w%C3%B6rld"
    reader = Client(blog)
    page = reader.fetch("/entry/hello-w%C3%B6rld").text
    assert "<title>Hello, &lt;wörld&gt;</title>" in page
    assert "&#39;; DROP TABLE entries; -- é€😀" in page
    assert "<div>comments</div>" in page
    assert page.index(".entry { margin-bottom: 1em; }") < page.index("</head>")
    assert reader.fetch("/entry/nothing").status == 404


def test_item_093_home_shows_all_entries_and_their_number(blog):
    ann = sign_in(blog)
    assert "<p>0 entries</p>" in ann.fetch("/").text
    for number in range(3):
        write_entry(ann, "Same title", str(number))
    page = ann.fetch("/").text
    assert re.findall(r'href="(/entry/[^"]+)"', page) == [
        "/entry/same-title-2-2",
        "/entry/same-title-2",
        "/entry/same-title",
    ]
    assert page.count(".entry { margin-bottom") == 1
    assert "ann" in page and "Sign in" not in page


def test_home_is_translated(blog):
    page = Client(blog).fetch("/", headers={"Accept-Language": "es-GT"}).text
    assert '<a href="/login?next=%2F">Entrar</a>' in page and "<p>0 entradas</p>" in page
    assert "Sign in" in Client(blog).fetch("/?locale=en_US", headers={"Accept-Language": "es"}).text


def test_feed_is_atom(blog):
    write_entry(sign_in(blog), "A & B", "<p>markup</p>")
    response = Client(blog, host="blog.example.com").fetch("/feed")
    assert response.headers["Content-Type"] == "application/atom+xml"
    names = {"a": "http://www.w3.org/2005/Atom"}
    entry = xml.etree.ElementTree.fromstring(response.text).find("a:entry", names)
    assert entry.find("a:title", names).text == "A & B"
    assert entry.find("a:link", names).get("href") == "http://blog.example.com/entry/a-b"
    assert entry.find("a:content", names).text == "<p>markup</p>"


def test_form_without_token_is_refused(blog):
    ann = sign_in(blog)
    assert ann.fetch("/compose", "POST", body={"title": "x", "body": "y"}).status == 403
    assert "<p>0 entries</p>" in ann.fetch("/").text
