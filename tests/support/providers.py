"""OpenID Connect providers for tests: a certified one in a process of its own, and one that lies as it is told to."""

import asyncio
import base64
import contextlib
import hashlib
import html
import json
import os
import re
import shutil
import subprocess
import time
from pathlib import Path
from urllib.parse import parse_qs, urlencode, urljoin, urlsplit

from joserfc import jws
from joserfc.jwk import ECKey, RSAKey

from framework.httpclient import AsyncHTTPClient
from framework.web import Application, HTTPError, RequestHandler
from tests.support.front import free_port

SCRIPT = Path(__file__).parent / "oidc" / "server.mjs"
# The test image has it there (docker/test/Dockerfile); on a machine of one's own OIDC_PEER names the folder.
PLACES = (os.environ.get("OIDC_PEER", ""), "/opt/oidc")


@contextlib.contextmanager
def certified_provider(redirect_uri):
    """The issuer of a running provider, which sends its visitors back to redirect_uri."""
    place = next((place for place in PLACES if place and (Path(place) / "node_modules/oidc-provider").is_dir()), None)
    assert place and shutil.which("node"), (
        "oidc-provider is missing: `npm ci` in a copy of tests/support/oidc, and set OIDC_PEER to that folder"
    )
    port = free_port()
    keys = [
        RSAKey.generate_key(2048, {"kid": "rsa", "use": "sig"}),
        ECKey.generate_key("P-256", {"kid": "ec", "use": "sig"}),
    ]
    environment = {
        **os.environ,
        "OIDC_PEER": place,
        "OIDC_JWKS": json.dumps({"keys": [key.as_dict(private=True) for key in keys]}),
    }
    command = ["node", str(SCRIPT), str(port), redirect_uri]
    with subprocess.Popen(
        command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    ) as process:
        try:
            assert "ready" in "".join(iter(process.stdout.readline, "ready\n")) + "ready"
            yield f"http://127.0.0.1:{port}"
        finally:
            process.kill()


class Browser:
    """Follows redirections and fills forms, as a visitor does; keeps cookies by host and port."""

    def __init__(self):
        self.cookies = {}
        self.client = AsyncHTTPClient(force_instance=True)

    async def open(self, url, method="GET", body=None, until=""):
        """URL and answer of the page that it leads to; a URL that begins with `until` is not opened any more."""
        for _ in range(20):
            if until and url.startswith(until):
                return url, None
            jar = self.cookies.setdefault(urlsplit(url).netloc, {})
            headers = {"Cookie": "; ".join(f"{name}={value}" for name, value in jar.items())} if jar else {}
            if body is not None:
                headers["Content-Type"] = "application/x-www-form-urlencoded"
            response = await self.client.fetch(
                url, method=method, body=body, headers=headers, follow_redirects=False, raise_error=False
            )
            for line in response.headers.get_list("Set-Cookie"):
                name, _, rest = line.partition("=")
                value = rest.partition(";")[0]
                jar[name] = value
                if not value or "expires=Thu, 01 Jan 1970" in rest or "Max-Age=0" in rest:
                    jar.pop(name)
            if response.code not in (301, 302, 303):
                return url, response
            url, method, body = urljoin(url, response.headers["Location"]), "GET", None
        raise AssertionError("too many redirections")

    async def sign_in(self, url, until, user="ann"):
        """Where the provider sends the visitor who signs in as the user and agrees to everything."""
        url, page = await self.open(url, until=until)
        while page is not None:
            assert page.code == 200, (url, page.code, page.body)
            text = page.body.decode()
            fields = dict(re.findall(r'<input[^>]*name="(\w+)"[^>]*value="([^"]*)"', text))
            if 'name="login"' in text:
                fields |= {"login": user, "password": "any"}
            action = html.unescape(re.search(r'<form[^>]*action="([^"]*)"', text)[1])
            url, page = await self.open(urljoin(url, action), "POST", urlencode(fields), until)
        return url

    def close(self):
        self.client.close()


