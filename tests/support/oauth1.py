"""An OAuth 1.0 and 1.0a provider on oauthlib, with a little of Twitter's and FriendFeed's interfaces behind it."""

from urllib.parse import urlencode

from oauthlib.oauth1 import AccessTokenEndpoint, AuthorizationEndpoint, RequestTokenEndpoint, RequestValidator
from oauthlib.oauth1 import ResourceEndpoint as Endpoint

from framework.web import Application, HTTPError, RequestHandler

CONSUMER = "consumer key of this test"
SECRET = "consumer secret &% of this test"


class Memory(RequestValidator):
    """One consumer; tokens in memory. oauthlib checks signatures, times and nonces with it."""

    enforce_ssl = False
    safe_characters = property(lambda self: set(map(chr, range(32, 127))))
    client_key_length = request_token_length = access_token_length = verifier_length = (1, 100)
    nonce_length = (20, 60)
    dummy_client = dummy_request_token = dummy_access_token = "dummy"

    def __init__(self):
        self.request_tokens, self.access_tokens, self.verifiers, self.seen, self.callbacks = {}, {}, {}, set(), {}

    def get_client_secret(self, client_key, request):
        return SECRET if client_key == CONSUMER else "dummy"

    def validate_client_key(self, client_key, request):
        return client_key == CONSUMER

    def validate_timestamp_and_nonce(
        self, client_key, timestamp, nonce, request, request_token=None, access_token=None
    ):
        is_new = (timestamp, nonce) not in self.seen
        self.seen.add((timestamp, nonce))
        return is_new

    def validate_redirect_uri(self, client_key, redirect_uri, request):
        return True

    def validate_requested_realms(self, client_key, realms, request):
        return True

    def get_default_realms(self, client_key, request):
        return []

    def get_realms(self, token, request):
        return []

    def verify_realms(self, token, realms, request):
        return True

    def save_request_token(self, token, request):
        self.request_tokens[token["oauth_token"]] = token["oauth_token_secret"]
        self.callbacks[token["oauth_token"]] = request.redirect_uri

    def verify_request_token(self, token, request):
        return token in self.request_tokens

    def get_redirect_uri(self, token, request):
        return self.callbacks[token]

    def save_verifier(self, token, verifier, request):
        self.verifiers[token] = verifier["oauth_verifier"]

    def validate_request_token(self, client_key, token, request):
        return token in self.request_tokens

    def get_request_token_secret(self, client_key, token, request):
        return self.request_tokens.get(token, "dummy")

    def validate_verifier(self, client_key, token, verifier, request):
        return self.verifiers.get(token) == verifier

    def invalidate_request_token(self, client_key, request_token, request):
        self.request_tokens.pop(request_token)

    def save_access_token(self, token, request):
        self.access_tokens[token["oauth_token"]] = token["oauth_token_secret"]

    def validate_access_token(self, client_key, token, request):
        return token in self.access_tokens

    def get_access_token_secret(self, client_key, token, request):
        return self.access_tokens.get(token, "dummy")

    def validate_realms(self, client_key, token, request, uri=None, realms=None):
        return True


class Peer:
    """The provider; `answer` takes the place of what its token endpoints say."""

    def __init__(self, version="1.0a"):
        self.memory = Memory()
        self.version = version
        self.answer = {}  # path: (status, body)
        self.said = []

    def application(self):
        peer = self
        requests = RequestTokenEndpoint(self.memory)
        accesses, resources = AccessTokenEndpoint(self.memory), Endpoint(self.memory)
        authorizations = AuthorizationEndpoint(self.memory)

        class Told(RequestHandler):
            def prepare(self):
                if self.request.path in peer.answer:
                    status, body = peer.answer[self.request.path]
                    self.set_status(status)
                    self.finish(body)

            def reply(self, headers, body, status):
                self.set_status(status)
                for name, value in headers.items():
                    self.set_header(name, value)
                self.finish(body or "")

        class RequestToken(Told):
            def get(self):
                url = self.request.full_url()
                if peer.version == "1.0":
                    # oauthlib knows 1.0a only, which wants a callback here: the rest of 1.0 is the same.
                    self.reply({}, *peer.give_request_token(url))
                    return
                self.reply(*requests.create_request_token_response(url, "GET", "", dict(self.request.headers)))

        class Authorize(Told):
            def get(self):
                token = self.get_argument("oauth_token")
                if peer.version == "1.0":
                    peer.memory.verifiers[token] = ""
                    back = self.get_argument("oauth_callback", "") or "/done"
                    self.redirect(f"{back}?{urlencode({'oauth_token': token})}")
                    return
                self.reply(
                    *authorizations.create_authorization_response(self.request.full_url(), "GET", "", {}, [], {})
                )

        class AccessToken(Told):
            def get(self):
                url = self.request.full_url()
                if peer.version == "1.0":
                    peer.check(resources, self.request, peer.memory.request_tokens)
                    self.reply({}, "oauth_token=at&oauth_token_secret=as&username=ann", 200)
                    peer.memory.access_tokens["at"] = "as"
                    return
                self.reply(*accesses.create_access_token_response(url, "GET", "", dict(self.request.headers)))

        class Resource(Told):
            def check(self):
                body = self.request.body.decode()
                is_valid, _ = resources.validate_protected_resource_request(
                    self.request.full_url(), self.request.method, body, dict(self.request.headers)
                )
                if not is_valid:
                    raise HTTPError(401)

            def get(self, *names):
                self.check()
                self.write({"screen_name": "ann", "id": "ann", "name": "Ann"})

            def post(self, *names):
                self.check()
                peer.said.append(self.get_argument("status", None) or self.get_argument("body"))
                self.write({"said": peer.said[-1]})

        class Done(RequestHandler):
            def get(self):
                self.write("done")

        routes = [
            ("/request_token", RequestToken),
            ("/authorize", Authorize),
            ("/access_token", AccessToken),
            ("/account/verify_credentials.json", Resource),
            ("/statuses/update.json", Resource),
            ("/feedinfo/(.*)", Resource),
            ("/entry", Resource),
            ("/done", Done),
        ]
        return Application(routes, log_function=lambda handler: None)

    def give_request_token(self, url):
        self.memory.request_tokens["rt"] = "rs"
        return "oauth_token=rt&oauth_token_secret=rs", 200

    def check(self, resources, request, tokens):
        """As a protected resource, whose token is a request token."""
        before, self.memory.access_tokens = self.memory.access_tokens, tokens
        is_valid, _ = resources.validate_protected_resource_request(
            request.full_url(), "GET", "", dict(request.headers)
        )
        self.memory.access_tokens = before
        if not is_valid:
            raise HTTPError(401)
