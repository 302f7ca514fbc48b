import re
from pathlib import Path

import pytest

import framework
from framework.template import DictLoader
from framework.testing import Client
from framework.web import Application, HTTPError, RequestHandler


class Handler(RequestHandler):
    def get(self, what):
        if what == "template":
            self.render("page.html")
        if what == "http":
            raise HTTPError(418, "the pot said <no>")
        raise KeyError("<script>")


def browser(**settings):
    loader = DictLoader({"page.html": "one\n{{ 1 / 0 }}\nthree"})
    return Client(Application([("/(.*)", Handler)], template_loader=loader, **settings))


def test_page_shows_traceback_source_and_request():
    response = browser(debug=True).fetch("/x?y=<z>", headers={"X-Mark": "marked"})
    assert response.status == 500
    assert response.headers["Content-Type"] == "text/html; charset=UTF-8"
    assert "KeyError: &#39;&lt;script&gt;&#39;" in response.text
    assert "raise KeyError(" in response.text
    assert "marked" in response.text and "/x?y=&lt;z&gt;" in response.text
    assert "<script>" not in response.text and "<z>" not in response.text


def test_page_shows_template_lines():
    page = browser(debug=True).fetch("/template").text
    assert "ZeroDivisionError" in page
    assert "page.html" in page


def test_framework_s_own_calls_are_folded_up():
    page = browser(debug=True).fetch("/template").text
    own = Path(framework.__file__).parent
    assert page.count("<details>") == len(re.findall(rf"<summary>{own}/[a-z/_.]*:\d+ in ", page)) > 2
    assert re.search(r"<div class='where'>[^<]*test_debug.py:\d+ in Handler.get</div>", page)
    assert "<div class='where'>&lt;template page.html&gt;:2 in template</div>" in page
    assert f"<div class='where'>{own}" not in page


def test_secrets_of_the_request_are_not_shown():
    headers = {"Cookie": "session=hidden1", "Authorization": "Basic hidden2"}
    page = browser(serve_traceback=True).fetch("/x", headers=headers).text
    assert "hidden1" not in page and "hidden2" not in page
    assert "(not shown)" in page


@pytest.mark.parametrize("settings", [{}, {"debug": False}, {"debug": True, "serve_traceback": False}])
def test_production_never_shows_it(settings):
    page = browser(**settings).fetch("/x").text
    assert page == "<html><title>500: Internal Server Error</title><body>500: Internal Server Error</body></html>"


def test_http_errors_keep_their_status():
    response = browser(debug=True).fetch("/http")
    assert response.status == 418
    assert "the pot said &lt;no&gt;" in response.text
