"""Websockets (RFC 6455, with the compression of RFC 7692), both sides.

    class Echo(WebSocketHandler):
        async def on_message(self, message):
            await self.write_message(message)

    connection = await websocket_connect("ws://127.0.0.1:8888/echo")

The rooms: `connection` (an open websocket of either side), `handler` (the server's), `client`. The bytes of frames are
made and read in framework.frames.

The client is imported when somebody asks for it: with it come the HTTP client and libcurl, 4 MB that most frontends
have no use for.
"""

from typing import TYPE_CHECKING

from framework.websocket.connection import Limits, WebSocketClosedError, WebSocketConnection, WebSocketError
from framework.websocket.handler import WebSocketHandler

if TYPE_CHECKING:
    from framework.websocket.client import WebSocketClientConnection, websocket_connect

__all__ = [
    "Limits",
    "WebSocketClientConnection",
    "WebSocketClosedError",
    "WebSocketConnection",
    "WebSocketError",
    "WebSocketHandler",
    "websocket_connect",
]


def __getattr__(name: str) -> object:
    """A name of the client's.

    Raises:
        AttributeError: for any other name.
    """
    if name not in ("WebSocketClientConnection", "websocket_connect"):
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from framework.websocket import client

    return getattr(client, name)
