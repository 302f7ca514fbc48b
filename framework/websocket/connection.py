"""One open websocket, of either side: frames on a transport, messages to whoever takes them.

Messages are given out one at a time: while the last one is being worked on nothing more is read than what is here, so a
fast sender waits in the kernel. Pings are answered at once all the same, but nothing is answered to who does not read
the answers. Of a flood of tiny messages so many are taken in one go as others can wait for. `on_close` is called once,
at the very end.
"""

import asyncio
import contextvars
import inspect
import socket
from collections import deque
from collections.abc import Callable, Generator, Iterator
from types import CoroutineType
from typing import Any, NamedTuple, Protocol

from framework.errors import FrameworkError
from framework.frames import (
    BINARY,
    PING,
    PONG,
    TEXT,
    Close,
    Compressor,
    Decoder,
    Event,
    FrameError,
    Message,
    Ping,
    Pong,
    encode_close,
    encode_frame,
)
from framework.ioloop import turns_of
from framework.log import app_log, gen_log

_MAX_WAITING_MESSAGES = 16
# 256 KB of the smallest messages, which may come in one read, would keep others waiting for 0.1 s.
_EVENTS_PER_TURN = 64
_MAX_BATCH_BYTES = 65_536
_MIN_COMPRESSED_BYTES = 64  # below this compression gains nothing


class WebSocketError(FrameworkError):
    """Something about a websocket went wrong."""


class WebSocketClosedError(WebSocketError):
    """The websocket is closed: nothing can be sent."""


class Limits(NamedTuple):
    """Bytes, seconds. A reader is cut off beyond `max_unsent_bytes`, or if it takes nothing for `write_timeout_s`."""

    max_message_bytes: int = 10 * 1024 * 1024
    max_unsent_bytes: int = 16 * 1024 * 1024
    ping_interval_s: float = 0.0
    ping_timeout_s: float = 0.0
    close_timeout_s: float = 5.0
    write_timeout_s: float = 60.0


class Taker(Protocol):
    """Who is told what happens."""

    def take_open(self) -> Any:
        """It is open; what is returned, if awaitable, is waited for before the first message."""

    def take_message(self, data: str | bytes) -> Any:
        """A message; what is returned, if awaitable, is waited for before the next."""

    def take_ping(self, data: bytes) -> None:
        """A ping, answered already."""

    def take_pong(self, data: bytes) -> None:
        """A pong."""

    def take_end(self) -> Any:
        """The websocket is closed; called once. What is returned, if awaitable, is run to its end."""

    def take_error(self, error: Exception) -> None:
        """One of the calls above failed; the websocket closes with 1011."""


class Sent:
    """What sending returns. Awaiting it waits until the peer has taken enough; mostly it has already (None).

    Raises:
        WebSocketClosedError: (when awaited) it was closed meanwhile.
    """

    __slots__ = ("_connection",)

    def __init__(self, connection: "WebSocketConnection | None") -> None:
        self._connection = connection

    def __await__(self) -> Generator[Any]:
        return _NOTHING if self._connection is None else self._connection.drain().__await__()


_NOTHING: Generator[Any] = (nothing for nothing in iter(list[Any]()))
_SENT = Sent(None)


