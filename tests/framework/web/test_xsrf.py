import re

import pytest

import framework.web
from framework.testing import Client
from framework.web import Application, RequestHandler
from framework.web.xsrf import format_token, parse_token


class Form(RequestHandler):
    def get(self):
        self.write(self.xsrf_form_html())

    def post(self):
        self.write("ok")

    put = delete = patch = post


class Plain(Form):
    def get(self):
        self.write("no form here")


def browser(**settings):
    return Client(Application([("/", Form), ("/plain", Plain)], xsrf_cookies=True, **settings))


def field(text):
    return re.search(r'name="_xsrf" value="([^"]*)"', text)[1]


def test_item_061_063_xsrf_cookies_example():
    settings = {
        "cookie_secret": "61oETzKXQAGaYdkL5gEmGeJJFuYh7EQnp2XdTP1o/Vo=",
        "login_url": "/login",
        "xsrf_cookies": True,
    }
    application = framework.web.Application(
        [
            (r"/", Form),
        ],
        **settings,
    )
    client = Client(application)
    for method in ("POST", "PUT", "DELETE", "PATCH"):
        assert client.fetch("/", method).status == 403
    assert client.fetch("/").status == 200
    assert client.fetch("/", "HEAD").status == 200
    assert client.fetch("/", "OPTIONS").status == 204


def test_item_062_cookie_is_set_for_all_users():
    client = browser()
    response = client.fetch("/plain")
    assert response.headers["Set-Cookie"].startswith("_xsrf=2|")
    assert response.headers["Set-Cookie"].endswith("; Path=/; SameSite=Lax")
    assert "Set-Cookie" not in client.fetch("/plain").headers
    client = browser()
    assert len(client.fetch("/").headers.get_list("Set-Cookie")) == 1


def test_item_063_wrong_token_is_403():
    client = browser()
    client.fetch("/")
    other = format_token(b"0123456789abcdef")
    for token in (other, "", "garbage", "2|x|y|z", "2|00000000||1", "0" * 32, client.cookies["_xsrf"] + "x"):
        assert client.fetch("/", "POST", body={"_xsrf": token}).status == 403
    del client.cookies["_xsrf"]
    assert client.fetch("/", "POST", body={"_xsrf": other}).status == 403


def test_item_064_form_field_makes_the_post_pass():
    client = browser()
    token = field(client.fetch("/").text)
    assert client.fetch("/", "POST", body={"_xsrf": token}).text == "ok"


def test_item_065_script_finds_the_cookie_and_posting_it_passes():
    client = browser()
    set_cookie = client.fetch("/plain").headers["Set-Cookie"]
    assert "HttpOnly" not in set_cookie
    document_cookie = f"a=1; {set_cookie.partition(';')[0]}; b=2"
    found = re.search(r"\b_xsrf=([^;]*)\b", document_cookie)[1]
    assert found == client.cookies["_xsrf"]
    assert client.fetch("/", "POST", body={"_xsrf": found}).text == "ok"


@pytest.mark.parametrize("header", ["X-XSRFToken", "X-Xsrftoken", "x-xsrftoken", "X-CSRFToken", "x-csrftoken"])
@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "PATCH"])
def test_item_066_header_works_for_all_methods(header, method):
    client = browser()
    client.fetch("/plain")
    headers = {header: client.cookies["_xsrf"], "Content-Type": "application/json"}
    assert client.fetch("/", method, body=b"{}", headers=headers).text == "ok"


def test_item_067_no_exemption_for_xmlhttprequest():
    client = browser()
    client.fetch("/")
    assert client.fetch("/", "POST", headers={"X-Requested-With": "XMLHttpRequest"}).status == 403


def test_token_is_masked_anew_on_each_page():
    """CVE-2014-9720 (BREACH): the same token on each page shows in the length of compressed pages."""
    client = browser()
    tokens = {field(client.fetch("/").text) for _ in range(5)}
    assert len(tokens) == 5
    assert len({parse_token(token) for token in tokens}) == 1
    for token in tokens:
        assert client.fetch("/", "POST", body={"_xsrf": token}).status == 200


@pytest.mark.parametrize(
    ("site", "status"), [("cross-site", 403), ("same-site", 200), ("same-origin", 200), ("none", 200)]
)
def test_browser_that_names_another_site_is_believed(site, status):
    client = browser()
    client.fetch("/")
    body = {"_xsrf": client.cookies["_xsrf"]}
    assert client.fetch("/", "POST", body=body, headers={"Sec-Fetch-Site": site}).status == status


def test_settings_of_the_cookie():
    client = browser(
        xsrf_cookie_name="__Host-x", xsrf_cookie_kwargs={"httponly": True, "secure": True}, xsrf_cookie_version=1
    )
    set_cookie = client.fetch("/").headers["Set-Cookie"]
    assert re.fullmatch(r"__Host-x=[0-9a-f]{32}; Path=/; SameSite=Lax; Secure; HttpOnly", set_cookie)
    token = field(client.fetch("/").text)
    assert re.fullmatch("[0-9a-f]{32}", token)
    assert client.fetch("/", "POST", body={"_xsrf": token}).text == "ok"


def test_version_1_cookie_and_version_2_field_agree():
    client = browser()
    client.cookies["_xsrf"] = "00112233445566778899aabbccddeeff"
    token = field(client.fetch("/").text)
    assert token.startswith("2|")
    assert client.fetch("/", "POST", body={"_xsrf": token}).text == "ok"


def test_secure_connection_gets_a_secure_cookie():
    assert "Secure" in browser().fetch("/", protocol="https").headers["Set-Cookie"]


def test_check_can_be_overridden():
    class Hook(Form):
        def check_xsrf_cookie(self):
            pass

    assert Client(Application([("/", Hook)], xsrf_cookies=True)).fetch("/", "POST").text == "ok"


@pytest.mark.parametrize(
    "text", ["", "2", "2|", "2|a|b|c", "2|00000000|0|1", "zz" * 16, "1|00000000|00000000|1", "é" * 32]
)
def test_garbage_is_no_token(text):
    assert parse_token(text) is None


def test_not_found_is_404_to_a_post_without_token():
    assert browser().fetch("/nowhere", "POST").status == 404
