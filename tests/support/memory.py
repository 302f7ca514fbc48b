"""A transport that keeps what is written, so that a connection can be tested without a socket."""

import asyncio

from framework.httpserver import Connection, HTTPServer
from tests.support.rawhttp import hello


class MemoryTransport(asyncio.Transport):
    """Collects output in `sent`. `take` plays a client that reads; without it output piles up if `is_slow`."""

    def __init__(self, protocol, extra=None, is_slow=False):
        super().__init__(extra)
        self.protocol = protocol
        self.sent = b""
        self.is_slow = is_slow
        self.unread = 0
        self.is_reading = True
        self.has_eof = False
        self.is_closed = False
        self.high, self.low = 65536, 16384
        self._is_paused = False

    def set_write_buffer_limits(self, high=None, low=None):
        self.high = 65536 if high is None else high
        self.low = self.high // 4 if low is None else low
        self._maybe_pause()

    def get_write_buffer_size(self):
        return self.unread

    def write(self, data):
        assert not self.is_closed and not self.has_eof, "written after the end"
        self.sent += data
        if self.is_slow:
            self.unread += len(data)
            self._maybe_pause()

    def _maybe_pause(self):
        if self.unread > self.high and not self._is_paused:
            self._is_paused = True
            self.protocol.pause_writing()

    def take(self, count):
        self.unread -= min(count, self.unread)
        if self._is_paused and self.unread <= self.low:
            self._is_paused = False
            self.protocol.resume_writing()

    def pause_reading(self):
        self.is_reading = False

    def resume_reading(self):
        self.is_reading = True

    def can_write_eof(self):
        return True

    def write_eof(self):
        self.has_eof = True

    def is_closing(self):
        return self.is_closed

    def close(self):
        if not self.is_closed:
            self.is_closed = True
            self.protocol.connection_lost(None)

    abort = close


def connect(loop, application=hello, **options):
    """A connection of a server of its own, and its transport."""
    connection = Connection(HTTPServer(application, io_loop=loop, **options))
    transport = MemoryTransport(connection)
    connection.connection_made(transport)
    return connection, transport
