"""Websockets (RFC 6455, with the compression of RFC 7692), both sides.

    class Echo(WebSocketHandler):
        async def on_message(self, message):
            await self.write_message(message)

    connection = await websocket_connect("ws://127.0.0.1:8888/echo")

The rooms: `connection` (an open websocket of either side), `handler` (the server's), `client`. The bytes of frames are
made and read in framework.frames.
"""

from framework.websocket.client import WebSocketClientConnection, websocket_connect
from framework.websocket.connection import Limits, WebSocketClosedError, WebSocketConnection, WebSocketError
from framework.websocket.handler import WebSocketHandler

__all__ = [
    "Limits",
    "WebSocketClientConnection",
    "WebSocketClosedError",
    "WebSocketConnection",
    "WebSocketError",
    "WebSocketHandler",
    "websocket_connect",
]
