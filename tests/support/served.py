"""An application of ours for tests under foreign servers: `tests.support.served:application` is its ASGI form."""

import asyncio
import os

from framework.asgi import ASGIApplication
from framework.web import Application, HTTPError, RequestHandler, stream_request_body
from framework.websocket import WebSocketHandler

left = []


class Hello(RequestHandler):
    def get(self):
        self.write(f"hello {self.get_argument('name', 'nobody')}")

    def post(self):
        self.write({"length": len(self.request.body), "ip": self.request.remote_ip, "host": self.request.host})


class Slow(RequestHandler):
    async def get(self):
        for number in range(3):
            self.write(f"{number};")
            await self.flush()
            await asyncio.sleep(0)


class Wait(RequestHandler):
    async def get(self):
        await asyncio.Event().wait()

    def on_connection_close(self):
        left.append("left")


class Left(RequestHandler):
    def get(self):
        self.write(str(len(left)))


class Broken(RequestHandler):
    async def get(self):
        raise HTTPError(409)


@stream_request_body
class Upload(RequestHandler):
    def prepare(self):
        self.size = 0

    async def data_received(self, chunk):
        await asyncio.sleep(0)
        self.size += len(chunk)

    def put(self):
        self.write(str(self.size))


class Echo(WebSocketHandler):
    def select_subprotocol(self, subprotocols):
        return subprotocols[-1]

    def get_compression_options(self):
        return {}

    async def on_message(self, message):
        if message == "ping":
            self.ping(b"x")
        elif message == "close":
            self.close(4001, "as you wish")
        else:
            await self.write_message(message)

    def on_pong(self, data):
        self.write_message("pong")

    def on_close(self):
        left.append("closed")


class Refused(WebSocketHandler):
    def prepare(self):
        raise HTTPError(401)


class Living(Application):
    """Says that it was warmed up, and where it was shut down."""

    is_warm = False

    async def warm_up(self):
        self.is_warm = True

    async def shut_down(self):
        path = os.environ.get("SERVED_END")
        if path:
            with open(path, "w") as file:
                file.write(f"warm: {self.is_warm}")


ROUTES = [
    ("/", Hello),
    ("/slow", Slow),
    ("/wait", Wait),
    ("/left", Left),
    ("/broken", Broken),
    ("/upload", Upload),
    ("/echo", Echo),
    ("/refused", Refused),
]
application = ASGIApplication(Living(ROUTES, log_function=lambda handler: None), max_body_bytes=1_000_000)
