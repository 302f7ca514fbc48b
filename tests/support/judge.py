"""What a connection makes of bytes, whatever the pieces they come in: the verdict of the conformance and fuzz tests."""

import asyncio

from framework.httpserver import Connection, HTTPServer
from tests.support.memory import MemoryTransport


class Judge:
    """Feeds bytes to connections of one server and notes what the application saw."""

    def __init__(self, **limits):
        self.loop = asyncio.new_event_loop()
        self.seen = []
        self.server = HTTPServer(self._answer, io_loop=self.loop, **limits)

    def _answer(self, request):
        self.seen.append([request.method, request.uri, request.body.decode("latin-1")])
        end = b"" if request.connection.keep_alive else b"Connection: close\r\n"
        request.connection.answer(b"HTTP/1.1 200 OK\r\n%bContent-Length: 0\r\n\r\n" % end)

    def verdict(self, pieces):
        """Requests seen, status of the refusal or None, and whether the connection waits for more of a request."""
        self.seen = []
        connection = Connection(self.server)
        transport = MemoryTransport(connection)
        connection.connection_made(transport)
        for piece in pieces:
            if transport.is_closed:
                break
            connection.data_received(piece)
            if connection._incoming is not None and connection._incoming.is_waiting:
                self._let_it_go_on()
        if connection._input:
            self._let_it_go_on()
        statuses = [int(line[9:12]) for line in transport.sent.split(b"\r\n") if line.startswith(b"HTTP/1.1 ")]
        refusals = [status for status in statuses if status >= 400]
        assert statuses.count(200) == len(self.seen) and refusals in ([], statuses[-1:])
        is_waiting = bool(connection._input) or connection._incoming is not None
        transport.close()
        return self.seen, refusals[0] if refusals else None, is_waiting

    def _let_it_go_on(self):
        """Give the turns that a connection took from itself in favour of others."""
        for _ in range(4):
            self.loop.call_soon(self.loop.stop)
            self.loop.run_forever()

    def close(self):
        self.loop.close()
