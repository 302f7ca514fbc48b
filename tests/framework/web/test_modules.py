import pytest

import framework.web
from framework.testing import Client
from framework.web import Application, RequestHandler
from framework.web.modules import embedded_css, embedded_js, linked_css, linked_js

ENTRIES = [{"id": 1, "title": "<one>"}, {"id": 2, "title": "two"}]


class Entry(framework.web.UIModule):
    def embedded_css(self):
        return ".entry { margin-bottom: 1em; }"

    def embedded_javascript(self):
        return "start();"

    def css_files(self):
        return "entry.css"

    def javascript_files(self):
        return ["entry.js", "/absolute.js", "https://example.com/x.js"]

    def html_head(self):
        return '<meta name="entry">'

    def html_body(self):
        return "<i>end</i>"

    def render(self, entry, show_comments=False):
        return self.render_string("module-entry.html", entry=entry, show_comments=show_comments)


class Quiet(framework.web.UIModule):
    def render(self):
        assert self.current_user is None and self.request is self.handler.request
        return "<hr>"


class HomeHandler(framework.web.RequestHandler):
    def get(self):
        self.render("home.html", entries=ENTRIES)


class EntryHandler(framework.web.RequestHandler):
    def get(self, entry_id):
        entry = next((one for one in ENTRIES if one["id"] == int(entry_id)), None)
        if not entry:
            raise framework.web.HTTPError(404)
        self.render("entry.html", entry=entry)


@pytest.fixture
def browser(tmp_path):
    pages = {
        "home.html": "<head></head><body>{% for entry in entries %}{{ modules.Entry(entry) }}{% end %}</body>",
        "entry.html": "<head></head><body>{{ modules.Entry(entry, show_comments=True) }}</body>",
        "module-entry.html": "<div>{{ entry['title'] }}{% if show_comments %} comments{% end %}</div>",
        "today.html": "<head></head><body>{% module Entry(entry) %}{% module Quiet() %}</body>",
        "template.html": '<head></head><body>{% module Template("part.html", x=1) %}'
        '{% module Template("part.html", x=2) %}'
        "</body>",
        "part.html": '{{ set_resources(embedded_css="p {}", css_files="p.css", html_body="<u>") }}<p>{{ x }}</p>',
        "quiet.html": "{{ modules.Quiet() }}",
        "bare.html": "{{ modules.Entry(entry) }}",
        "unknown.html": "{{ modules.Nothing() }}",
    }
    for name, text in pages.items():
        (tmp_path / name).write_text(text)
    (tmp_path / "entry.css").write_text("x")

    class Page(RequestHandler):
        def get(self, name):
            self.render(name, entry=ENTRIES[0])

    settings = {
        "ui_modules": {"Entry": Entry, "Quiet": Quiet, "not_a_module": 5},
        "template_path": str(tmp_path),
        "static_path": str(tmp_path),
    }
    application = framework.web.Application(
        [
            (r"/", HomeHandler),
            (r"/entry/([0-9]+)", EntryHandler),
            (r"/page/(.*)", Page),
        ],
        **settings,
    )
    return Client(application)


def test_item_091_094_entry_module_in_a_loop_and_with_comments(browser):
    page = browser.fetch("/").text
    assert "<div>&lt;one&gt;</div><div>two</div>" in page
    assert "<div>two comments</div>" in browser.fetch("/entry/2").text


def test_item_093_unknown_entry_is_404(browser):
    assert browser.fetch("/entry/3").status == 404


def test_item_092_ui_modules_may_be_a_module_a_dict_or_a_list(browser, tmp_path):
    import tests.framework.web.test_modules as this_module

    for given in (this_module, [this_module], [{"Entry": Entry}, {"Quiet": Quiet}]):
        application = Application([], ui_modules=given)
        assert set(application.ui_modules) >= {"Entry", "Quiet", "Template"}


def test_item_095_096_097_098_assets_once_css_in_head_scripts_before_body_ends(browser):
    page = browser.fetch("/").text
    head, _, body = page.partition("</head>")
    for asset in (".entry { margin-bottom: 1em; }", 'href="/static/entry.css?v=', '<meta name="entry">'):
        assert page.count(asset) == 1
        assert asset in head
    ends = body[body.index("<div>two</div>") :]
    for asset in ("start();", "/static/entry.js", '"/absolute.js"', '"https://example.com/x.js"', "<i>end</i>"):
        assert page.count(asset) == 1
        assert asset in ends
    assert ends.endswith("</body>")
    assert ends.index("entry.js") < ends.index("/absolute.js") < ends.index("start();") < ends.index("<i>end</i>")
    assert head.index("entry.css") < head.index(".entry {") < head.index("<meta")


def test_module_directive_of_today(browser):
    page = browser.fetch("/page/today.html").text
    assert "<div>&lt;one&gt;</div><hr>" in page
    assert page.count("start();") == 1


def test_template_as_a_module(browser):
    page = browser.fetch("/page/template.html").text
    assert "<p>1</p><p>2</p>" in page
    assert page.count("p {}") == page.count("/static/p.css") == page.count("<u>") == 1


def test_module_without_assets_needs_no_head(browser):
    assert browser.fetch("/page/quiet.html").text == "<hr>"


def test_assets_without_a_head_are_an_error(browser, caplog):
    assert browser.fetch("/page/bare.html").status == 500
    assert "UI modules need a </head>" in caplog.text


def test_unknown_module_says_its_name(browser, caplog):
    assert browser.fetch("/page/unknown.html").status == 500
    assert "there is no UI module 'Nothing'" in caplog.text


def test_assets_are_elements():
    assert linked_css(["/a.css?x&y"]) == '<link href="/a.css?x&amp;y" type="text/css" rel="stylesheet"/>\n'
    assert linked_js(["/a.js"]) == '<script src="/a.js" type="text/javascript"></script>\n'
    assert embedded_css(["a {}"]) == '<style type="text/css">\na {}\n</style>\n'
    assert "//<![CDATA[\na()\n//]]>" in embedded_js(["a()"])
