"""The error page for developers: traceback with source, templates too, and the request.

Calls of the framework are folded up: what went wrong is nearly always in the developer's own, which stand open.

Never in production: only the settings `debug` and `serve_traceback` bring it up.
"""

import linecache
import os
import sys
import traceback
from types import FrameType
from typing import TYPE_CHECKING

from framework import version
from framework.escape import xhtml_escape
from framework.web.heads import reason_phrase

if TYPE_CHECKING:
    from framework.web.handler import RequestHandler

_OURS = os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), "")
_CONTEXT_LINES = 4
_SECRET_HEADERS = frozenset(("cookie", "authorization", "proxy-authorization", "x-xsrftoken", "x-csrftoken"))

_STYLE = """
:root { color-scheme: light dark }
body { font: 15px/1.5 system-ui, sans-serif; margin: 2rem auto; max-width: 70rem; padding: 0 1rem }
h1 { font-size: 1.4rem; margin: 0 0 .5rem } h2 { font-size: 1rem; margin: 2rem 0 .5rem }
pre, summary, .where { font: 13px/1.5 ui-monospace, monospace }
summary, .where { color: light-dark(#666, #aaa); margin: 1rem 0 .2rem; overflow-wrap: anywhere }
summary { margin: .3rem 0; cursor: pointer }
pre { background: light-dark(#f6f6f4, #262626); margin: 0; padding: .5rem; overflow-x: auto; border-radius: 4px }
.said { white-space: pre-wrap; overflow-wrap: anywhere; background: light-dark(#fdecea, #4a1f1c) }
mark { background: light-dark(#ffe08a, #6b5200); color: inherit; display: block; width: max-content; min-width: 100% }
table { border-collapse: collapse } td { padding: .1rem 1rem .1rem 0; vertical-align: top; font-size: 13px }
td:first-child { color: light-dark(#666, #aaa); white-space: nowrap } td { overflow-wrap: anywhere }
"""


def debug_page(handler: "RequestHandler", status_code: int, error: BaseException) -> str:
    """An HTML page with the exception, its frames with the lines around, and the request without its secrets."""
    phrase = xhtml_escape(f"{status_code}: {reason_phrase(status_code, handler._reason)}")
    said = xhtml_escape("".join(traceback.format_exception_only(error)).strip())
    frames = "".join(_format_frame(frame, line) for frame, line in traceback.walk_tb(error.__traceback__))
    request = handler.request
    rows = [
        ("request", f"{request.method} {request.uri} {request.version}"),
        ("from", f"{request.remote_ip} ({request.protocol})"),
        ("handler", f"{type(handler).__module__}.{type(handler).__qualname__}"),
        ("groups", f"{handler.path_args} {getattr(handler, 'path_kwargs', {})}"),
    ]
    for name, value in request.headers.get_all():
        rows.append((name, "(not shown)" if name.lower() in _SECRET_HEADERS else value))
    plain = xhtml_escape("".join(traceback.format_exception(error)))
    return (
        f"<!DOCTYPE html><html lang='en'><head><meta charset='utf-8'><title>{phrase}</title>"
        f"<meta name='viewport' content='width=device-width'><style>{_STYLE}</style></head><body>"
        f"<h1>{phrase}</h1><pre class='said'>{said}</pre><h2>Traceback, the last call last</h2>{frames}"
        f"<h2>Request</h2><table>{''.join(_format_row(*row) for row in rows)}</table>"
        f"<h2>As text</h2><pre>{plain}</pre>"
        f"<p class='where'>Squall {version}, Python {sys.version.split()[0]}; shown because debug is on</p>"
        "</body></html>"
    )


def _format_frame(frame: FrameType, line: int) -> str:
    filename = frame.f_code.co_filename
    # A template's generated code is registered with linecache, so its lines are found like any file's.
    lines = linecache.getlines(filename, frame.f_globals)
    shown = []
    for number in range(max(1, line - _CONTEXT_LINES), min(len(lines), line + _CONTEXT_LINES) + 1):
        text = f"{number:5} {xhtml_escape(lines[number - 1].rstrip())}"
        shown.append(f"<mark>{text}</mark>" if number == line else text + "\n")
    where = xhtml_escape(f"{filename}:{line} in {frame.f_code.co_qualname}")
    source = f"<pre>{''.join(shown)}</pre>"
    if filename.startswith(_OURS):
        return f"<details><summary>{where}</summary>{source}</details>"
    return f"<div class='where'>{where}</div>{source}"


def _format_row(name: str, value: str) -> str:
    return f"<tr><td>{xhtml_escape(name)}</td><td>{xhtml_escape(value)}</td></tr>"
