"""What a handler raises to end its request.

HTTPError                 answer with this status
└── MissingArgumentError  400: an argument without default was not sent
Finish                    stop here; what was written is the answer
"""

from framework.errors import FrameworkError
from framework.web.heads import reason_phrase


class HTTPError(FrameworkError):
    """Ends the request with an error page of this status.

    `log_message` (with `args` for its %-placeholders) goes to the log and never to the client; `reason` replaces the
    status code's usual phrase.
    """

    def __init__(
        self, status_code: int = 500, log_message: str | None = None, *args: object, reason: str | None = None
    ) -> None:
        super().__init__(status_code, log_message)
        self.status_code = status_code
        self.log_message = log_message
        self.args = args
        self.reason = reason

    def get_message(self) -> str:
        """The log message with its arguments in place; empty if there is none."""
        if not self.log_message:
            return ""
        return self.log_message % self.args if self.args else self.log_message

    def __str__(self) -> str:
        line = f"HTTP {self.status_code}: {reason_phrase(self.status_code, self.reason)}"
        message = self.get_message()
        return f"{line} ({message})" if message else line


class MissingArgumentError(HTTPError):
    """400: the request lacks the argument `arg_name`, which has no default."""

    def __init__(self, arg_name: str) -> None:
        super().__init__(400, f"Missing argument {arg_name}")
        self.arg_name = arg_name


class Finish(FrameworkError):
    """Ends the request without an error: what was written so far (or the one argument) is the answer."""
