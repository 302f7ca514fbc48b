"""The request's side of a handler: arguments of query and body, as text."""

import json
import re
from typing import Any, Final, overload
from urllib.parse import unquote_to_bytes

from framework.request import HTTPRequest
from framework.web.errors import HTTPError, MissingArgumentError

# Controls but for tab, line feed and carriage return, which text areas send.
_controls = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f]")


class Required:
    """The type of the default that says: there is none."""


REQUIRED: Final = Required()


class Arguments:
    """Arguments of a request. Names of fields are text; the last value of several wins."""

    request: HTTPRequest
    _is_decode_overridden = False

    @overload
    def get_argument(self, name: str, default: str | Required = ..., strip: bool = ...) -> str: ...
    @overload
    def get_argument[T](self, name: str, default: T, strip: bool = ...) -> str | T: ...
    def get_argument(self, name: str, default: Any = REQUIRED, strip: bool = True) -> Any:
        """The last value of this name in query or body, the default if there is none.

        Raises:
            MissingArgumentError: 400, if there is neither.
            HTTPError: 400, if the value is no UTF-8.
        """
        return self._last(name, default, self.request.arguments, strip)

    def get_arguments(self, name: str, strip: bool = True) -> list[str]:
        """All values of this name in query and body, in their order."""
        return self._all(name, self.request.arguments, strip)

    @overload
    def get_query_argument(self, name: str, default: str | Required = ..., strip: bool = ...) -> str: ...
    @overload
    def get_query_argument[T](self, name: str, default: T, strip: bool = ...) -> str | T: ...
    def get_query_argument(self, name: str, default: Any = REQUIRED, strip: bool = True) -> Any:
        """As get_argument, of the query alone."""
        return self._last(name, default, self.request.query_arguments, strip)

    def get_query_arguments(self, name: str, strip: bool = True) -> list[str]:
        """As get_arguments, of the query alone."""
        return self._all(name, self.request.query_arguments, strip)

    @overload
    def get_body_argument(self, name: str, default: str | Required = ..., strip: bool = ...) -> str: ...
    @overload
    def get_body_argument[T](self, name: str, default: T, strip: bool = ...) -> str | T: ...
    def get_body_argument(self, name: str, default: Any = REQUIRED, strip: bool = True) -> Any:
        """As get_argument, of a form body alone."""
        return self._last(name, default, self.request.body_arguments, strip)

    def get_body_arguments(self, name: str, strip: bool = True) -> list[str]:
        """As get_arguments, of a form body alone."""
        return self._all(name, self.request.body_arguments, strip)

    def get_json(self) -> Any:
        """The value that a JSON body stands for.

        Raises:
            HTTPError: 415, if the body does not call itself JSON; 400, if it is none.
        """
        kind = (self.request.find_header(b"content-type") or b"").partition(b";")[0].strip().lower()
        # A form of another site can send JSON as text/plain, and then no browser asks us whether it may.
        if kind != b"application/json" and not kind.endswith(b"+json"):
            raise HTTPError(415, "expected a body of application/json, got %r", kind)
        try:
            return json.loads(self.request.body)
        except (ValueError, RecursionError):
            raise HTTPError(400, "the body is not JSON") from None

    def decode_argument(self, value: bytes, name: str | None = None) -> str:
        """Hook: the text of an argument's bytes; `name` is None for a positional group of the path.

        Raises:
            HTTPError: 400, if they are no UTF-8.
        """
        try:
            return value.decode()
        except UnicodeDecodeError:
            raise HTTPError(400, "Invalid unicode in %s: %r", name or "url", value[:40]) from None

    def decode_path_argument(self, group: str | None, name: str | None = None) -> str | None:
        """The text of a group of the path, URL-decoded; None if the group took no part in the match."""
        return None if group is None else self.decode_argument(unquote_to_bytes(group), name)

    def _last(self, name: str, default: Any, source: dict[str, list[bytes]], strip: bool) -> Any:
        values = source.get(name)
        if values:
            return self._text(values[-1], name, strip)
        if isinstance(default, Required):
            raise MissingArgumentError(name)
        return default

    def _all(self, name: str, source: dict[str, list[bytes]], strip: bool) -> list[str]:
        return [self._text(value, name, strip) for value in source.get(name, ())]

    def _text(self, value: bytes, name: str, strip: bool) -> str:
        text = _controls.sub(" ", self.decode_argument(value, name))
        return text.strip() if strip else text
