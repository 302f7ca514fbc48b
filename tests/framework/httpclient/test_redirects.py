import pytest

from framework.httpclient import HTTPRequest, RedirectError
from framework.httpclient.redirects import follow_redirect

URL = "https://a.example/x"
SECRETS = {"Authorization": "s", "Cookie": "s", "Accept": "t"}


@pytest.mark.parametrize(
    "location, is_kept",
    [
        ("/y", True),
        ("https://A.example:443/y", True),
        ("http://a.example/y", False),
        ("https://a.example:444/", False),
        ("https://b.example/", False),
        ("//b.example/", False),
        ("https://user:secret@b.example/", False),
    ],
)
def test_credentials_stay_at_their_origin(location, is_kept):
    request = HTTPRequest(
        URL,
        headers=SECRETS,
        auth_username="me",
        client_cert="cert",
        ssl_options={"certfile": "c", "keyfile": "k", "ca_certs": "a"},
    )
    following = follow_redirect(request, URL, 302, location)
    assert ("Authorization" in following.headers, "Cookie" in following.headers) == (is_kept, is_kept)
    assert following.headers["Accept"] == "t"
    assert (following.auth_username, following.client_cert) == (("me", "cert") if is_kept else (None, None))
    assert ("certfile" in following.ssl_options) == is_kept
    assert following.ssl_options["ca_certs"] == "a"
    assert "secret" not in following.url
    assert request.headers["Cookie"] == "s"


@pytest.mark.parametrize(
    "code, method, expected",
    [
        (301, "POST", "GET"),
        (302, "POST", "GET"),
        (303, "PUT", "GET"),
        (303, "HEAD", "HEAD"),
        (302, "PUT", "PUT"),
        (307, "POST", "POST"),
        (308, "POST", "POST"),
    ],
)
def test_method_after_redirect(code, method, expected):
    body = None if method == "HEAD" else b"x"
    request = HTTPRequest(URL, method, body=body, headers={"Content-Type": "t"})
    following = follow_redirect(request, URL, code, "/y")
    assert following.method == expected
    assert following.body == (body if expected == method else None)
    assert ("Content-Type" in following.headers) == (expected == "POST" or method == expected == "PUT")


@pytest.mark.parametrize("location", ["file:///etc/passwd", "gopher://a/", "http://", "http://a:99999/", "\x00"])
def test_where_we_do_not_follow(location):
    with pytest.raises(RedirectError):
        follow_redirect(HTTPRequest(URL), URL, 302, location)


def test_body_producer_is_not_sent_twice():
    with pytest.raises(RedirectError):
        follow_redirect(HTTPRequest(URL, "POST", body_producer=print), URL, 307, "/y")
