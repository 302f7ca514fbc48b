"""What WSGI and ASGI applications on our server have in common: answers are counted, and noted in the access log.

Handlers do the same in framework.web.output, where it must cost next to nothing.
"""

from time import perf_counter

from framework import metrics
from framework.log import AccessLog, Answered, access_log
from framework.request import HTTPRequest


class Foreign:
    """Base of the containers. `name` is what metrics call the application; the runner sets `access_log`."""

    access_log: AccessLog | None = None

    def __init__(self, name: str) -> None:
        self.name = name

    def record(self, request: HTTPRequest, status: int) -> None:
        """Count an answer that is complete, and note it in the access log."""
        note = self._note(request, status)
        metrics.answered.append(note)
        if len(metrics.answered) >= metrics.MOST_ANSWERED:
            metrics.count_answered()
        self._log(note)

    def log(self, request: HTTPRequest, status: int) -> None:
        """Note an answer in the access log, which is counted elsewhere."""
        self._log(self._note(request, status))

    def _note(self, request: HTTPRequest, status: int) -> Answered:
        key = self.name, status, request.method, request.uri, request.remote_ip
        return key, request.start_time, perf_counter(), request.trace

    def _log(self, note: Answered) -> None:
        if self.access_log is not None:
            self.access_log.note(note)
            return
        (_, status, method, uri, remote_ip), began, finished, _ = note
        log = access_log.info if status < 400 else access_log.warning if status < 500 else access_log.error
        log("%d %s %s (%s) %.2fms", status, method, uri, remote_ip, 1000 * (finished - began))
