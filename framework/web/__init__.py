"""Handlers, routes, applications.

    class StoryHandler(RequestHandler):
        async def get(self, number):
            self.write({"story": await find_story(int(number))})

    application = Application([(r"/story/([0-9]+)", StoryHandler)], debug=True)
    application.listen(8888)

What a handler can do is in RequestHandler's methods, the settings are in Application's docstring, and docs/guide.md
shows both by example. Read the rooms in this order:

    heads           the head of an answer, as bytes
    errors          what a handler raises to end its request
    routing         which handler answers a path, and the path of a handler
    conditional     entity tags and ranges: values in, decisions out
    transforms      what is done to every answer on its way out
    output          a handler's answer: status, headers, body, and how they get out
    arguments       a handler's request: arguments as text
    cookiejar       a handler's cookies, signed ones too
    xsrf            the token that only our own pages can repeat
    authentication  the current user
    modules         pieces of pages that bring their CSS and JavaScript
    rendering       templates, locale, addresses
    debug           the error page for developers
    handler         RequestHandler, in which these meet
    dispatch        the life of a request within its handler
    builtin         handlers for errors, redirects, other applications
    static          files
    streaming       bodies that are taken while they arrive
    application     routes, settings, and the one call

The names below are those of the seed's `web` and of today's.
"""

from framework.signing import (
    DEFAULT_SIGNED_VALUE_MIN_VERSION,
    DEFAULT_SIGNED_VALUE_VERSION,
    MAX_SUPPORTED_SIGNED_VALUE_VERSION,
    MIN_SUPPORTED_SIGNED_VALUE_VERSION,
    create_signed_value,
    decode_signed_value,
    get_signature_key_version,
)
from framework.web.application import Application, ConfigurationError
from framework.web.authentication import authenticated
from framework.web.builtin import ErrorHandler, FallbackHandler, RedirectHandler, addslash, removeslash
from framework.web.errors import Finish, HTTPError, MissingArgumentError
from framework.web.handler import RequestHandler, asynchronous
from framework.web.modules import TemplateModule, UIModule
from framework.web.routing import AnyMatches, HostMatches, Matcher, PathMatches, ReverseError, Rule, URLSpec, url
from framework.web.static import StaticFileHandler
from framework.web.streaming import stream_request_body
from framework.web.transforms import ChunkedTransferEncoding, GZipContentEncoding, OutputTransform

__all__ = [
    "DEFAULT_SIGNED_VALUE_MIN_VERSION",
    "DEFAULT_SIGNED_VALUE_VERSION",
    "MAX_SUPPORTED_SIGNED_VALUE_VERSION",
    "MIN_SUPPORTED_SIGNED_VALUE_VERSION",
    "AnyMatches",
    "Application",
    "ChunkedTransferEncoding",
    "ConfigurationError",
    "ErrorHandler",
    "FallbackHandler",
    "Finish",
    "GZipContentEncoding",
    "HTTPError",
    "HostMatches",
    "Matcher",
    "MissingArgumentError",
    "OutputTransform",
    "PathMatches",
    "RedirectHandler",
    "RequestHandler",
    "ReverseError",
    "Rule",
    "StaticFileHandler",
    "TemplateModule",
    "UIModule",
    "URLSpec",
    "addslash",
    "asynchronous",
    "authenticated",
    "create_signed_value",
    "decode_signed_value",
    "get_signature_key_version",
    "removeslash",
    "stream_request_body",
    "url",
]
