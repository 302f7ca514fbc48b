"""An application: routes, settings, and one call: an HTTPRequest in, the answer out through its connection."""

import functools
import inspect
import logging
import re
from asyncio import Task
from collections.abc import Callable, Iterable, Mapping
from types import ModuleType
from typing import TYPE_CHECKING, Any, cast

from framework import metrics
from framework.errors import FrameworkError
from framework.log import AccessLog, Answered, access_log
from framework.options import enable_pretty_logging
from framework.request import BodyReceiver, HTTPRequest
from framework.template import BaseLoader
from framework.web.builtin import ErrorHandler, FallbackHandler, RedirectHandler
from framework.web.dispatch import Plan, Route, execute, make_call
from framework.web.handler import RequestHandler
from framework.web.modules import TemplateModule, UIModule
from framework.web.routing import Match, ReverseError, RouteSpec, RouteTable, host_name
from framework.web.static import StaticFileHandler
from framework.web.streaming import StreamedBody
from framework.web.transforms import GZipContentEncoding, OutputTransform, as_transform

if TYPE_CHECKING:
    from framework.httpserver import HTTPServer

# Targets come from strangers: what is remembered of them has an end.
_MAX_ROUTES_KEPT = 1024
_MAX_KEY_LENGTH = 256
_SOCKET_OPTIONS = ("family", "backlog", "flags", "reuse_port", "defer_accept_s")


class ConfigurationError(FrameworkError):
    """A setting is missing or wrong; the message names it."""


