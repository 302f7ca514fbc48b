"""What a fetch can end with instead of an answer.

HTTPError                  the answer's status is 400 or more, or there is no answer (code 599)
├── CurlError              599: libcurl gave up; `errno` is its number
├── HTTPTimeoutError       599: time ran out; `stage` says where
├── AddressRefusedError    599: the address policy does not allow the `address` that the name led to
├── BodyTooLargeError      599: more bytes than `max_body_bytes`, counted after decompression
└── RedirectError          599: too many redirects, or one to where we do not follow
"""

from typing import TYPE_CHECKING

from framework.errors import FrameworkError
from framework.httputil import responses

if TYPE_CHECKING:
    from framework.httpclient.request import HTTPResponse

NO_RESPONSE = 599


class HTTPError(FrameworkError):
    """A fetch without a good answer. `response` is the answer, or one of code 599 that says what is known."""

    def __init__(self, code: int, message: str | None = None, response: "HTTPResponse | None" = None) -> None:
        self.code = code
        self.message = message or responses.get(code, "Unknown")
        self.response = response
        super().__init__(code, self.message)

    def about(self, response: "HTTPResponse") -> "HTTPError":
        """The same error with this response."""
        twin = type(self).__new__(type(self))
        twin.__dict__.update(self.__dict__)
        twin.args = self.args
        if self.__cause__ is not None:
            twin.__cause__ = self.__cause__
        twin.response = response
        return twin

    def __str__(self) -> str:
        return f"HTTP {self.code}: {self.message}"


HTTPClientError = HTTPError


class CurlError(HTTPError):
    """libcurl gave up; its error number is `errno`."""

    def __init__(self, errno: int, message: str) -> None:
        super().__init__(NO_RESPONSE, message)
        self.errno = errno


class HTTPTimeoutError(HTTPError):
    """Time ran out; `stage` says where, and `elapsed_s` after how many seconds."""

    def __init__(self, stage: str, elapsed_s: float, limit: str) -> None:
        super().__init__(NO_RESPONSE, f"timed out after {elapsed_s:.1f} s {stage} ({limit})")
        self.stage = stage
        self.elapsed_s = elapsed_s


class AddressRefusedError(HTTPError):
    """The address policy does not allow `address`."""

    def __init__(self, host: str, address: str) -> None:
        super().__init__(NO_RESPONSE, f"{host}: the address {address} is not allowed by the address policy")
        self.address = address


class BodyTooLargeError(HTTPError):
    """The body has more bytes than max_body_bytes, after decompression."""

    def __init__(self, max_body_bytes: int) -> None:
        super().__init__(NO_RESPONSE, f"body: expected at most {max_body_bytes} bytes after decompression")


class RedirectError(HTTPError):
    """A redirect that is not followed."""

    def __init__(self, message: str) -> None:
        super().__init__(NO_RESPONSE, message)
