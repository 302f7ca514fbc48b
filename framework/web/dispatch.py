"""The life of a request within a handler: method, XSRF check, prepare, verb, finish.

A plain `def` runs as a plain call. The first thing that has to be waited for turns the rest into a coroutine, which is
begun at once in an eager task (Python 3.12): one that never really waits never meets the loop.
"""

import asyncio
import inspect
from collections.abc import Awaitable, Callable, Coroutine
from contextvars import copy_context
from types import CoroutineType
from typing import TYPE_CHECKING, Any

from framework.ioloop import exception_handler
from framework.log import app_log, request_id
from framework.request import HTTPRequest
from framework.web.errors import HTTPError
from framework.web.handler import RequestHandler, verbs_of
from framework.web.routing import Match, decode_group
from framework.web.xsrf import SAFE_METHODS

if TYPE_CHECKING:
    from framework.web.application import Application

type Verb = Callable[..., Any]

_new_handler: Callable[[type[RequestHandler]], RequestHandler] = object.__new__


class Plan:
    """What of a handler class matters to each request; found out once per class and application."""

    __slots__ = ("has_prepare", "is_bare", "quick_verbs", "verbs")

    def __init__(self, handler_class: type[RequestHandler], checks_xsrf: bool, has_transforms: bool) -> None:
        self.verbs = verbs_of(handler_class)
        self.has_prepare = handler_class.prepare is not RequestHandler.prepare
        # Nothing has to be called to make a handler; see RequestHandler.__init__.
        self.is_bare = handler_class.__init__ is RequestHandler.__init__ and not handler_class._has_start_hooks
        self.is_bare = self.is_bare and not has_transforms
        has_own_finish = handler_class.finish is not RequestHandler.finish
        is_quick = not (self.has_prepare or checks_xsrf or handler_class._is_watching_close or has_own_finish)
        self.quick_verbs = {name: verb for name, verb in self.verbs.items() if is_quick and is_simple(verb)}


class Route:
    """What a path resolves to: a class with its plan and settings, and the groups of the path."""

    __slots__ = (
        "args",
        "calls",
        "handler_class",
        "is_bare",
        "is_encoded",
        "is_plain",
        "kwargs",
        "path_kwargs",
        "quick_verbs",
        "verbs",
    )

    def __init__(self, match: Match, plan: Plan) -> None:
        self.handler_class: type[RequestHandler] = match.target
        self.kwargs = match.kwargs
        self.is_bare = plan.is_bare and not match.kwargs
        self.verbs = plan.verbs
        # Groups that are no UTF-8, or that the class decodes itself, stay encoded and are decoded per request.
        self.is_encoded = self.handler_class._is_decode_overridden
        self.args = match.args
        self.path_kwargs = match.path_kwargs
        if not self.is_encoded and (match.args or match.path_kwargs):
            try:
                self.args = tuple(decode_group(group) for group in match.args)
                self.path_kwargs = {name: decode_group(group) for name, group in match.path_kwargs.items()}
            except UnicodeDecodeError:
                self.is_encoded = True
        # Nothing stands between the request and its verb.
        self.is_plain = not plan.has_prepare and not self.is_encoded
        self.quick_verbs = plan.quick_verbs if not self.is_encoded and not self.path_kwargs else {}
        self.calls: dict[str, Callable[[HTTPRequest], None]] = {}  # by method, each made when it is first wanted


def make_call(application: "Application", route: Route, method: str) -> Callable[[HTTPRequest], None]:
    """What answers the requests of a route by one of its quick verbs: nothing stands before it, or comes after it.

    A function of its own, so that whoever holds it asks neither for the route nor what kind it is. It does not hold the
    route, which holds it: routes come and go with the paths that strangers ask for, and none is for the collector.
    """
    handler_class, kwargs, is_bare, rules = route.handler_class, route.kwargs, route.is_bare, application._rules
    verb = route.quick_verbs[method]
    if route.args:
        verb = _with_args(verb, route.args)

    def answer(request: HTTPRequest) -> None:
        if application._rules is not rules:
            application(request)
            return
        handler = None
        try:
            if is_bare:
                # As RequestHandler.__init__, without the call.
                handler = _new_handler(handler_class)
                handler.application = application
                handler.request = request
                handler._write_buffer = None
                handler._finished = False
            else:
                handler = handler_class(application, request, **kwargs)
            waiting = verb(handler)
            if waiting is not None:
                go_on(handler, waiting)
            elif handler._auto_finish and not handler._finished:
                handler._complete()
        except Exception as error:
            (handler or RequestHandler(application, request)).handle_exception(error)

    route.calls[method] = answer
    return answer


def _with_args(verb: Verb, args: tuple[str | None, ...]) -> Verb:
    def verb_with_args(handler: RequestHandler) -> Any:
        handler.path_args = args
        return verb(handler, *args)

    return verb_with_args


def is_simple(verb: Verb) -> bool:
    """Whether a verb has no decorators: what it does is done when it returns, or when its coroutine does."""
    return inspect.isfunction(verb) and not hasattr(verb, "__wrapped__")