class Application:
    """Routes and settings. Callable with an HTTPRequest, as the server wants it.

    `handlers` are the rules of framework.web.routing: `(pattern, class[, settings[, name]])`, `url(...)`, nested lists.
    Settings are keywords, each with a default; names that are not in this list are the application's own:

        debug                       for a developer's machine: the next four as they are wanted there
        autoreload                  start anew when the code changes (False)
        serve_traceback             show tracebacks in the browser (False)
        compiled_template_cache     keep templates (True)
        static_hash_cache           keep the versions of static files (True)
        template_path               folder of templates; None: beside the Python file that renders
        template_loader             a loader of your own
        autoescape                  function that values in templates go through; None for none ("xhtml_escape")
        template_whitespace         all, single or oneline; by the template's name
        ui_modules, ui_methods      module, dict or list of those, with UIModule classes; with functions of a handler
        static_path                 folder of static files, served below the prefix; /robots.txt and /favicon.ico too
        static_url_prefix           "/static/"
        static_version_length       characters of a file's version in its address (10)
        static_handler_class        a StaticFileHandler of your own, with static_handler_args
        cookie_secret               signs cookies: one, a list (the first signs), or key version to secret
        key_version                 which of several secrets signs
        signed_cookie_min_version   1 to read cookies of Tornado 1.x as well (2)
        xsrf_cookies                demand the token of POST, PUT, PATCH and DELETE (False)
        xsrf_cookie_name            "_xsrf"; with xsrf_cookie_kwargs (its attributes) and xsrf_cookie_version (2)
        login_url                   where @authenticated sends those it does not know
        compress_response, gzip     compress text (False); with compress_level (6), compress_min_length (1024 bytes)
        default_handler_class       what answers where no route does, with default_handler_args
        log_function                called with each handler that has answered, in place of the access log
        websocket_ping_interval     seconds (0: no pings); with websocket_ping_timeout (as the interval)
        websocket_max_message_size  bytes (10 MiB)
    """

    def __init__(
        self,
        handlers: Iterable[RouteSpec] | None = None,
        default_host: str = "",
        transforms: Iterable[type] | None = None,
        wsgi: bool = False,
        **settings: Any,
    ) -> None:
        self.settings = settings
        self.default_host = default_host
        self.running: set[Task[None]] = set()
        self.is_wsgi = wsgi
        self._access_log: AccessLog | None = None
        self.quick_log: AccessLog | None = None
        # What a request costs: an append here. Metrics and log make of it what they want, later and many at a time.
        self.notes: list[Answered] = metrics.answered
        self.transforms: list[Callable[[HTTPRequest], OutputTransform]] = list(map(as_transform, transforms or ()))
        if transforms is None and (settings.get("compress_response") or settings.get("gzip")):
            self.transforms.append(
                functools.partial(
                    GZipContentEncoding,
                    level=settings.get("compress_level", GZipContentEncoding.LEVEL),
                    min_length=settings.get("compress_min_length", GZipContentEncoding.MIN_LENGTH),
                )
            )
        if settings.get("debug"):
            for name in ("autoreload", "serve_traceback"):
                settings.setdefault(name, True)
            for name in ("compiled_template_cache", "static_hash_cache"):
                settings.setdefault(name, False)
        self.checks_xsrf = bool(settings.get("xsrf_cookies"))
        self.ui_modules: dict[str, type[UIModule]] = {"Template": TemplateModule}
        self.ui_methods: dict[str, Callable[..., Any]] = {}
        self._load_ui(settings.get("ui_modules"), settings.get("ui_methods"))
        self._loaders: dict[str, BaseLoader] = {}
        self.static_handler_class: type[StaticFileHandler] = settings.get("static_handler_class", StaticFileHandler)

        # Another object whenever the rules change: who remembers what came of them sees by it that it is out of date.
        self._rules = object()
        # Known answers of the tables: by path, or by host and path where hosts make a difference.
        self._routes: dict[str, Route] = {}
        self._routes_of_hosts: dict[str, Route] = {}
        self._plans: dict[type[RequestHandler], Plan] = {}
        self._table = RouteTable(handlers or ())
        self._has_handlers = handlers is not None
        self._hosts: list[tuple[re.Pattern[str], RouteTable]] = []
        self._static_table = RouteTable(self._static_rules())

    def _static_rules(self) -> list[RouteSpec]:
        path = self.settings.get("static_path")
        if not path:
            return []
        prefix = re.escape(self.settings.get("static_url_prefix", "/static/"))
        kwargs = {**self.settings.get("static_handler_args", {}), "path": path}
        patterns = (prefix + "(.*)", r"/(favicon\.ico)", r"/(robots\.txt)")
        return [(pattern, self.static_handler_class, kwargs) for pattern in patterns]

    # ---- a request

    def __call__(self, request: HTTPRequest) -> None:
        """Answer the request, now or when what it waits for is there."""
        route = self._routes.get(request.path)
        if route is None:
            route = self._routes_of_hosts.get(request.host + request.path) or self._find(request)
        method = request.method
        if method in route.quick_verbs:
            call = route.calls.get(method) or make_call(self, route, method)
            call(request)
        else:
            execute(self._make_handler(route, request), route)

    def find_call(self, method: str, host: str, path: str) -> Callable[[HTTPRequest], None] | None:
        """What may be called with requests of that method, host and path in this application's place, if anything."""
        route = self._known_route(host, path)
        # Whoever overrides or patches the call wants to see every request.
        if route is None or type(self).__call__ is not _own_call or method not in route.quick_verbs:
            return None
        return route.calls.get(method) or make_call(self, route, method)

    def streams_body(self, host: str, path: str) -> bool:
        """False if a body for that path is surely not taken while it arrives, so that nobody need ask body_receiver."""
        route = self._known_route(host, path)
        return route is None or route.handler_class._streams_body

    def body_receiver(self, request: HTTPRequest) -> BodyReceiver | None:
        """Who takes this request's body while it arrives; None: it is buffered, and the application called with it."""
        route = self._known_route(request.host, request.path) or self._find(request)
        if not route.handler_class._streams_body:
            return None
        # An answer of prepare() leaves the body where the next request would stand: the connection closes after it. The
        # server sees to later ones itself; whether it keeps the connection in the end is not known before the body's.
        connection = request.connection
        is_kept, connection.keep_alive = connection.keep_alive, False
        body = StreamedBody(self._make_handler(route, request), route)
        connection.keep_alive = is_kept
        return body

    def _known_route(self, host: str, path: str) -> Route | None:
        return self._routes_of_hosts.get(host + path) if self._hosts else self._routes.get(path)

    def _make_handler(self, route: Route, request: HTTPRequest) -> RequestHandler:
        """A new handler for the request; if it could not be made, one that has said so already."""
        try:
            return route.handler_class(self, request, **route.kwargs)
        except Exception as error:
            handler = RequestHandler(self, request)
            handler.handle_exception(error)
            return handler

    def find_handler(self, request: HTTPRequest) -> Match:
        """What answers this request: the first rule that fits, or the one for requests that none fits."""
        found = self._static_table.find(request)
        host = host_name(request)
        is_host_known = self._has_handlers
        for pattern, table in self._hosts:
            if found is None and self._is_meant(pattern, host, request):
                is_host_known = True
                found = table.find(request)
        found = found or self._table.find(request)
        if found is not None:
            return found
        if not is_host_known and self.default_host and host != self.default_host:
            return Match(RedirectHandler, {"url": f"{request.protocol}://{self.default_host}/"})
        if "default_handler_class" in self.settings:
            return Match(self.settings["default_handler_class"], self.settings.get("default_handler_args", {}))
        return Match(ErrorHandler, {"status_code": 404})

    def _is_meant(self, pattern: re.Pattern[str], host: str, request: HTTPRequest) -> bool:
        if pattern.fullmatch(host):
            return True
        # Without a proxy in front (a developer's machine) an unknown name may stand for the default one.
        is_direct = self.default_host and request.find_header(b"x-real-ip") is None
        return bool(is_direct and pattern.fullmatch(self.default_host))

    def _find(self, request: HTTPRequest) -> Route:
        match = self.find_handler(request)
        if not inspect.isclass(match.target):
            match = Match(FallbackHandler, {"fallback": match.target})
        plan = self._plans.get(match.target)
        if plan is None:
            plan = self._plans[match.target] = Plan(match.target, self.checks_xsrf, bool(self.transforms))
        route = Route(match, plan)
        key = request.host + request.path if self._hosts else request.path
        tables = [self._static_table, self._table, *(table for _, table in self._hosts)]
        # Which host stands for the default one depends on a header: see _is_meant.
        is_path_all = all(table.is_by_path for table in tables) and not (self._hosts and self.default_host)
        if is_path_all and match.target is not ErrorHandler and len(key) <= _MAX_KEY_LENGTH:
            routes = self._routes_of_hosts if self._hosts else self._routes
            if len(routes) >= _MAX_ROUTES_KEPT:
                # All at once: what is in use is back after one request each, and there is nothing to keep in order.
                routes.clear()
            routes[key] = route
        return route

    @property
    def access_log(self) -> AccessLog | None:
        """Lines in batches; the runner sets it. Without it each line goes through the logger `framework.access`.

        Lines of JSON hold the X-Request-ID that nginx gave the request, which finds it in nginx's log.
        """
        return self._access_log

    @access_log.setter
    def access_log(self, access_log: AccessLog | None) -> None:
        self._access_log = access_log
        is_ours = type(self).log_request is Application.log_request and "log_function" not in self.settings
        self.quick_log = access_log if is_ours else None
        self.notes = metrics.answered
        if access_log is not None and is_ours:
            self.notes = access_log.lines
            metrics.count_flushed(access_log)

    def begin_notes(self) -> None:
        """Called before the first of a batch of notes."""
        if self.quick_log is not None:
            self.quick_log.begin_batch()

    def log_request(self, handler: RequestHandler) -> None:
        """Hook: write the access log's line for an answer; the setting `log_function` takes its place."""
        log_function = self.settings.get("log_function")
        if log_function is not None:
            log_function(handler)
            return
        status = handler._status_code
        request = handler.request
        log = access_log.info if status < 400 else access_log.warning if status < 500 else access_log.error
        log("%d %s %.2fms", status, handler._summary(), 1000.0 * request.request_time())

    # ---- set-up

    def add_handlers(self, host_pattern: str, host_handlers: Iterable[RouteSpec]) -> None:
        """Add rules for the hosts that the pattern matches. They go before the rules for all hosts."""
        self._forget_routes()
        if host_pattern in (".*", ".*$"):
            self._has_handlers = True
            self._table.add(host_handlers)
        else:
            self._hosts.append((re.compile(host_pattern, re.IGNORECASE), RouteTable(host_handlers)))

    def add_transform(self, transform_class: type) -> None:
        """Have every answer pass through this transform, after those there are."""
        self.transforms.append(as_transform(transform_class))
        self._plans.clear()
        self._forget_routes()

    def _forget_routes(self) -> None:
        self._rules = object()
        self._routes.clear()
        self._routes_of_hosts.clear()

    def reverse_url(self, name: str, *args: object, **kwargs: object) -> str:
        """The path of the route with this name and these values in its groups.

        Raises:
            ReverseError: (a KeyError) there is no such route.
        """
        for table in (self._table, *(table for _, table in self._hosts)):
            if name in table.named:
                return table.reverse(name, *args, **kwargs)
        raise ReverseError(f"{name} not found in named urls")

    def require_setting(self, name: str, feature: str = "this feature") -> Any:
        """The value of a setting.

        Raises:
            ConfigurationError: it is not set.
        """
        value = self.settings.get(name)
        if not value:
            raise ConfigurationError(f"{name} is not set; {feature} needs it: Application(…, {name}=…)")
        return value

    def refuse_under_wsgi(self, feature: str) -> None:
        """Nothing, unless this application answers WSGI requests.

        Raises:
            ConfigurationError: WSGI, which has no way to answer later.
        """
        if self.is_wsgi:
            raise ConfigurationError(f"{feature} is not possible under WSGI")

    def template_loader(self, path: str, handler: RequestHandler) -> BaseLoader:
        """The loader for a folder of templates, made by the handler's create_template_loader when first asked for."""
        loader = self._loaders.get(path)
        if loader is None:
            loader = self._loaders[path] = handler.create_template_loader(path)
        if not self.settings.get("compiled_template_cache", True):
            loader.reset()
        return loader

    def _load_ui(self, modules: Any, methods: Any) -> None:
        for name, found in _named(modules):
            if inspect.isclass(found) and issubclass(found, UIModule):
                self.ui_modules[name] = found
        for name, found in _named(methods):
            if not name.startswith("_") and callable(found) and name[0].lower() == name[0]:
                self.ui_methods[name] = found

    def listen(self, port: int, address: str = "", **kwargs: Any) -> "HTTPServer":
        """Serve this application on a port; the loop is for you to start. With `debug`, requests show in the log.

        The keywords are those of netutil.bind_sockets (family, backlog, reuse_port, …) and of HTTPServer.
        """
        from framework.httpserver import HTTPServer

        options = {name: kwargs.pop(name) for name in _SOCKET_OPTIONS if name in kwargs}
        server = HTTPServer(self, **kwargs)
        server.listen(port, address, **options)
        if self.settings.get("debug") and not logging.getLogger().handlers:
            # Who has not set the log up sees no requests, and the rest without its time.
            enable_pretty_logging()
        if self.settings.get("autoreload"):
            from framework import autoreload

            autoreload.start()
        return server


_own_call = Application.__call__


def _named(given: Any) -> Iterable[tuple[str, Any]]:
    """Names and objects of a module, a mapping, or a list of those."""
    if given is None:
        return []
    if isinstance(given, ModuleType):
        return list(vars(given).items())
    if isinstance(given, Mapping):
        return list(cast("Mapping[str, Any]", given).items())
    return [pair for one in given for pair in _named(one)]
