import pytest

import framework.locale
import framework.web
from framework.template import DictLoader
from framework.testing import Client
from framework.web import Application, RequestHandler, UIModule

TEMPLATES = {
    "list.html": "<title>{{ title }}</title>{% for item in items %}<li>{{ escape(item) }}</li>{% end %}",
    "names.html": "{{ request.path }} {{ current_user }} {{ handler.settings['mine'] }} {{ reverse_url('page') }}"
    " {{ datetime.date(2026, 1, 2) }} {{ squeeze('a  b') }} {{ url_escape('a b') }} {{ shout('x') }}",
    "form.html": "<form>{{ xsrf_form_html() }}</form>",
}


class MainHandler(framework.web.RequestHandler):
    def get(self):
        items = ["Item 1", "Item 2", "Item 3"]
        self.render("list.html", title="My <title>", items=items)


def shout(handler, text):
    assert isinstance(handler, RequestHandler)
    return text.upper() + "!"


def browser(handler, **settings):
    settings = {"template_loader": DictLoader(TEMPLATES), "ui_methods": {"shout": shout}, "mine": "own", **settings}
    return Client(Application([("/", handler, {}, "page")], **settings))


def test_item_033_list_template():
    page = browser(MainHandler).fetch("/").text
    assert page == "<title>My &lt;title&gt;</title><li>Item 1</li><li>Item 2</li><li>Item 3</li>"


