"""The root of the framework's exceptions.

    FrameworkError
    ├── ProtocolError      the peer broke a protocol; `status` is the HTTP answer it deserves
    ├── OptionError        options: a setting is unknown, malformed or missing (framework.options.Error)
    └── …                  each module derives its own from here and lists them at its head

What lost: one class per HTTP status. The status is data, not a type.
"""


class FrameworkError(Exception):
    """Root: `except FrameworkError` catches every error raised by the framework and nothing else."""


class ProtocolError(FrameworkError):
    """The peer broke a protocol. `status` is the HTTP status (400 to 599) its request is answered with."""

    def __init__(self, message: str, status: int = 400) -> None:
        super().__init__(message)
        self.status = status
