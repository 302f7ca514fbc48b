"""The body of the request at hand while it arrives: buffered, or handed on to the application's receiver."""

from collections.abc import Awaitable

from framework.errors import ProtocolError
from framework.http1 import ChunkedBody, LengthBody
from framework.httpserver.limits import Limits
from framework.request import BodyReceiver, HTTPRequest


class IncomingBody:
    """Takes input, and has `request` complete with its body when `is_done`."""

    __slots__ = (
        "_buffer",
        "_decoder",
        "is_waiting",
        "keep_alive",
        "max_body_bytes",
        "receiver",
        "request",
        "timeout_s",
    )

    def __init__(self, request: HTTPRequest, content_length: int | None, limits: Limits) -> None:
        """`content_length` is None for a chunked body."""
        self.request = request
        self.max_body_bytes = limits.max_body_bytes
        self.timeout_s = limits.body_timeout_s
        self.receiver: BodyReceiver | None = None
        self.keep_alive = True  # what the connection's keep_alive will be once the body is there
        self.is_waiting = False  # for the receiver, or for the other connections' turn
        self._buffer = bytearray()
        self._decoder: LengthBody | ChunkedBody
        if content_length is None:
            self._decoder = ChunkedBody(limits.max_body_bytes, limits.max_trailer_bytes)
        else:
            self._decoder = LengthBody(content_length)

    def check_size(self) -> None:
        """Return if the body announced is not too large.

        Raises:
            ProtocolError: 413, if it is.
        """
        decoder = self._decoder
        if isinstance(decoder, ChunkedBody):
            decoder.max_body_bytes = self.max_body_bytes
        elif decoder.remaining > self.max_body_bytes:
            raise ProtocolError(f"body: expected at most {self.max_body_bytes} bytes", 413)

    @property
    def is_done(self) -> bool:
        """Whether the whole body has been taken."""
        return self._decoder.is_done

    @property
    def needs_input(self) -> bool:
        """Whether `take` can do nothing before more bytes arrive; else it stopped for the sake of others."""
        return self._decoder.needs_input

    def take(self, data: bytes, position: int) -> tuple[int, Awaitable[None] | None]:
        """The position up to which `data` was used, and what to wait for before the next call.

        Raises:
            ProtocolError: as ChunkedBody.read.
        """
        piece, position = self._decoder.read(data, position)
        if self.receiver is not None:
            if piece:
                return position, self.receiver.data_received(piece)
        elif self._decoder.is_done and not self._buffer:
            self.request.body = piece
        else:
            self._buffer += piece
            if self._decoder.is_done:
                self.request.body = bytes(self._buffer)
                self._buffer = bytearray()
        return position, None
