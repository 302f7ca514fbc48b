"""What an application is told of a request."""

import json

from framework.asgi.scope import split_server
from framework.testing import parse_response
from tests.support.asgi import ask, get, run


def test_scope_says_what_was_asked():
    async def application(scope, receive, send):
        shown = {key: value for key, value in scope.items() if key not in ("headers", "raw_path", "query_string")}
        shown |= {"raw_path": scope["raw_path"].decode(), "query_string": scope["query_string"].decode()}
        shown["headers"] = [[name.decode(), value.decode("latin-1")] for name, value in scope["headers"]]
        body = json.dumps(shown).encode()
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-type", b"application/json")]})
        await send({"type": "http.response.body", "body": body})

    answer = run(application, lambda port: ask(port, get("/caf%C3%A9/a%2Fb?x=%20y", "X-Two: 1", "x-two:  2 ")))
    shown = parse_response(answer).json()
    assert (shown["method"], shown["http_version"], shown["scheme"]) == ("GET", "1.1", "http")
    assert (shown["path"], shown["raw_path"]) == ("/café/a/b", "/caf%C3%A9/a%2Fb")
    assert (shown["query_string"], shown["root_path"]) == ("x=%20y", "")
    assert shown["server"] == ["example.com", 81]
    assert shown["client"][0] == "127.0.0.1"
    assert shown["headers"][-2:] == [["x-two", "1"], ["x-two", "2"]]
    assert shown["asgi"] == {"version": "3.0", "spec_version": "2.4"}


def test_server_of_a_host():
    assert split_server("example.com", "https") == ("example.com", 443)
    assert split_server("[::1]", "ws") == ("[::1]", 80)
    assert split_server("[::1]:81", "http") == ("[::1]", 81)
