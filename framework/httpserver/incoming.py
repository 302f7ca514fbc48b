"""The body of the request at hand while it arrives: buffered, or handed on to the application's receiver."""

from collections.abc import Awaitable

from framework.errors import ProtocolError
from framework.http1 import ChunkedBody, LengthBody
from framework.httpserver.bodies import Bodies, BufferedBody
from framework.request import BodyReceiver, HTTPRequest


class IncomingBody:
    """Takes input, and has `request` complete with its body when `is_done`."""

    __slots__ = (
        "_bodies",
        "_buffered",
        "_decoder",
        "is_waiting",
        "keep_alive",
        "max_body_bytes",
        "receiver",
        "request",
        "timeout_s",
    )

    def __init__(self, request: HTTPRequest, content_length: int | None, bodies: Bodies) -> None:
        """`content_length` is None for a chunked body."""
        limits = bodies.limits
        self.request = request
        self.max_body_bytes = limits.max_body_bytes
        self.timeout_s = limits.body_timeout_s
        self.receiver: BodyReceiver | None = None
        self.keep_alive = True  # what the connection's keep_alive will be once the body is there
        self.is_waiting = False  # for the receiver, or for the other connections' turn
        self._bodies = bodies
        self._buffered: BufferedBody | None = None  # from its first bytes on, if that was not all
        self._decoder: LengthBody | ChunkedBody
        if content_length is None:
            self._decoder = ChunkedBody(limits.max_body_bytes, limits.max_trailer_bytes)
        else:
            self._decoder = LengthBody(content_length)

    def check_size(self) -> None:
        """Return if the body announced is not too large.

        Raises:
            ProtocolError: 413, if it is; as Bodies.check, if it is to be buffered.
        """
        decoder = self._decoder
        if isinstance(decoder, ChunkedBody):
            decoder.max_body_bytes = self.max_body_bytes
        elif decoder.remaining > self.max_body_bytes:
            raise ProtocolError(f"body: expected at most {self.max_body_bytes} bytes", 413)
        elif self.receiver is None:
            # Nothing is reserved: whoever announces much and sends nothing would else keep the others out.
            self._bodies.check(decoder.remaining, decoder.remaining)

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
            ProtocolError: as ChunkedBody.read; 503, if there is no room for a body that is buffered.
        """
        piece, position = self._decoder.read(data, position)
        if self.receiver is not None:
            if piece:
                return position, self.receiver.data_received(piece)
        elif self._decoder.is_done and self._buffered is None:
            self.request.body = piece
        elif piece or self._decoder.is_done:
            if self._buffered is None:
                self._buffered = BufferedBody(self._bodies)
            self._buffered.add(piece)
            if self._decoder.is_done:
                self.request.body = self._buffered.complete()
        return position, None

    def end(self) -> None:
        """Let go of what is buffered; to be called whatever becomes of the body."""
        if self._buffered is not None:
            self._buffered.end()
