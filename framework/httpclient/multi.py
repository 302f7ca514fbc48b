"""libcurl's many transfers at once, on an asyncio loop: it says which descriptors and which timer it wants watched."""

import asyncio
from collections.abc import Callable
from typing import Any

import pycurl

type Done = Callable[[int, str], None]


class Multi:
    """Runs curl handles. Connections are kept and reused among all of them, and so are answers of the DNS."""

    def __init__(self, loop: asyncio.AbstractEventLoop, max_connections_kept: int) -> None:
        self._loop = loop
        self._timer: asyncio.Handle | None = None
        self._watched: dict[int, int] = {}
        self._transfers: dict[Any, Done] = {}
        self._is_acting = False
        self._multi = pycurl.CurlMulti()
        self._multi.setopt(pycurl.M_SOCKETFUNCTION, self._watch)
        self._multi.setopt(pycurl.M_TIMERFUNCTION, self._set_timer)
        self._multi.setopt(pycurl.M_MAXCONNECTS, max_connections_kept)

    def add(self, curl: Any, done: Done) -> None:
        """Begin the transfer; `done(errno, message)` is called at its end, errno 0 for a good one."""
        self._transfers[curl] = done
        if self._is_acting:
            # A streaming or header callback started another fetch: libcurl takes no calls from within its own.
            self._loop.call_soon(self._add, curl)
        else:
            self._multi.add_handle(curl)

    def _add(self, curl: Any) -> None:
        if curl in self._transfers:
            self._multi.add_handle(curl)

    def remove(self, curl: Any) -> None:
        """End a transfer early, without a word; not to be called from within libcurl."""
        if self._transfers.pop(curl, None) is not None:
            self._multi.remove_handle(curl)

    def resume(self, curl: Any) -> None:
        """Go on with a transfer that paused itself; not to be called from within libcurl."""
        if curl in self._transfers:
            self._is_acting = True
            try:
                curl.pause(pycurl.PAUSE_CONT)
            finally:
                self._is_acting = False
            self._act(pycurl.SOCKET_TIMEOUT, 0)

    def close(self) -> None:
        """End all transfers and close all connections."""
        if self._is_acting:
            self._loop.call_soon(self.close)
            return
        for curl in list(self._transfers):
            self.remove(curl)
        self._multi.close()
        for fd in list(self._watched):
            self._unwatch(fd)
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        # Its callbacks know us and we know it: a cycle that nobody has to find now.
        del self._multi

    # ---- what libcurl asks for

    def _watch(self, what: int, fd: int, multi: Any, data: Any) -> None:
        before = self._watched.get(fd, 0)
        wanted = 0 if what == pycurl.POLL_REMOVE else what
        if wanted & pycurl.POLL_IN and not before & pycurl.POLL_IN:
            self._loop.add_reader(fd, self._act, fd, pycurl.CSELECT_IN)
        elif before & pycurl.POLL_IN and not wanted & pycurl.POLL_IN:
            self._loop.remove_reader(fd)
        if wanted & pycurl.POLL_OUT and not before & pycurl.POLL_OUT:
            self._loop.add_writer(fd, self._act, fd, pycurl.CSELECT_OUT)
        elif before & pycurl.POLL_OUT and not wanted & pycurl.POLL_OUT:
            self._loop.remove_writer(fd)
        if wanted:
            self._watched[fd] = wanted
        else:
            self._watched.pop(fd, None)

    def _unwatch(self, fd: int) -> None:
        self._watch(pycurl.POLL_REMOVE, fd, None, None)

    def _set_timer(self, timeout_ms: int) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if timeout_ms == 0:
            self._timer = self._loop.call_soon(self._on_timer)
        elif timeout_ms > 0:
            self._timer = self._loop.call_later(timeout_ms / 1000, self._on_timer)

    def _on_timer(self) -> None:
        self._timer = None
        self._act(pycurl.SOCKET_TIMEOUT, 0)

    def _act(self, fd: int, mask: int) -> None:
        self._is_acting = True
        try:
            _, running = self._multi.socket_action(fd, mask)
        finally:
            self._is_acting = False
        if running < len(self._transfers):
            self._collect()

    def _collect(self) -> None:
        """Tell those whose transfer has ended."""
        more = 1
        while more:
            more, good, bad = self._multi.info_read()
            ended = [(curl, 0, "") for curl in good] + bad
            for curl, errno, message in ended:
                done = self._transfers.pop(curl, None)
                if done is not None:
                    self._multi.remove_handle(curl)
                    done(errno, message)
            if not hasattr(self, "_multi"):
                return  # one of them closed the client


def share_cookies() -> Any:
    """What curl handles share their cookies by."""
    share = pycurl.CurlShare()
    share.setopt(pycurl.SH_SHARE, pycurl.LOCK_DATA_COOKIE)
    return share
