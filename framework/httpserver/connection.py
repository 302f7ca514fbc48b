"""One connection: bytes in, application called, bytes out. The `request.connection` of all its requests.

A connection is in one of these states:

    IDLE       between requests, and free to start the next
    HEAD       between requests, but a head has begun to arrive, or the next request must wait
    BODY       the head is there, its body arrives: it is buffered, or a receiver of the application's takes it
    ALONE      as ANSWER, and nothing waits before or behind the request, and the application was called just now
    ANSWER     the request is with the application, which has not finished the answer
    LINGER     the last answer is written: what still arrives is thrown away until the client closes
    GONE       closed, or taken away by `detach`

One request at a time: pipelined ones wait in `_input`, and beyond a limit in the kernel. Nothing is started while
the client does not read what it got, so neither input nor output grows.
"""

import asyncio
import math
from collections.abc import Callable
from time import perf_counter
from typing import TYPE_CHECKING

from framework.clock import coarse
from framework.errors import ProtocolError
from framework.http1 import (
    Framing,
    HeadReader,
    match_believed_request,
    match_direct_head,
    match_head,
    match_plain_head,
    match_plain_request,
)
from framework.httpserver.incoming import IncomingBody
from framework.httpserver.outgoing import ALONE, ANSWER, BODY, GONE, HEAD, IDLE, LINGER
from framework.httpserver.plain import begin_plain, begin_rarer
from framework.httpserver.receiving import Receiving
from framework.httpserver.targets import Known, resolve_target
from framework.httpserver.xheaders import believe_proxy
from framework.metrics import traffic
from framework.request import HTTPRequest, ReceivedRequest, find_trace

if TYPE_CHECKING:
    from framework.httpserver.server import HTTPServer

# With its type, which mypy does not see for want of an __init__.
_new_request: Callable[[], HTTPRequest] = ReceivedRequest
# A client that pipelines thousands of requests shall not keep the loop from others (measured: 3 us for each).
_STEPS_PER_TURN = 32
_CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"


