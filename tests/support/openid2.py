"""An OpenID 2.0 provider on python3-openid, a process of its own: `python -W ignore -m tests.support.openid2 PORT`.

It agrees to everything at once, and tells the attributes of Ann.
"""

import contextlib
import os
import subprocess
import sys
from pathlib import Path
from urllib.parse import parse_qsl, urlencode

from framework.web import Application, RequestHandler
from tests.support.front import free_port, wait_for_port

ROOT = Path(__file__).parents[2]
ANN = {
    "http://axschema.org/contact/email": "ann@example.com",
    "http://axschema.org/namePerson": "Ann Example",
    "http://axschema.org/namePerson/first": "Ann",
    "http://axschema.org/namePerson/last": "Example",
    "http://axschema.org/pref/language": "EN",
    "http://axschema.org/namePerson/friendly": "ann",
}


@contextlib.contextmanager
def openid_provider():
    """Address of the running provider's endpoint."""
    port = free_port()
    command = [sys.executable, "-W", "ignore", "-m", "tests.support.openid2", str(port)]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    with subprocess.Popen(command, env=environment, cwd=ROOT, stderr=subprocess.DEVNULL) as process:
        try:
            wait_for_port(port)
            yield f"http://127.0.0.1:{port}/openid"
        finally:
            process.kill()


def lying_provider(status, body):
    """An application that is a provider at /op: sends everybody back signed in, and answers `body` when it is asked."""

    class Provider(RequestHandler):
        def get(self):
            given = {name: self.get_argument(name) for name in self.request.arguments}
            fields = ["op_endpoint", "return_to", "response_nonce", "assoc_handle", "claimed_id"]
            answer = {
                "openid.mode": "id_res",
                "openid.op_endpoint": self.request.full_url().partition("?")[0],
                "openid.return_to": given["openid.return_to"],
                "openid.response_nonce": "n",
                "openid.assoc_handle": "h",
                "openid.claimed_id": "http://ann.example/",
                "openid.signed": ",".join(fields),
                "openid.sig": "x",
            }
            self.redirect(f"{given['openid.return_to']}&{urlencode(answer)}")

        def post(self):
            self.set_status(status)
            self.finish(body)

    return Application([("/op", Provider)], log_function=lambda handler: None)


def main():
    from wsgiref.simple_server import make_server

    from openid.extensions import ax
    from openid.server.server import Server
    from openid.store.memstore import MemoryStore

    port = int(sys.argv[1])
    endpoint = f"http://127.0.0.1:{port}/openid"
    provider = Server(MemoryStore(), endpoint)

    def application(environ, start_response):
        body = environ["wsgi.input"].read(int(environ.get("CONTENT_LENGTH") or 0)).decode()
        request = provider.decodeRequest(dict(parse_qsl(environ["QUERY_STRING"] or body, keep_blank_values=True)))
        if request.mode == "checkid_setup":
            who = f"http://127.0.0.1:{port}/ann"
            response = request.answer(True, identity=who, claimed_id=who)
            wanted = ax.FetchRequest.fromOpenIDRequest(request)
            if wanted is not None:
                given = ax.FetchResponse(wanted)
                for attribute in wanted.iterAttrs():
                    if attribute.type_uri in ANN:
                        given.addValue(attribute.type_uri, ANN[attribute.type_uri])
                response.addExtension(given)
        else:
            response = provider.handleRequest(request)
        encoded = provider.encodeResponse(response)
        start_response(f"{encoded.code} Answered", list(encoded.headers.items()))
        return [encoded.body.encode() if isinstance(encoded.body, str) else encoded.body]

    make_server("127.0.0.1", port, application).serve_forever()


if __name__ == "__main__":
    main()
