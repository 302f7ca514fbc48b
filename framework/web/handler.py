"""RequestHandler: what applications subclass. Its parts stand in their own rooms; here they meet the life of a request.

Responder (output)  ◄─ CookieJar (cookiejar) ◄─ Xsrf (xsrf) ◄─ Users (authentication) ◄─ Rendering (rendering)
Arguments (arguments)  ◄──────────────────────┘

__init__ ─► initialize ─► [XSRF check] ─► prepare ─► get, post, … ─► finish ─► on_finish       (dispatch)
"""

import functools
import inspect
from collections.abc import Callable, Mapping
from types import MappingProxyType, TracebackType
from typing import TYPE_CHECKING, Any, ClassVar, Concatenate

from framework.errors import ProtocolError
from framework.escape import xhtml_escape
from framework.log import app_log, gen_log
from framework.request import HTTPRequest
from framework.web.debug import debug_page
from framework.web.errors import Finish, HTTPError
from framework.web.heads import is_unsafe, reason_phrase
from framework.web.rendering import Rendering

if TYPE_CHECKING:
    from framework.web.application import Application


# Hooks whose answer is needed at once. A coroutine would be taken for a user, a locale or a "yes", or never run.
_PLAIN_HOOKS = (
    *("set_default_headers", "initialize", "get_current_user", "get_user_locale", "get_login_url", "get_template_path"),
    *(
        "get_template_namespace",
        "check_xsrf_cookie",
        "decode_argument",
        "compute_etag",
        "write_error",
        "get_error_html",
    ),
    *("log_exception", "on_connection_close", "on_finish", "check_origin", "select_subprotocol"),
)