class Lies:
    """What a provider of the tests' own gets wrong. Each is a field; None of them set is an honest provider."""

    def __init__(self):
        self.key = RSAKey.generate_key(2048, {"kid": "one", "use": "sig"})
        self.other_key = RSAKey.generate_key(2048, {"kid": "one", "use": "sig"})
        self.reset()

    def reset(self):
        self.claims = {}  # in place of what is right; None leaves a claim out
        self.metadata = {}
        self.userinfo = {}
        self.token = {}
        self.header = {}
        self.sign = self.sign_rightly
        self.mangle = lambda token: token
        self.raw_token_answer = None  # (status, body)
        self.published = [self.key]
        self.nonce = ""
        self.detours = {}  # path: "redirects", "is silent", "is huge"
        self.asked_elsewhere = 0
        self.asked_for_keys = 0
        self.challenge = ""

    def sign_rightly(self, header, claims):
        # Not jwt.encode, which refuses to write what no honest provider would.
        return jws.serialize_compact(header, json.dumps(claims), self.key, algorithms=[header["alg"]])


def make_provider(lies, issuer):
    """An OpenID Connect provider that answers as told; `issuer` gives its address once it is known."""

    class Endpoint(RequestHandler):
        async def prepare(self):
            detour = lies.detours.get(self.request.path)
            if detour == "redirects":
                self.redirect("/elsewhere", status=307)
            elif detour == "is silent":
                await self.is_gone()
                raise HTTPError(504)
            elif detour == "is huge":
                self.finish(b"{" + b" " * 2_000_000 + b"}")

        async def is_gone(self):
            gone = asyncio.Event()
            self.on_connection_close = gone.set
            await gone.wait()

    class Elsewhere(RequestHandler):
        def get(self):
            lies.asked_elsewhere += 1

        post = get

    class Metadata(Endpoint):
        def get(self):
            at = issuer()
            known = {
                "issuer": at,
                "authorization_endpoint": f"{at}/authorize",
                "token_endpoint": f"{at}/token",
                "jwks_uri": f"{at}/keys",
                "userinfo_endpoint": f"{at}/userinfo",
            }
            self.write({name: value for name, value in {**known, **lies.metadata}.items() if value is not None})

    class Authorize(RequestHandler):
        def get(self):
            lies.nonce = self.get_argument("nonce")
            lies.challenge = self.get_argument("code_challenge")
            arguments = {"code": "c", "state": self.get_argument("state"), "iss": issuer()}
            self.redirect(self.get_argument("redirect_uri") + "?" + urlencode(arguments))

    class Token(Endpoint):
        def post(self):
            verifier = self.get_argument("code_verifier").encode()
            if base64.urlsafe_b64encode(hashlib.sha256(verifier).digest()).rstrip(b"=").decode() != lies.challenge:
                raise HTTPError(400)
            if lies.raw_token_answer is not None:
                status, body = lies.raw_token_answer
                self.set_status(status)
                self.finish(body)
                return
            now = int(time.time())
            claims = {"iss": issuer(), "sub": "42", "aud": "squall", "exp": now + 60, "iat": now, "nonce": lies.nonce}
            claims = {name: value for name, value in {**claims, **lies.claims}.items() if value is not None}
            token = lies.mangle(lies.sign({"alg": "RS256", "kid": "one", **lies.header}, claims))
            answer = {"access_token": "a", "token_type": "Bearer", "id_token": token, **lies.token}
            self.write({name: value for name, value in answer.items() if value is not None})

    class Keys(Endpoint):
        def get(self):
            lies.asked_for_keys += 1
            self.write({"keys": [key.as_dict(private=False) for key in lies.published]})

    class Userinfo(Endpoint):
        def get(self):
            if self.request.headers.get("Authorization") != "Bearer a":
                raise HTTPError(401)
            self.write({"sub": "42", "name": "Ann", **lies.userinfo})

    routes = [
        ("/.well-known/openid-configuration", Metadata),
        ("/authorize", Authorize),
        ("/token", Token),
        ("/keys", Keys),
        ("/userinfo", Userinfo),
        ("/elsewhere", Elsewhere),
    ]
    return Application(routes, log_function=lambda handler: None)


def arguments_of(url):
    """The last value of each argument in a URL's query."""
    return {name: values[-1] for name, values in parse_qs(urlsplit(url).query).items()}
