"""Fuzzes handlers: whatever a client sends, nothing of it is a 500, and no Location leads to another site.

python -m tests.fuzz.handlers --seconds 600

An input is a request: the method and the target on the first line, headers up to an empty line, the body.
"""

import logging
import re
import tempfile
from pathlib import Path
from urllib.parse import urljoin, urlsplit

from framework import locale
from framework.errors import ProtocolError
from framework.httputil import HTTPHeaders
from framework.locale import Locale
from framework.request import HTTPRequest
from framework.template import DictLoader
from framework.testing import MemoryConnection, parse_response
from framework.web import Application, RedirectHandler, RequestHandler, addslash, authenticated, removeslash
from tests.fuzz import engine

TOKEN = "2|00000000|30313233343536373839616263646566|1800000000"

CORPUS = [
    b"GET /echo/a%20b?a=1&a=%C3%A9&next=/x%3Fy\nCookie: a=1; user=x; _xsrf=" + TOKEN.encode(),
    b'GET /static/a.txt?v=1\nRange: bytes=0-3\nIf-Range: W/"x"\nAccept-Encoding: gzip;q=0.5, br\nIf-Match: *',
    b'GET /static/sub\nIf-None-Match: "x", W/"y"\nIf-Modified-Since: Fri, 02 Jan 2026 03:04:05 GMT',
    b"POST /form?_xsrf=x\nContent-Type: multipart/form-data; boundary=b\n\n--b\r\nContent-Disposition: form-data; "
    b'name="f"; filename="x"\r\n\r\nabc\r\n--b--\r\n',
    b"POST /form\nContent-Type: application/x-www-form-urlencoded\nX-XSRFToken: "
    + TOKEN.encode()
    + b"\n\na=1&next=//x",
    b'PUT /json\nContent-Type: application/json\n\n{"a": [1, 2.5e3, "\\u00e9", null]}',
    b"GET /any//evil.example?next=http://evil.example/\nAccept-Language: de;q=0.5, es-GT\nSec-Fetch-Site: cross-site",
    b"DELETE /slash/a/\nHost: example.com:80\nX-Requested-With: XMLHttpRequest",
    b"OPTIONS /guarded/x?y=%09/z\nUpgrade: websocket\nConnection: Upgrade",
]
TOKENS = [
    *(
        b"GET ",
        b"POST ",
        b"HEAD ",
        b"BREW ",
        b"/static/",
        b"/echo/",
        b"/any",
        b"/form",
        b"/json",
        b"/guarded/",
        b"/slash/",
    ),
    *(b"%2e%2e/", b"%09", b"%0A", b"%5C", b"%FF", b"%C3%A9", b"//", b"/\\", b"..", b"?", b"&", b"=", b";", b"+", b"#"),
    *(
        b"\n",
        b"\n\n",
        b"\r\n",
        b": ",
        b", ",
        b'"',
        b"W/",
        b"*",
        b"bytes=",
        b"-",
        b"0",
        b"9" * 30,
        b"q=0",
        b"--b",
        b"\xff",
    ),
    *(b"a.txt", b"sub", b"next=", b"_xsrf=", b"v=", b"{", b"[" * 500, b"http://", b"https:", b"\xc3\xa9", b"null"),
    *(b"\nCookie: ", b"\nRange: ", b"\nIf-Range: ", b"\nIf-Modified-Since: ", b"\nContent-Type: ", b"\nHost: "),
]
PAGE = "{{ _('Hello') }} {{ handler.get_argument('a', '') }} {{ linkify(request.path) }} {{ xsrf_form_html() }}"


class Base(RequestHandler):
    def get_current_user(self):
        return self.get_signed_cookie("user")

    def get_user_locale(self):
        return self.get_argument("locale", None)


class Echo(Base):
    def get(self, *groups, **named):
        self.set_cookie("seen", "1")
        self.clear_all_cookies()
        self.get_arguments("a")
        self.get_query_argument("a", "")
        self.render("page.html")


class Form(Base):
    def get(self):
        self.redirect(self.get_next_url())

    def post(self):
        self.write({name: [one.filename for one in files] for name, files in self.request.files.items()})
        self.get_body_arguments("a")
        if self.get_argument("next", ""):
            self.redirect(self.get_next_url())


class Json(Base):
    def put(self):
        self.write({"given": self.get_json()})

    post = put


class Guarded(Base):
    @authenticated
    def get(self, path):
        self.write(path)

    delete = post = get


class Slashed(Base):
    @addslash
    def get(self, path):
        self.write(path)

    @removeslash
    def delete(self, path):
        self.write(path)


def make_application(folder):
    """All that a handler does with what a client sends, in one application."""
    (folder / "sub").mkdir()
    (folder / "a.txt").write_text("0123456789" * 200)
    (folder / "a.txt.gz").write_bytes(b"packed")
    (folder / "sub" / "index.html").write_text("index")
    return Application(
        [
            (r"/echo/(.*)", Echo),
            (r"/named/(?P<name>[^/]*)/(?P<rest>.*)?", Echo),
            (r"/form", Form),
            (r"/json", Json),
            (r"/guarded/(.*)", Guarded),
            (r"/slash/(.*)", Slashed),
            (r"/any(.*)", RedirectHandler, {"url": "{0}"}),
            (r"/moved/(.*)", RedirectHandler, {"url": "/{0}"}),
        ],
        static_path=str(folder),
        static_handler_args={"default_filename": "index.html"},
        template_loader=DictLoader({"page.html": PAGE}),
        cookie_secret="secret",
        login_url="/login",
        xsrf_cookies=True,
        compress_response=True,
        log_function=lambda handler: None,
    )


def make_request(data):
    """The request that the bytes stand for, None if the server would not let it through to an application."""
    head, _, body = data.partition(b"\n\n")
    first, *lines = head.decode("latin-1").split("\n")
    method, _, target = first.partition(" ")
    if not re.fullmatch("[A-Z]{1,10}", method) or not re.fullmatch(r"/[^\x00-\x20\x7f#]*", target):
        return None
    if re.search("%(?![0-9A-Fa-f]{2})|%00", target.partition("?")[0]):
        return None
    headers = HTTPHeaders({"Host": "example.com"})
    try:
        for line in lines:
            if line:
                headers.parse_line(line)
    except ProtocolError:
        return None
    if len(headers.get_list("Host")) != 1 or not re.fullmatch(r"[a-z0-9.-]+(:[0-9]{1,5})?", headers["Host"]):
        headers["Host"] = "example.com"
    return HTTPRequest(method, target, "HTTP/1.1", headers, body, connection=MemoryConnection())


def run(seconds, seed=0):
    """The number of inputs tried.

    Raises:
        AssertionError: an answer was a 500, or led to another site.
    """
    logging.disable(logging.CRITICAL)
    before = locale._catalogue.locales
    locale._catalogue.replace({code: Locale(code) for code in ("en_US", "es_GT", "he")})
    with tempfile.TemporaryDirectory() as folder:
        application = make_application(Path(folder))

        def check(data, generator):
            request = make_request(data)
            if request is None:
                return
            application(request)
            response = parse_response(bytes(request.connection.out), request.method == "HEAD")
            assert response.status < 500, response
            # As a browser reads it: backslashes are slashes.
            location = response.headers.get("Location", "/").replace("\\", "/")
            assert urlsplit(urljoin("http://here/x", location)).netloc == "here", (request, location)

        try:
            return engine.fuzz(check, CORPUS, TOKENS, seconds, seed)
        finally:
            locale._catalogue.replace(before)
            logging.disable(logging.NOTSET)


if __name__ == "__main__":
    engine.main(run)
