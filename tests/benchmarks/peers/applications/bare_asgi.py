"""Bare ASGI, RSGI and WSGI: no framework, only what the server hands over. Ours has routes and handlers on top."""

from typing import Any

from tests.benchmarks.peers import content

BODY = content.HELLO.encode()
START = {
    "type": "http.response.start",
    "status": 200,
    "headers": [(b"content-type", b"text/html; charset=UTF-8"), (b"content-length", b"12")],
}
END = {"type": "http.response.body", "body": BODY}
RSGI_HEADERS = [("content-type", "text/html; charset=UTF-8")]
WSGI_HEADERS = [("Content-Type", "text/html; charset=UTF-8"), ("Content-Length", "12")]


async def asgi(scope: Any, receive: Any, send: Any) -> None:
    if scope["type"] == "http":
        if scope["path"] == "/post":
            await send_length(receive, send)
            return
        await send(START)
        await send(END)


async def send_length(receive: Any, send: Any) -> None:
    size, has_more = 0, True
    while has_more:
        event = await receive()
        size += len(event.get("body", b""))
        has_more = event.get("more_body", False)
    body = str(size).encode()
    await send({**START, "headers": [(b"content-length", str(len(body)).encode())]})
    await send({"type": "http.response.body", "body": body})


async def rsgi(scope: Any, protocol: Any) -> None:
    if scope.path == "/post":
        protocol.response_str(200, RSGI_HEADERS, str(len(await protocol())))
    else:
        protocol.response_bytes(200, RSGI_HEADERS, BODY)


def wsgi(environ: Any, start_response: Any) -> list[bytes]:
    if environ["PATH_INFO"] == "/post":
        body = str(len(environ["wsgi.input"].read(int(environ["CONTENT_LENGTH"])))).encode()
        start_response("200 OK", [("Content-Type", "text/plain"), ("Content-Length", str(len(body)))])
        return [body]
    start_response("200 OK", WSGI_HEADERS)
    return [BODY]