class WebSocketConnection(asyncio.Protocol):
    """An open websocket."""

    def __init__(
        self, taker: Taker, is_client: bool, limits: Limits, decoder: Decoder, compressor: Compressor | None
    ) -> None:
        self.close_code: int | None = None
        self.close_reason: str | None = None
        self.is_closing = False  # no more messages go out
        self._taker = taker
        self._is_client = is_client
        self._limits = limits
        self._decoder = decoder
        self._compressor = compressor
        self._transport: asyncio.Transport | None = None
        self._loop = asyncio.get_running_loop()
        self._messages: deque[str | bytes] = deque()
        self._working: asyncio.Future[Any] | None = None
        self._events: Iterator[Event] | None = None  # of what is here, those that had no turn or no room yet
        self._ahead = bytearray()  # what came all the same
        self._batch: list[bytes] | None = None  # frames that go out together, while events are taken
        self._batch_bytes = 0
        self._has_turn = False  # one is awaited
        self._is_reading_paused = False
        self._has_ended = False
        self._is_lost = False
        self._drained: asyncio.Event | None = None
        self._write_timer: asyncio.TimerHandle | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._is_alive = True  # something came since the last ping
        # Of whoever makes it; all hooks run in it.
        self._context = contextvars.copy_context()

    def start(self, transport: asyncio.Transport, ahead: bytes) -> None:
        """Begin on a transport whose handshake is done; `ahead` are bytes that were read behind it."""
        self._transport = transport
        transport.set_protocol(self)
        if self._limits.ping_interval_s:
            self._timer = self._loop.call_later(self._limits.ping_interval_s, self._send_ping)
        self._wait_for(self._call(self._taker.take_open))
        if transport.is_closing() and not self.is_closing:
            self.connection_lost(None)
        elif ahead:
            self.data_received(ahead)

    # ---- what the transport tells us

    def data_received(self, data: bytes) -> None:
        self._is_alive = True
        if self._events is not None:
            self._ahead += data
            # A transport that is new may begin to read though it was told to pause.
            if self._is_reading_paused and self._transport is not None and not self._transport.is_closing():
                self._transport.pause_reading()
            return
        if self._working is None and self._drained is None and not self.is_closing:
            # The way of most messages: nothing is under way, and this is one.
            message = self._decoder.take_whole(data)
            if message is not None:
                self._give(message)
                return
        if not self._has_ended:
            self._events = self._decoder.feed(data)
            self._take_events()
            self._work()

    def eof_received(self) -> bool:
        return False

    def pause_writing(self) -> None:
        if self._drained is None:
            self._drained = asyncio.Event()
            self._await_progress()

    def _await_progress(self) -> None:
        """Cut the connection unless the peer takes something in time; it is not read from, so no ping can tell."""
        unsent_bytes = self._transport.get_write_buffer_size() if self._transport is not None else 0
        self._write_timer = self._loop.call_later(self._limits.write_timeout_s, self._check_progress, unsent_bytes)

    def _check_progress(self, unsent_bytes: int) -> None:
        if self._transport is not None and self._transport.get_write_buffer_size() >= unsent_bytes:
            gen_log.info("websocket: cut off a reader that takes nothing")
            self._transport.abort()
        else:
            self._await_progress()

    def resume_writing(self) -> None:
        if self._write_timer is not None:
            self._write_timer.cancel()
            self._write_timer = None
        drained, self._drained = self._drained, None
        if drained is not None:
            drained.set()
            self._work()

    def connection_lost(self, exc: Exception | None) -> None:
        self._is_lost = self.is_closing = True
        self._events = None
        if self.close_code is None:
            self.close_code = 1006  # RFC 6455 §7.1.5: closed without a close frame
        self.resume_writing()
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        self._work()

    # ---- events

    def _take_events(self) -> None:
        """Take as many as a turn allows, and as there is room for; `_work` sees to the others."""
        events = self._events
        if events is None:
            return
        # A small frame costs the transport as much as a large one, in time and, if it can't be sent, in memory.
        self._batch = []
        try:
            for _ in range(_EVENTS_PER_TURN):
                if self._drained is not None or len(self._messages) >= _MAX_WAITING_MESSAGES:
                    return
                event = next(events, None)
                if event is None:
                    self._events = None
                    return
                self._take_event(event)
        except FrameError as error:
            self._events = None
            gen_log.info("websocket: %d %s", error.code, error)
            self._fail(error.code, str(error))
        finally:
            self._flush()
            self._batch = None

    def _take_turn(self) -> None:
        self._has_turn = False
        self._take_events()
        if self._events is None and self._ahead and not self._has_ended:
            ahead, self._ahead = self._ahead, bytearray()
            self._events = self._decoder.feed(bytes(ahead))
        self._work()

    def _take_event(self, event: Event) -> None:
        if isinstance(event, Message):
            if self.is_closing:
                return
            if self._working is None:
                self._give(event.data)
            else:
                self._messages.append(event.data)
        elif isinstance(event, Ping):
            if not self.is_closing:
                self._send(encode_frame(PONG, event.data, self._is_client))
            self._call(self._taker.take_ping, event.data)
        elif isinstance(event, Pong):
            self._call(self._taker.take_pong, event.data)
        else:
            self._take_close(event)

    def _take_close(self, event: Close) -> None:
        if self.close_code is None:
            self.close_code = 1005 if event.code is None else event.code
            self.close_reason = event.reason
        if not self.is_closing:
            self.is_closing = True
            self._send(encode_close(event.code, "", self._is_client))
        # RFC 6455 §7.1.1: the server closes the connection first; the client waits for that, but not for ever.
        if self._is_client:
            self._wait_for_end()
        elif self._transport is not None:
            self._flush()
            self._transport.close()
            self._wait_for_end()

    def _fail(self, code: int, reason: str) -> None:
        """Close without waiting for the peer's word: it can't be trusted to have one (RFC 6455 §7.1.7)."""
        if self.close_code is None:
            self.close_code, self.close_reason = code, reason
        if not self.is_closing:
            self.is_closing = True
            self._send(encode_close(code, reason, self._is_client))
        if self._transport is not None:
            self._flush()
            self._transport.close()
            self._wait_for_end()

    def _wait_for_end(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
        if not self._is_lost:
            self._timer = self._loop.call_later(self._limits.close_timeout_s, self.abort)

    def abort(self) -> None:
        """Cut the connection."""
        if self._transport is not None:
            self._transport.abort()

    # ---- messages

    def _work(self) -> None:
        """Give out what has arrived, one after the other, and then, if it is so, the end."""
        while self._working is None and self._messages:
            self._give(self._messages.popleft())
        self._read_on_or_pause()
        if self._working is not None:
            return
        if self._is_lost and not self._has_ended:
            self._has_ended = True
            self._wait_for(self._call(self._taker.take_end))
            if self._working is None:
                self._let_go()

    def _let_go(self) -> None:
        """They know us, too: nothing should be left for the garbage collector."""
        del self._taker, self._context

    def _read_on_or_pause(self) -> None:
        has_room = self._drained is None and len(self._messages) < _MAX_WAITING_MESSAGES
        if self._events is not None and has_room and not self._has_turn:
            self._has_turn = True
            turns_of(self._loop).wait(self._take_turn)
        is_to_pause = self._events is not None or not has_room
        transport = self._transport
        if is_to_pause == self._is_reading_paused or transport is None or transport.is_closing():
            return
        self._is_reading_paused = is_to_pause
        if is_to_pause:
            transport.pause_reading()
        else:
            transport.resume_reading()

    def _give(self, message: str | bytes) -> None:
        try:
            waiting = self._context.run(self._taker.take_message, message)
        except Exception as error:
            self._blame(error)
            return
        if waiting is not None:
            self._wait_for(waiting)

    def _wait_for(self, waiting: Any) -> None:
        """Let an asynchronous hook begin at once; often it is done without ever waiting."""
        if type(waiting) is CoroutineType:
            working: asyncio.Future[Any] = asyncio.Task(
                waiting, loop=self._loop, eager_start=True, context=self._context
            )
        elif inspect.isawaitable(waiting):
            working = asyncio.ensure_future(waiting)
        else:
            return
        if working.done():
            self._settle(working)
        else:
            self._working = working
            working.add_done_callback(self._is_done)

    def _is_done(self, working: "asyncio.Future[Any]") -> None:
        self._working = None
        self._settle(working)
        if self._has_ended:
            self._let_go()
        else:
            self._work()

    def _settle(self, working: "asyncio.Future[Any]") -> None:
        error = None if working.cancelled() else working.exception()
        if isinstance(error, Exception):
            self._blame(error)

    def _call(self, function: Callable[..., Any], *arguments: Any) -> Any:
        try:
            return self._context.run(function, *arguments)
        except Exception as error:
            self._blame(error)
            return None

    def _blame(self, error: Exception) -> None:
        self._messages.clear()
        if not (isinstance(error, WebSocketClosedError) and self.is_closing):
            try:
                self._taker.take_error(error)
            except Exception:
                app_log.exception("websocket: the error's handler failed")
        if not self._is_lost:
            self._fail(1011, "")

    # ---- what the application calls

    def send_message(self, data: str | bytes) -> Sent:
        """Send a message; awaiting the result waits for a slow reader.

        Raises:
            WebSocketClosedError: it is closed, or closing.
        """
        if self.is_closing:
            raise WebSocketClosedError("the websocket is closed")
        if isinstance(data, str):
            opcode, payload = TEXT, data.encode()
        else:
            opcode, payload = BINARY, bytes(data)
        if self._compressor is not None and len(payload) >= _MIN_COMPRESSED_BYTES:
            frame = encode_frame(opcode, self._compressor.compress(payload), self._is_client, is_compressed=True)
        else:
            frame = encode_frame(opcode, payload, self._is_client)
        self._send(frame)
        return _SENT if self._drained is None and not self._is_lost else Sent(self)

    def send_ping(self, data: bytes = b"") -> None:
        """Send a ping of at most 125 bytes.

        Raises:
            WebSocketClosedError: it is closed, or closing.
            ValueError: there are more bytes.
        """
        if self.is_closing:
            raise WebSocketClosedError("the websocket is closed")
        if len(data) > 125:
            raise ValueError(f"ping: expected at most 125 bytes, got {len(data)}")
        self._send(encode_frame(PING, data, self._is_client))

    def close(self, code: int | None = None, reason: str | None = None) -> None:
        """Send a close frame and wait, within bounds, for the peer's."""
        if self.is_closing:
            return
        self.is_closing = True
        self._send(encode_close(1000 if code is None and reason else code, reason or "", self._is_client))
        self._wait_for_end()

    def set_nodelay(self, value: bool) -> None:
        """Turn Nagle's algorithm off or on, where the connection is TCP: a unix socket has none.

        Raises:
            WebSocketClosedError: it is closed.
        """
        if self._is_lost or self._transport is None:
            raise WebSocketClosedError("the websocket is closed")
        found = self._transport.get_extra_info("socket")
        if found is not None and found.family in (socket.AF_INET, socket.AF_INET6):
            found.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, int(value))

    async def drain(self) -> None:
        """Return when the peer has taken enough of what was sent.

        Raises:
            WebSocketClosedError: it is closed.
        """
        if self._drained is not None:
            await self._drained.wait()
        if self._is_lost:
            raise WebSocketClosedError("the websocket is closed")

    def _send(self, frame: bytes) -> None:
        transport = self._transport
        if transport is None or self._is_lost or transport.is_closing():
            return
        if self._batch is None:
            self._write(transport, frame)
            return
        self._batch.append(frame)
        self._batch_bytes += len(frame)
        if self._batch_bytes >= _MAX_BATCH_BYTES:
            self._flush()

    def _flush(self) -> None:
        if self._batch:
            data = b"".join(self._batch)
            self._batch.clear()
            self._batch_bytes = 0
            if self._transport is not None and not (self._is_lost or self._transport.is_closing()):
                self._write(self._transport, data)

    def _write(self, transport: asyncio.Transport, data: bytes) -> None:
        transport.write(data)
        # The transport has said so before more than a little waits.
        if self._drained is not None and transport.get_write_buffer_size() > self._limits.max_unsent_bytes:
            gen_log.info("websocket: cut off a reader with %d unread bytes", transport.get_write_buffer_size())
            transport.abort()

    def _send_ping(self) -> None:
        self._timer = None
        if self.is_closing:
            return
        self._is_alive = False
        self._send(encode_frame(PING, b"", self._is_client))
        self._timer = self._loop.call_later(
            self._limits.ping_timeout_s or self._limits.ping_interval_s, self._check_alive
        )

    def _check_alive(self) -> None:
        self._timer = None
        # Who is not read from can't show that it lives.
        if not self._is_alive and not self._is_reading_paused:
            gen_log.info("websocket: no sign of life after a ping")
            self.close_reason = "ping timed out"
            self.abort()
            return
        self._timer = self._loop.call_later(self._limits.ping_interval_s, self._send_ping)
