"""socketify (µWebSockets in C++), synchronous handlers: its fastest way."""

from typing import Any

from socketify import App

from tests.benchmarks.peers import content
from tests.benchmarks.peers.applications import address


def hello(response: Any, request: Any) -> None:
    response.end(content.HELLO)


def echo(socket: Any, message: Any, code: Any) -> None:
    socket.send(message, code)


if __name__ == "__main__":
    app = App()
    app.get("/", hello)
    app.ws("/echo", {"message": echo})
    app.listen({"port": address.parse().port, "host": "127.0.0.1"}, lambda config: None)
    app.run()