def execute(handler: RequestHandler, route: Route) -> None:
    """Run the request to its end, or to where it waits."""
    if handler._finished:
        return
    # Whatever is asked of the loop from here on knows whose error its error is.
    token = exception_handler.set(handler.handle_exception)
    try:
        if route.is_plain and handler.request.method in route.verbs and not handler.application.checks_xsrf:
            handler.path_args = route.args
            if route.path_kwargs:
                handler.path_kwargs = dict(route.path_kwargs)
        else:
            waiting = check_and_prepare(handler, route)
            if waiting is not None:
                start(handler, _after_prepare(handler, waiting, route))
                return
            if handler._finished:
                return
        call_verb(handler, route)
    except Exception as error:
        handler.handle_exception(error)
    finally:
        exception_handler.reset(token)


def check_and_prepare(handler: RequestHandler, route: Route) -> Any:
    """All that comes before the verb. What prepare() returned, to be waited for, or None.

    Raises:
        HTTPError: 405 for a method that the class does not answer, 400 for a path that is no UTF-8, 403 by XSRF check.
    """
    if handler.request.method not in route.verbs:
        raise HTTPError(405)
    handler.path_args, handler.path_kwargs = _decoded_groups(handler, route)
    if handler.application.checks_xsrf:
        if handler.request.method not in SAFE_METHODS:
            handler.check_xsrf_cookie()
        handler.give_xsrf_cookie()
    return handler.prepare()


def _decoded_groups(handler: RequestHandler, route: Route) -> tuple[tuple[str | None, ...], dict[str, str | None]]:
    if not route.is_encoded:
        return route.args, dict(route.path_kwargs)
    args = tuple(handler.decode_path_argument(group) for group in route.args)
    return args, {name: handler.decode_path_argument(group, name) for name, group in route.path_kwargs.items()}


def call_verb(handler: RequestHandler, route: Route) -> None:
    """Call the verb; finish the answer when it is done, if it is not @asynchronous."""
    if handler._is_watching_close:
        handler.request.connection.set_close_callback(handler.on_connection_close)
    verb = route.verbs[handler.request.method]
    if handler.path_kwargs:
        waiting = verb(handler, *handler.path_args, **handler.path_kwargs)
    else:
        waiting = verb(handler, *handler.path_args)
    if waiting is not None:
        go_on(handler, waiting)
    elif handler._auto_finish and not handler._finished:
        handler.finish()


def go_on(handler: RequestHandler, waiting: Any) -> None:
    """Go on when what the verb returned is done."""
    if type(waiting) is CoroutineType or isinstance(waiting, Awaitable):
        start(handler, _after_verb(handler, waiting))
        return
    kind = type(waiting).__name__
    app_log.warning("%s: the %s that the verb returned is dropped; write() it", handler._summary(), kind)
    if handler._auto_finish and not handler._finished:
        handler.finish()


def start(handler: RequestHandler, coroutine: Coroutine[Any, Any, None]) -> None:
    """Begin the coroutine at once; keep its task until it is done."""
    try:
        loop = asyncio.get_running_loop()
    except RuntimeError:
        copy_context().run(_run_without_loop, coroutine)
        return
    task = asyncio.Task(coroutine, loop=loop, eager_start=True)
    if not task.done():
        # The loop itself holds tasks weakly.
        running = handler.application.running
        running.add(task)
        task.add_done_callback(running.discard)


def _run_without_loop(coroutine: Coroutine[Any, Any, None]) -> None:
    """Run a coroutine that never really waits, as WSGI servers need it; one that does is told that it can't."""
    try:
        coroutine.send(None)
        coroutine.throw(RuntimeError("there is no loop here (WSGI?), so nothing can be waited for"))
    except StopIteration:
        return
    coroutine.close()


async def _after_prepare(handler: RequestHandler, waiting: Awaitable[Any], route: Route) -> None:
    if handler.request.trace is not None:
        request_id.set(handler.request.trace[0].decode("latin-1"))
    try:
        await waiting
        if handler._is_watching_close and handler.request.connection.closed:
            # It would never be told, and a verb that waits for others would wait for ever.
            handler._finished = True
        if not handler._finished:
            call_verb(handler, route)
    except Exception as error:
        handler.handle_exception(error)
    except BaseException:
        _abandon(handler)
        raise


async def _after_verb(handler: RequestHandler, waiting: Awaitable[Any]) -> None:
    # The task's own context, which callbacks asked for from here on inherit.
    exception_handler.set(handler.handle_exception)
    if handler.request.trace is not None:
        request_id.set(handler.request.trace[0].decode("latin-1"))
    try:
        await waiting
        if handler._auto_finish and not handler._finished:
            handler.finish()
    except Exception as error:
        handler.handle_exception(error)
    except BaseException:
        _abandon(handler)
        raise


def _abandon(handler: RequestHandler) -> None:
    """The task was cancelled: a connection without an answer must not look as if one were coming."""
    if not handler._finished:
        handler._finished = True
        handler.request.connection.abort()