class Connection(Receiving):
    """What the contract calls `request.connection`, and the transport's protocol: one object for both."""

    __slots__ = ("_head_reader",)

    def __init__(self, server: "HTTPServer") -> None:
        super().__init__(server)
        self._head_reader: HeadReader | None = None

    # ---- what the transport tells us

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        super().connection_made(transport)
        if self._input:
            # It was there when the connection was accepted.
            first, self._input = self._input, b""
            self.data_received(first)
            if self._is_reading_paused:
                self._server.loop.call_soon(self._pause_again)

    def _pause_again(self) -> None:
        """uvloop begins to read when connection_made is over, paused or not."""
        if self._is_reading_paused and not self._transport.is_closing():
            self._transport.pause_reading()

    def data_received(self, data: bytes) -> None:
        size = len(data)
        traffic.received_bytes += size
        # The way of most requests: a plain head that begins as one before it, and the only thing there is.
        if self._state == IDLE:
            server = self._server
            match = match_believed_request(data) if self.is_believed else match_plain_request(data)
            call = server.call
            if match is None:
                request = begin_rarer(self, server, data)
            elif (
                (known := server.find_target(match[1])) is not None
                and match.lastgroup is None
                and size <= server.plain_head_bytes
            ):
                # As begin; the call would cost half a percent of a small answer.
                request = _new_request()
                (
                    request.method,
                    request.uri,
                    request.path,
                    request.query,
                    request.host,
                    request.version,
                    request.is_plain_get,
                    call,
                ) = known
                request.raw_head = data
                request.connection = self
                request.remote_ip = self.remote_ip
                request.protocol = self.protocol
                request.body = b""
                request.trace = None
                request.start_time = perf_counter()
                number = self._requests = self._requests + 1
                if number >= server.most_requests:
                    self.keep_alive = False
                if self.is_believed and match.lastindex != 1:  # more than the first group: what a proxy says
                    believe_proxy(request, match)
            else:
                request = begin_plain(self, server, known, match)
                if self.is_believed and request is not None:
                    believe_proxy(request, match)
            if request is not None:
                self._state = ALONE
                # As _answer, for the same reason.
                try:
                    result = call(request)
                    if result is not None:
                        self._await_application(request, result)
                except Exception:
                    self._fail(request)
                if self._state == ALONE:
                    self.deadline = math.inf
                    self._state = ANSWER
                return
        self._take_more(data)

    def _take_more(self, data: bytes) -> None:
        """Take what is not one plain request, or does not come at the right time for one."""
        if self._state == LINGER:
            # Who still sends has not looked at the answer yet: most clients do when everything is sent.
            self.deadline = min(coarse.now + self._server.limits.linger_s, self._linger_until)
            return
        self._input = self._input + data if self._input else data
        if self._state <= BODY:
            if self._state == IDLE:
                self._state = HEAD
            self._advance()
        if self._input:
            self._adjust_reading()

    def eof_received(self) -> bool:
        self._has_eof = True
        is_held = self._is_writing_paused or not self._server.is_taking_requests
        if self._state == ANSWER:
            # The client may only have closed its side, so the answer may still be wanted; net/http sees it so, too.
            self._call_close_callback()
        elif not (self._state == HEAD and self._input and is_held):
            return False
        if not self._input:
            self.keep_alive = False
        self._watch(self._server.limits.write_timeout_s)
        return True

    def resume_writing(self) -> None:
        super().resume_writing()
        if self._state == HEAD:
            self.deadline = self._server.idle_until
            self._advance()
        elif self._state == ANSWER:
            self.deadline = math.inf

    def pause_writing(self) -> None:
        self.wait()
        super().pause_writing()

    def connection_lost(self, exc: Exception | None) -> None:
        incoming, self._incoming = self._incoming, None
        if self._state != GONE:
            self._end()
        self._input = b""
        self._drop_body(incoming)
        self._call_close_callback()

    def expire(self) -> None:
        """A deadline has passed: the wheel calls this."""
        limits = self._server.limits
        if self._is_writing_paused or self._state == LINGER:
            if self._is_progressing():
                self._watch(limits.write_timeout_s)
            else:
                self.abort()
        elif self._state == ANSWER:
            self.abort()
        elif self._state == BODY:
            if self._incoming is None or self._incoming.is_waiting or not self._server.is_taking_requests:
                self._watch(limits.body_timeout_s)
            else:
                self._refuse(ProtocolError("body: expected more of it in time", 408))
        elif self._state <= HEAD:
            if self._input and not self._server.is_taking_requests:
                self._watch(limits.head_timeout_s)
            elif self._input:
                self._refuse(ProtocolError("head: expected the rest of it in time", 408))
            else:
                self._close_soon()

    # ---- input

    def advance(self) -> None:
        """Go on with the input, as far as it, the application and the client's reading allow."""
        if self._state <= BODY:
            self._advance()

    def wait(self) -> None:
        """Start no request without asking whether that is allowed."""
        if self._state == IDLE:
            self._state = HEAD
        elif self._state == ALONE:
            self._state = ANSWER
            self.deadline = math.inf

    def _advance(self) -> None:
        if self._is_advancing:
            return
        self._is_advancing = True
        try:
            for _ in range(_STEPS_PER_TURN):
                if not (self._take_body() if self._state == BODY else self._state <= HEAD and self._take_head()):
                    break
            else:
                self._server.turns.wait(self.advance)
        except ProtocolError as error:
            self._refuse(error)
        finally:
            self._is_advancing = False
        if self._output is not None:
            self._flush()
        if self._position:
            self._input = self._input[self._position :]
            self._position = 0
        if self._state == HEAD and not (self._input or self._is_writing_paused) and self._server.is_taking_requests:
            self._state = IDLE
        if self._is_reading_paused:
            self._adjust_reading()

    def _take_head(self) -> bool:
        """Whether there is more to do: False if the head is not there, or the application has not answered yet.

        Raises:
            ProtocolError: if the head is to be refused.
        """
        data = self._input
        start = self._position
        server = self._server
        if start == len(data) or self._is_writing_paused or not server.is_taking_requests:
            return False
        if self._head_reader is None:
            # At the start of the input data_received has tried already, unless more follows the head.
            is_tried = start == 0 and not 0 <= data.find(b"\r\n\r\n") < len(data) - 4
            match_short = match_direct_head if self.is_believed else match_plain_head
            plain = None if is_tried else match_short(data, start)
            known = None if plain is None else server.find_target(plain[1])
            if plain is not None and known is not None and (end := plain.end()) - start <= server.plain_head_bytes:
                self._position = end
                request = self.begin(known, data[start:end])
                self._state = ANSWER
                if self._has_eof and end == len(data):
                    self.keep_alive = False
                self._answer(request)
                return self._state <= BODY
        else:
            start = self._position = self._head_reader.skip_empty_lines(data, start)
            if start == len(data) or not self._head_reader.examine(data, start):
                return False
        match = match_head(data, start)
        if match is None:
            return self._look_closer()
        line, method, target, minor, host = match.groups()
        end = self._position = match.end()
        raw_head = data[start:end]
        self._check_sizes(raw_head, target)
        if host is None and minor != b"0":
            raise ProtocolError("Host: expected one, got none")
        resolved = resolve_target(line, method, target, host)
        self._take_framing((*resolved, server.call), raw_head)
        server.targets.remember(line, host, raw_head, resolved)
        return self._state <= BODY

    def _is_last(self) -> bool:
        """Whether the client has closed its side, and this was all that it had to say."""
        return self._has_eof and self._position == len(self._input)

    def begin(self, known: Known, raw_head: bytes) -> HTTPRequest:
        """The request of a head; the connection is its from now on, and the caller sets the state."""
        request = _new_request()
        (
            request.method,
            request.uri,
            request.path,
            request.query,
            request.host,
            request.version,
            request.is_plain_get,
            _,
        ) = known
        request.raw_head = raw_head
        request.connection = self
        request.remote_ip = self.remote_ip
        request.protocol = self.protocol
        request.body = b""
        request.trace = None
        request.start_time = perf_counter()
        number = self._requests = self._requests + 1
        if number >= self._server.most_requests:
            self.keep_alive = False
        return request

    def _look_closer(self) -> bool:
        """As _take_head, after the pattern has not taken the head: it may not be all there."""
        limits = self._server.limits
        if self._head_reader is not None:
            # The pattern refuses this head though each of its lines is fine: better no guess.
            raise ProtocolError("head: malformed")
        self._head_reader = HeadReader(limits.max_head_bytes, limits.max_target_bytes, limits.max_header_fields)
        if self._requests:  # the time for the first head runs since connecting
            self._watch(limits.head_timeout_s)
        return True

    def _check_sizes(self, head: bytes, target: bytes) -> None:
        self._head_reader = None
        if len(head) <= self._server.small_head_bytes:
            return
        limits = self._server.limits
        if len(target) > limits.max_target_bytes:
            raise ProtocolError(f"request line: expected a target of at most {limits.max_target_bytes} bytes", 414)
        if len(head) > limits.max_head_bytes:
            raise ProtocolError(f"head: expected at most {limits.max_head_bytes} bytes", 431)
        if head.count(b"\n") - 2 > limits.max_header_fields:
            raise ProtocolError(f"head: expected at most {limits.max_header_fields} header fields", 431)

    def _take_framing(self, known: Known, raw_head: bytes) -> None:
        """Go on with a head that says more than what is wanted: a body, or something about the connection.

        Raises:
            ProtocolError: if the head is to be refused.
        """
        method = known[0]
        minor = int(known[5][-1])
        framing = Framing(raw_head, minor)
        if method == "CONNECT":
            raise ProtocolError("request line: expected no CONNECT, this is not a proxy", 501)
        request = self.begin(known, raw_head)
        self._state = ANSWER
        request.is_plain_get = False
        request.trace = find_trace(raw_head)
        if self.is_believed:
            self._server.believe_headers(request)
        if framing.close or (minor == 0 and not framing.keep_alive) or self._is_last():
            self.keep_alive = False
        if not framing.is_chunked and not framing.content_length:
            self._answer(request)
            return
        self._state = BODY
        incoming = self._incoming = IncomingBody(request, framing.content_length, self._server.bodies)
        self._offer_body(incoming)
        if self._incoming is None:
            return
        incoming.check_size()
        if framing.expects_continue and self._position == len(self._input) and not self._has_written:
            self._flush()
            self._send(_CONTINUE)

    # ---- what the application calls

    def may_detach(self) -> bool:
        """Whether there is room for one more connection that stays."""
        return self._server.may_hand_over()

    def detach(self) -> tuple[asyncio.Transport, bytes]:
        """Give the socket away, for an upgrade: the transport, and the bytes read ahead. The caller sets a protocol."""
        self._flush()
        ahead = self._input[self._position :]
        self._input = b""
        self._position = 0
        self._close_callback = None
        transport = self._transport
        self._resume_reading()
        self._end()
        self._server.hand_over(transport)
        return transport, ahead