def test_item_034_template_beside_the_python_file_is_found(tmp_path, monkeypatch):
    (tmp_path / "beside.html").write_text("found {{ x }}")
    (tmp_path / "handlers_beside.py").write_text(
        "from framework.web import RequestHandler\n"
        "class Beside(RequestHandler):\n"
        "    def get(self):\n"
        "        self.render('beside.html', x=1)\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    import handlers_beside

    assert Client(Application([("/", handlers_beside.Beside)])).fetch("/").text == "found 1"


def test_item_039_040_names_of_a_template():
    class Handler(RequestHandler):
        def get_current_user(self):
            return "bob"

        def get(self):
            self.render("names.html")

    page = browser(Handler).fetch("/").text
    assert page == "/ bob own / 2026-01-02 a b a+b X!"


@pytest.mark.parametrize(
    ("source", "printed"),
    [
        ("{{ escape('<') }}", "&lt;"),
        ("{{ xhtml_escape('<') }}", "&lt;"),
        ("{{ url_escape('a/b c') }}", "a%2Fb+c"),
        ("{{ json_encode({'a': ['<']}) }}", "{&quot;a&quot;: [&quot;&lt;&quot;]}"),
        ("<script>{% raw json_encode('</script>') %}</script>", '<script>"<\\/script>"</script>'),
        ("{{ squeeze(' a  b ') }}", "a b"),
        ("{{ linkify('see http://x.com/') }}", 'see <a href="http://x.com/">http://x.com/</a>'),
        ("{{ datetime.date(2011, 2, 28) }}", "2011-02-28"),
        ("{{ type(handler).__name__ }}", "Page"),
        ("{{ request.method }}", "GET"),
        ("{{ current_user }}", "bob"),
        ("{{ locale.code }}", "en_US"),
        ("{{ _('Sign in') }}", "Sign in"),
        ("{{ pgettext('month', 'May') }}", "May"),
        ("{{ static_url('x.txt') }}", "/static/x.txt?v=e3b0c44298"),
        # A piece of markup is no markup.
        ("{{ xsrf_form_html()[:20] }}", "&lt;input type=&quot;hidden&quot;"),
        ("{{ reverse_url('page') }}", "/"),
        ("{{ modules.Hr() }}", "<hr>"),
        ("{% module Hr() %}", "<hr>"),
        ("{{ shout('x') }}", "X!"),
        ("{{ given }}", "an argument of render"),
    ],
)
def test_item_039_040_each_name_of_a_template(source, printed, tmp_path):
    class Page(RequestHandler):
        def get_current_user(self):
            return "bob"

        def get(self):
            self.render("page.html", given="an argument of render")

    class Hr(UIModule):
        def render(self):
            return "<hr>"

    (tmp_path / "x.txt").write_bytes(b"")
    settings = {"static_path": str(tmp_path), "ui_modules": {"Hr": Hr}}
    assert browser(Page, template_loader=DictLoader({"page.html": source}), **settings).fetch("/").text == printed


def test_item_040_ui_methods_are_on_self_ui_too():
    class Handler(RequestHandler):
        def get(self):
            self.write(self.ui.shout("x"))
            with pytest.raises(AttributeError, match="no UI method"):
                _ = self.ui.whisper

    assert browser(Handler).fetch("/").text == "X!"


def test_item_045_form_field_is_printed_as_markup():
    class Handler(RequestHandler):
        def get(self):
            self.render("form.html")

    assert '<form><input type="hidden" name="_xsrf" value="2|' in browser(Handler).fetch("/").text


def test_render_string_gives_bytes_and_names_can_be_added():
    class Handler(RequestHandler):
        def get_template_namespace(self):
            return {**super().get_template_namespace(), "title": "own", "items": []}

        def get(self):
            found = self.render_string("list.html")
            assert isinstance(found, bytes)
            self.write(found)

    assert browser(Handler).fetch("/").text == "<title>own</title>"


def test_debug_reads_templates_again(tmp_path):
    class Handler(RequestHandler):
        def get(self):
            self.render("page.html")

    for debug, second in ((True, "two"), (False, "one")):
        page = tmp_path / "page.html"
        page.write_text("one")
        client = Client(Application([("/", Handler)], template_path=str(tmp_path), debug=debug))
        assert client.fetch("/").text == "one"
        page.write_text("two")
        assert client.fetch("/").text == second


def test_autoescape_and_whitespace_are_settings(tmp_path):
    (tmp_path / "page.html").write_text("{{ x }}   {{ x }}")

    class Handler(RequestHandler):
        def get(self):
            self.render("page.html", x="<")

    client = Client(
        Application([("/", Handler)], template_path=str(tmp_path), autoescape=None, template_whitespace="all")
    )
    assert client.fetch("/").text == "<   <"


def test_static_url_needs_a_static_path(caplog):
    class Handler(RequestHandler):
        def get(self):
            self.static_url("x")

    assert browser(Handler).fetch("/").status == 500
    assert "static_path is not set" in caplog.text


def test_static_url_with_host(tmp_path):
    (tmp_path / "x.png").write_bytes(b"x")

    class Handler(RequestHandler):
        include_host = True

        def get(self):
            self.write(self.static_url("x.png") + " " + self.static_url("x.png", include_host=False))

    both = browser(Handler, static_path=str(tmp_path)).fetch("/").text.split()
    assert both[0] == "http://127.0.0.1" + both[1]


@pytest.fixture
def translations(tmp_path):
    folder = tmp_path / "translations"
    folder.mkdir()
    (folder / "es.csv").write_text(
        '"Sign in","Entrar"\n"A person liked this","A una persona le gusta","singular"\n'
        '"%(num)d people liked this","A %(num)d personas les gusta","plural"\n'
    )
    (folder / "fr_CA.csv").write_text('"Sign in","Se connecter"\n')
    framework.locale.load_translations(str(folder))
    yield
    framework.locale.load_translations(str(tmp_path))


class Localized(RequestHandler):
    def get_user_locale(self):
        return self.get_argument("locale", None)

    def get(self):
        _ = self.locale.translate
        num = int(self.get_argument("num", 1))
        liked = _("A person liked this", "%(num)d people liked this", num) % {"num": num}
        self.write({"code": self.locale.code, "sign_in": _("Sign in"), "liked": liked})


def test_item_077_083_browser_decides_the_locale(translations):
    client = browser(Localized)
    for header, code in (
        ("es", "es"),
        ("es-GT, en;q=0.5", "es"),
        ("de, fr-CA;q=0.8, es;q=0.9", "es"),
        ("fr-CA, es;q=0.9", "fr_CA"),
        ("de", "en_US"),
        ("garbage;;;q=x", "en_US"),
    ):
        assert client.fetch("/", headers={"Accept-Language": header}).json()["code"] == code, header
    assert client.fetch("/").json()["code"] == "en_US"


def test_item_080_plural_forms(translations):
    client = browser(Localized)
    liked = [client.fetch(f"/?locale=es&num={num}").json()["liked"] for num in (0, 1, 2)]
    assert liked == ["A 0 personas les gusta", "A una persona le gusta", "A 2 personas les gusta"]


def test_item_084_085_user_locale_may_be_a_code_a_locale_or_none(translations):
    client = browser(Localized)
    spanish = {"Accept-Language": "es"}
    assert client.fetch("/?locale=fr_CA", headers=spanish).json()["sign_in"] == "Se connecter"
    assert client.fetch("/", headers=spanish).json()["sign_in"] == "Entrar"

    class ByLocale(Localized):
        def get_user_locale(self):
            return framework.locale.get("fr_CA")

    assert browser(ByLocale).fetch("/", headers=spanish).json()["sign_in"] == "Se connecter"


def test_item_082_sign_in_template(translations):
    class SignIn(RequestHandler):
        def get(self):
            self.render("sign-in.html")

    page = (
        browser(
            SignIn,
            template_loader=DictLoader(
                {
                    "sign-in.html": '<form action="{{ request.path }}" method="post"><div>{{ _("Username") }}</div>'
                    '<input type="submit" value="{{ _("Sign in") }}"/>{{ xsrf_form_html() }}</form>{{ locale.code }}'
                }
            ),
        )
        .fetch("/", headers={"Accept-Language": "es"})
        .text
    )
    assert '<form action="/" method="post"><div>Username</div><input type="submit" value="Entrar"/>' in page
    assert page.endswith("</form>es")
