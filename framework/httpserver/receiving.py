"""The part of a connection that takes bodies: buffers them, or hands them to a receiver while they arrive."""

import asyncio
import math

from framework.errors import ProtocolError
from framework.httpserver.calling import Calling
from framework.httpserver.incoming import IncomingBody
from framework.httpserver.outgoing import ANSWER, BODY
from framework.log import app_log


class Receiving(Calling):
    """What stands between a head and its answer, where there is a body."""

    __slots__ = ()

    def _offer_body(self, incoming: IncomingBody) -> None:
        """Ask the application whether it wants the body while it arrives."""
        ask = self._server.body_receiver
        if ask is None:
            return
        is_kept = self.keep_alive
        try:
            incoming.receiver = ask(incoming.request)
        except Exception:
            self._fail(incoming.request)
            return
        if incoming.receiver is not None:
            # Who answers before the body is there cannot know where the next request begins: that answer is the last.
            incoming.keep_alive, self.keep_alive = is_kept, False

    def _take_body(self) -> bool:
        """Whether there is more to do: False if the body is not there, or the application has not answered yet.

        Raises:
            ProtocolError: if the body is to be refused.
        """
        incoming = self._incoming
        if incoming is None or incoming.is_waiting:
            return False
        if incoming.receiver is None and not self._server.is_taking_requests:
            return False
        try:
            self._position, waiting = incoming.take(self._input, self._position)
        except ProtocolError:
            raise
        except Exception:
            self._fail(incoming.request)
            return False
        if self._incoming is None:  # the receiver had enough, and has answered
            if waiting is not None:
                self._task = asyncio.ensure_future(waiting)
            return False
        if waiting is None and not incoming.is_done and not incoming.needs_input:
            incoming.is_waiting = True
            self._pause_reading()
            self._server.turns.wait(self._go_on_with_body)
            return False
        if waiting is not None:
            incoming.is_waiting = True
            self._pause_reading()
            asyncio.ensure_future(waiting).add_done_callback(self._receiver_is_ready)
            return False
        if not incoming.is_done:
            self._watch(incoming.timeout_s)
            return False
        self._complete_body(incoming)
        return self._state <= BODY

    def _receiver_is_ready(self, waiting: "asyncio.Future[None]") -> None:
        incoming = self._incoming
        if waiting.cancelled() or waiting.exception() is not None:
            if incoming is not None:
                self._fail(incoming.request, waiting)
            elif not waiting.cancelled():
                app_log.error("uncaught exception after a body broke off", exc_info=waiting.exception())
            return
        self._go_on_with_body()

    def _go_on_with_body(self) -> None:
        incoming = self._incoming
        if incoming is None:
            return
        incoming.is_waiting = False
        if incoming.is_done:
            self._complete_body(incoming)
        else:
            self._watch(incoming.timeout_s)
        self._advance()
        self._adjust_reading()

    def _complete_body(self, incoming: IncomingBody) -> None:
        self._incoming = None
        self._state = ANSWER
        if incoming.receiver is None:
            self._answer(incoming.request)
            return
        if not self._is_writing_paused:
            self.deadline = math.inf
        self.keep_alive = incoming.keep_alive and self._server.keeps_alive
        try:
            incoming.receiver.body_complete()
        except Exception:
            self._fail(incoming.request)

    def _adjust_reading(self) -> None:
        """Read on exactly if what would be read can be used or at least held."""
        if self._state <= ANSWER:
            is_waiting = self._incoming is not None and self._incoming.is_waiting
            if is_waiting or len(self._input) > self._server.limits.max_pipelined_bytes:
                self._pause_reading()
            else:
                self._resume_reading()

    # ---- what the application calls

    def set_max_body_size(self, max_body_bytes: int) -> None:
        """Allow the body at hand to be as large as this; to be called from body_receiver."""
        if self._incoming is not None:
            self._incoming.max_body_bytes = max_body_bytes

    def set_body_timeout(self, timeout_s: float) -> None:
        """Allow this time between two reads of the body at hand; to be called from body_receiver."""
        if self._incoming is not None:
            self._incoming.timeout_s = timeout_s