class RequestHandler(Rendering):
    """Answers one request. A subclass defines get(), post() and so on, as `def` or as `async def`."""

    SUPPORTED_METHODS: ClassVar[tuple[str, ...]] = ("GET", "HEAD", "POST", "DELETE", "PATCH", "PUT", "OPTIONS")

    path_args: tuple[str | None, ...] = ()
    path_kwargs: Mapping[str, str | None] = MappingProxyType({})

    _has_start_hooks = False
    _is_watching_close = False
    _streams_body = False

    def __init__(self, application: "Application", request: HTTPRequest, **kwargs: Any) -> None:
        self.application = application
        self.request = request
        # dispatch.make_call does these four itself for the plainest handlers.
        self._write_buffer = None
        self._finished = False
        if application.transforms:
            self._transforms = [transform(request) for transform in application.transforms]
            self._is_common = self._is_untouched = False
        if self._has_start_hooks or kwargs:
            self._set_up(kwargs)

    def __init_subclass__(cls, **kwargs: Any) -> None:
        """Find out once which hooks the class overrides: those that it does not are never called.

        Raises:
            TypeError: one that can't wait is `async def`.
        """
        super().__init_subclass__(**kwargs)
        for name in _PLAIN_HOOKS:
            if inspect.iscoroutinefunction(getattr(cls, name, None)):
                raise TypeError(f"{cls.__name__}.{name}() is async def, and nothing waits for it; prepare() may wait")
        base = RequestHandler
        cls._route_name = cls.__name__
        cls._has_default_headers = cls.set_default_headers is not base.set_default_headers
        cls._has_start_hooks = cls._has_default_headers or cls.initialize is not base.initialize
        cls._has_epilogue = cls.on_finish is not base.on_finish
        cls._is_watching_close = cls.on_connection_close is not base.on_connection_close
        cls._is_decode_overridden = cls.decode_argument is not base.decode_argument
        etag_hooks = ("compute_etag", "set_etag_header", "check_etag_header")
        cls._is_common = cls._is_untouched = all(getattr(cls, name) is getattr(base, name) for name in etag_hooks)

    def _set_up(self, kwargs: dict[str, Any]) -> None:
        if self._has_default_headers:
            self.set_default_headers()
        # "Finished" makes every kind of output fail, at no cost to handlers without initialize().
        self._finished = self._is_initializing = True
        self.initialize(**kwargs)
        self._finished = self._is_initializing = False

    @property
    def settings(self) -> dict[str, Any]:
        """The application's settings."""
        return self.application.settings

    def require_setting(self, name: str, feature: str = "this feature") -> Any:
        """The value of a setting.

        Raises:
            ConfigurationError: it is not set.
        """
        return self.application.require_setting(name, feature)

    # ---- hooks, in the order of their calls

    # `*args: Any, **kwargs: Any` lets a subclass take what parameters it likes, in the eyes of mypy and pyright.

    def initialize(self, *args: Any, **kwargs: Any) -> None:
        """Hook: takes the route's third element as keywords. It may not produce output."""
        if kwargs:
            raise TypeError(f"{type(self).__name__} has no initialize() to take {sorted(kwargs)}")

    def prepare(self) -> Any:
        """Hook: called before every verb. If it finishes the answer, the verb is not called. May be `async def`."""

    def _unanswered(self, *args: Any, **kwargs: Any) -> Any:
        """Hook: answers this method; takes the groups of the path, and may be `async def`. Undefined, it is a 405.

        Raises:
            HTTPError: 405, always.
        """
        raise HTTPError(405)

    get = head = post = put = patch = delete = _unanswered

    def options(self, *args: Any, **kwargs: Any) -> Any:
        """Answers which verbs there are; override it for more, or set headers for it in prepare()."""
        self.set_status(204)
        self.set_header("Allow", ", ".join(verbs_of(type(self))))

    def data_received(self, chunk: bytes) -> Any:
        """Hook of @stream_request_body: a piece of the body. May be `async def`: nothing more is read meanwhile."""

    def on_connection_close(self) -> None:
        """Hook: the client went away before the answer was complete. Behind a proxy it may be called late or never."""

    # ---- errors

    def send_error(self, status_code: int = 500, **kwargs: Any) -> None:
        """Finish with an error page. `exc_info` (or the exception being handled) and `reason` go to write_error.

        If the head is out already, the connection is cut, so that the client can't take the part for the whole.
        """
        if self._is_initializing:
            raise RuntimeError(self._why_not("send_error()"))
        if self._headers_written:
            gen_log.error("%s: error %d after the headers were sent", self._summary(), status_code)
            if not self._finished:
                self._finished = True
                self._status_code = status_code
                self.request.connection.abort()
                self.application.log_request(self)
                self.on_finish()
            return
        allow = (self._extra or {}).get("allow")
        self.clear()
        reason = kwargs.get("reason")
        error = kwargs["exc_info"][1] if kwargs.get("exc_info") else None
        if isinstance(error, HTTPError):
            reason = error.reason or reason
        if status_code == 405:
            # RFC 9110 §15.5.6: it must say which methods there are.
            self.set_header("Allow", allow[1] if allow else ", ".join(verbs_of(type(self))))
        if reason is not None and is_unsafe(reason):
            app_log.error("%s: a reason with control characters is not sent: %r", self._summary(), reason)
            reason = None
        self.set_status(status_code, reason)
        if status_code not in (204, 304):
            try:
                self.write_error(status_code, **kwargs)
            except Exception:
                app_log.exception("%s: write_error() failed", self._summary())
        if not self._finished:
            self.finish()

    def write_error(self, status_code: int, **kwargs: Any) -> None:
        """Hook: write the error page. `kwargs["exc_info"]` is there if an exception is the reason.

        The default calls get_error_html where it is overridden (the hook of 2011), shows developers the traceback if
        the setting `serve_traceback` or `debug` is on, and says no more than status and phrase otherwise.
        """
        exc_info = kwargs.get("exc_info")
        error = exc_info[1] if exc_info else None
        is_shown = self.settings.get("serve_traceback", self.settings.get("debug"))
        if error is not None and is_shown and type(self).get_error_html is RequestHandler.get_error_html:
            self.finish(debug_page(self, status_code, error))
        else:
            self.finish(self.get_error_html(status_code, **{"exception": error, **kwargs}))

    def get_error_html(self, status_code: int, **kwargs: Any) -> str:
        """Hook of 2011: an error page as text. `exception` is the exception if one is the reason."""
        # The phrase may come from the application, and through it from the client (CVE-2025-67724).
        title = xhtml_escape(f"{status_code}: {reason_phrase(status_code, self._reason)}")
        return f"<html><title>{title}</title><body>{title}</body></html>"

    def log_exception(
        self, typ: type[BaseException] | None, value: BaseException | None, tb: TracebackType | None
    ) -> None:
        """Hook: log an exception that ends the request: an HTTPError in one line, anything else with its traceback."""
        if isinstance(value, HTTPError):
            if value.log_message:
                gen_log.warning("%d %s: %s", value.status_code, self._summary(), value.get_message())
        elif isinstance(value, ProtocolError):
            gen_log.info("%d %s: %s", value.status, self._summary(), value)
        elif typ is not None and value is not None:
            app_log.error("Uncaught exception %s", self._summary(), exc_info=(typ, value, tb))

    def handle_exception(self, error: BaseException) -> bool:
        """End the request as the exception says; True, for it is dealt with then."""
        if isinstance(error, Finish):
            if not self._finished:
                self.finish(*error.args)
            return True
        if isinstance(error, ConnectionResetError) and self.request.connection.closed:
            # The client left while we wrote to it: nobody's error, and nobody to tell.
            self._finished = True
            return True
        exc_info = (type(error), error, error.__traceback__)
        try:
            self.log_exception(*exc_info)
        except Exception:
            app_log.exception("%s: log_exception() failed", self._summary())
        if self._finished:
            return True
        if isinstance(error, HTTPError):
            self.send_error(error.status_code, exc_info=exc_info)
        elif isinstance(error, ProtocolError):
            self.send_error(error.status, exc_info=exc_info)
        else:
            self.send_error(500, exc_info=exc_info)
        return True

    def async_callback[**P](self, callback: Callable[P, Any] | None, *args: Any, **kwargs: Any) -> Any:
        """The callback with these arguments bound. Of 2011: errors of callbacks find their request without it."""
        if callback is None:
            return None
        return functools.partial(callback, *args, **kwargs) if args or kwargs else callback


def verbs_of(handler_class: type[RequestHandler]) -> dict[str, Callable[..., Any]]:
    """The methods that the class defines, by the HTTP method that each answers; get() answers HEAD as well."""
    named = {name: getattr(handler_class, name.lower(), None) for name in handler_class.SUPPORTED_METHODS}
    verbs = {name: verb for name, verb in named.items() if verb not in (None, RequestHandler._unanswered)}
    if "GET" in verbs:
        verbs.setdefault("HEAD", verbs["GET"])
    return verbs


def asynchronous[H: RequestHandler, **P](method: Callable[Concatenate[H, P], Any]) -> Callable[Concatenate[H, P], Any]:
    """The method, after whose return the request stays open until self.finish() is called.

    With an `async def` it changes nothing that `async def` would not: the request ends with the coroutine.
    """

    @functools.wraps(method)
    def started(self: H, /, *args: P.args, **kwargs: P.kwargs) -> Any:
        self.application.refuse_under_wsgi("@asynchronous")
        self._auto_finish = False
        result = method(self, *args, **kwargs)
        # A 2011 method may return what a call of today returns (a Task of authorize_redirect, say): not ours to await.
        if hasattr(result, "cr_frame"):
            self._auto_finish = True
            return result
        return None

    return started
