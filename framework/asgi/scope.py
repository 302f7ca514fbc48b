"""A request in ASGI's words. Pure functions."""

from typing import Any
from urllib.parse import unquote_to_bytes

from framework.request import HTTPRequest

Scope = dict[str, Any]
Pairs = list[tuple[bytes, bytes]]

# Raises OSError in send() when the client is gone (spec 2.4).
VERSION = {"version": "3.0", "spec_version": "2.4"}


def read_headers(raw_head: bytes) -> Pairs:
    """Names in small letters, and values, in the order in which they came; `raw_head` has passed the parser."""
    pairs = []
    for line in raw_head.split(b"\r\n")[1:-2]:
        name, _, value = line.partition(b":")
        pairs.append((name.lower(), value.strip(b" \t")))
    return pairs


def split_server(host: str, scheme: str) -> tuple[str, int]:
    """Name and port of a Host header; without a port, that of the scheme."""
    name, colon, port = host.rpartition(":")
    if colon and port.isdigit() and not host.endswith("]"):
        return name, int(port)
    return host, 443 if scheme in ("https", "wss") else 80


def make_scope(request: HTTPRequest, kind: str, state: dict[str, Any]) -> Scope:
    """The scope of a request; `kind` is "http" or "websocket"."""
    path = request.path
    scheme = request.protocol if kind == "http" else "wss" if request.protocol == "https" else "ws"
    return {
        "type": kind,
        "asgi": VERSION,
        "http_version": request.version[5:],
        "method": request.method,
        "scheme": scheme,
        "path": unquote_to_bytes(path).decode("utf-8", "replace") if "%" in path or not path.isascii() else path,
        "raw_path": path.encode(),
        "query_string": request.query.encode(),
        "root_path": "",
        "headers": read_headers(request.raw_head),
        "client": (request.remote_ip, 0),
        "server": split_server(request.host, request.protocol),
        "state": state.copy(),
    }
