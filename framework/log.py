"""Three loggers and how they look: one line a record, for people or as JSON; and the access log, off the hot path.

    access_log  one line for each request       `framework.access`
    app_log     what an application got wrong   `framework.application`
    gen_log     everything else                 `framework.general`

A rude client is INFO; ERROR means that someone must act. Nothing is configured by importing this.
"""

import atexit
import json
import logging
import logging.handlers
import os
import re
import stat
import sys
import time
from collections.abc import Callable
from contextvars import ContextVar
from functools import lru_cache
from json.encoder import encode_basestring_ascii as _quote
from typing import Literal, TextIO

from framework.options import OptionError, OptionParser
from framework.options import options as process_options

access_log = logging.getLogger("framework.access")
app_log = logging.getLogger("framework.application")
gen_log = logging.getLogger("framework.general")

request_id: ContextVar[str] = ContextVar("request_id", default="")
"""The proxy's name for the request that is being answered, for whatever is logged on its behalf; empty without one."""

_COLORS = {logging.DEBUG: "34", logging.INFO: "32", logging.WARNING: "33", logging.ERROR: "31", logging.CRITICAL: "35"}
# Linux's PIPE_BUF, in bytes.
_PIECE_BYTES = 4096
# Control characters but tab and line end, the C1 set that some terminals obey among them.
_VISIBLE = {code: f"\\x{code:02x}" for code in (*range(32), *range(127, 160)) if code not in (9, 10)}
# What every record has; the rest came in by `extra` and belongs into the JSON.
_STANDARD = frozenset(logging.makeLogRecord({}).__dict__) | {"message", "asctime", "taskName"}


class Repeated:
    """A line that is logged once a second at most, and says how often it was left out: no flood shall fill the log."""

    __slots__ = ("_left_out", "_log", "_next_s")

    def __init__(self, log: Callable[..., None]) -> None:
        """`log` is the method of a logger."""
        self._log = log
        self._left_out = 0
        self._next_s = 0.0

    def __call__(self, message: str, *arguments: object) -> None:
        now = time.monotonic()
        if now < self._next_s:
            self._left_out += 1
            return
        if self._left_out:
            message += " (and %d more since the last such line)"
            arguments += (self._left_out,)
        self._left_out = 0
        self._next_s = now + 1
        self._log(message, *arguments, stacklevel=2)


class LogFormatter(logging.Formatter):
    """`[I 241124 12:00:00 module:12] text`, the prefix coloured by level if the stream is a terminal.

    A `fmt` of one's own may have %(color)s and %(end_color)s, beside what logging knows.
    """

    def __init__(
        self, fmt: str = "", datefmt: str = "%y%m%d %H:%M:%S", style: Literal["%", "{", "$"] = "%", color: bool = False
    ) -> None:
        super().__init__(fmt or None, datefmt, style)
        self.color = color
        self._has_own = bool(fmt)

    def format(self, record: logging.LogRecord) -> str:
        color = f"\x1b[{_COLORS.get(record.levelno, '0')}m" if self.color else ""
        end_color = "\x1b[0m" if self.color else ""
        # What a client sent must not look like another record, nor steer the operator's terminal (CWE-117, CWE-150).
        message = record.getMessage().translate(_VISIBLE).replace("\n", "\n    ")
        when = self.formatTime(record, self.datefmt)
        if self._has_own:
            facts = {**record.__dict__, "message": message, "asctime": when, "color": color, "end_color": end_color}
            text = self.formatMessage(logging.makeLogRecord(facts))
        else:
            place = f"{record.module}:{record.lineno}"
            text = f"{color}[{record.levelname[0]} {when} {place}]{end_color} {message}"
        if record.exc_info:
            text += "\n    " + self.formatException(record.exc_info).replace("\n", "\n    ")
        if record.stack_info:
            text += "\n    " + record.stack_info.replace("\n", "\n    ")
        return text


class JSONFormatter(logging.Formatter):
    """One JSON object a line: time (UTC), level, logger, message, place, traceback, and what `extra` holds."""

    def format(self, record: logging.LogRecord) -> str:
        facts: dict[str, object] = {
            "time": format_time(record.created),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
            "place": f"{record.module}:{record.lineno}",
        }
        if record.exc_info:
            facts["traceback"] = self.formatException(record.exc_info)
        if record.stack_info:
            facts["stack"] = record.stack_info
        facts |= {name: value for name, value in record.__dict__.items() if name not in _STANDARD}
        return json.dumps(facts, default=str)


def format_time(seconds: float) -> str:
    """ISO 8601 in UTC, with milliseconds, of seconds since the epoch."""
    return f"{_utc_stamp(int(seconds))}.{int(seconds * 1000) % 1000:03d}Z"


# Thousands of lines share a second, and formatting it is most of a line's cost.
@lru_cache(maxsize=4)
def _utc_stamp(second: int) -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(second))


@lru_cache(maxsize=4)
def _local_stamp(second: int) -> str:
    return time.strftime("%y%m%d %H:%M:%S", time.localtime(second))


def make_formatter(form: str, stream: TextIO) -> logging.Formatter:
    """The formatter for `form`, "human" or "json"."""
    return JSONFormatter() if form == "json" else LogFormatter(color=stream.isatty())


def define_logging_options(options: OptionParser = process_options) -> None:
    """Declare the settings of the log: LOG_LEVEL, LOG_FORMAT, and the file with its rotation."""
    options.define("log_level", default="info", type=_parse_level, metavar="debug|info|warning|error|none",
                   help="least level that is logged; none leaves logging alone", group="log")  # fmt: skip
    options.define("log_format", default="human", type=_parse_format, metavar="human|json",
                   help="lines for people, or JSON objects", group="log")  # fmt: skip
    options.define("logging", type=_parse_level, metavar="LEVEL", help="the seed's name of log-level", group="log",
                   callback=lambda level: setattr(options, "log_level", level))  # fmt: skip
    options.define("log_file_prefix", default="", metavar="PATH", help="log to this file, not to stderr", group="log")
    options.define("log_to_stderr", default=False, help="log to stderr as well as to the file", group="log")
    options.define("log_file_max_size", default=100_000_000, metavar="BYTES", help="rotate at this size", group="log")
    options.define("log_file_num_backups", default=10, metavar="N", help="rotated files that are kept", group="log")
    options.define("log_rotate_mode", default="size", type=_parse_rotation, metavar="size|time",
                   help="what a file is rotated by", group="log")  # fmt: skip
    options.define("log_rotate_when", default="midnight", type=_parse_when, metavar="S|M|H|D|W0…W6|midnight",
                   help="unit of time of the rotation by time", group="log")  # fmt: skip
    options.define("log_rotate_interval", default=1, metavar="N", help="units between two rotations", group="log")


def _parse_level(text: str) -> str:
    if text.lower() not in ("debug", "info", "warning", "error", "none"):
        raise ValueError("debug, info, warning, error or none")
    return text.lower()


def _parse_rotation(text: str) -> str:
    if text not in ("size", "time"):
        raise ValueError("size or time")
    return text


def _parse_when(text: str) -> str:
    if text.lower() != "midnight" and not re.fullmatch("[SMHD]|W[0-6]", text):
        raise ValueError("S, M, H, D, W0 to W6 or midnight")
    return text


def _parse_format(text: str) -> str:
    if text not in ("human", "json"):
        raise ValueError("human or json")
    return text


def enable_pretty_logging(options: OptionParser = process_options) -> None:
    """Log as the settings of `define_logging_options` say: to the file if one is set, else to stderr.

    A second call takes the place of the first.

    Raises:
        OptionError: the file can't be written.
    """
    if options.log_level == "none":
        return
    root = logging.getLogger()
    root.setLevel(options.log_level.upper())
    for handler in [one for one in root.handlers if isinstance(one.formatter, LogFormatter | JSONFormatter)]:
        root.removeHandler(handler)
        handler.close()
    if options.log_file_prefix:
        to_file = _make_file_handler(options)
        to_file.setFormatter(JSONFormatter() if options.log_format == "json" else LogFormatter())
        root.addHandler(to_file)
    if options.log_to_stderr or not options.log_file_prefix:
        to_stderr = logging.StreamHandler(sys.stderr)
        to_stderr.setFormatter(make_formatter(options.log_format, sys.stderr))
        root.addHandler(to_stderr)


def _make_file_handler(options: OptionParser) -> logging.Handler:
    path, kept = options.log_file_prefix, options.log_file_num_backups
    try:
        if options.log_rotate_mode == "time":
            return logging.handlers.TimedRotatingFileHandler(
                path, when=options.log_rotate_when, interval=options.log_rotate_interval, backupCount=kept
            )
        return logging.handlers.RotatingFileHandler(path, maxBytes=options.log_file_max_size, backupCount=kept)
    except OSError as error:
        raise OptionError(f"LOG_FILE_PREFIX: can't write {path}: {error.strerror}") from error


type Answered = tuple[tuple[str, int, str, str, str], float, float, tuple[bytes, bytes] | None]
"""What is noted of an answered request: its route (the handler's class), status, method, target and the client's
address, together, for many requests have them in common; when it began and when it was answered (time.perf_counter);
X-Request-ID and X-Request-Start if it has one of them (framework.request.find_trace): the former holds nothing that
JSON would escape.
"""


class Tally:
    """What a batch of answered requests adds to the metrics."""

    __slots__ = ("seconds", "starts")

    def __init__(self) -> None:
        self.seconds: dict[tuple[str, int], list[float]] = {}  # by route and status: how long each took
        self.starts: list[tuple[bytes, float]] = []  # X-Request-Start (or empty), and when it began (perf_counter)


class AccessLog:
    """Lines about requests, put together and written in batches: a request costs one append to `lines`.

    `schedule(flush)` is called when lines begin to wait, and calls `flush` a little later (`loop.call_later(0.2,
    flush)`); what is left is written at exit. At most `max_batch` lines wait, if whoever appends to `lines` sees to it.
    If the disk refuses, the lines are dropped and counted in `dropped`: serving goes on.

    What lost: fewer lines at a time, while they are in the processor's cache. Behind nginx, where five processes share
    two cores, 256 at a time cost a frontend 6 % more than 1,000.
    """

    __slots__ = (
        "__weakref__",
        "_is_scheduled",
        "_schedule",
        "_write",
        "count",
        "dropped",
        "form",
        "lines",
        "max_batch",
    )

    def __init__(
        self,
        write: Callable[[str], object],
        schedule: Callable[[Callable[[], None]], object],
        form: str = "human",
        max_batch: int = 1000,
    ) -> None:
        self._write = write
        self._schedule = schedule
        self._is_scheduled = False
        self.form = form
        self.lines: list[Answered] = []
        self.count: Callable[[Tally], None] | None = None  # called with each batch's
        self.max_batch = max_batch
        self.dropped = 0
        atexit.register(self.flush)

    def record(self, status: int, method: str, uri: str, remote_ip: str, seconds: float, request_id: str = "") -> None:
        """Note one answered request; `seconds` is how long it took."""
        now = time.perf_counter()
        trace = (_quote(request_id)[1:-1].encode(), b"") if request_id else None
        self.note((("", status, method, uri, remote_ip), now - seconds, now, trace))

    def note(self, answered: Answered) -> None:
        """Note one answered request."""
        if not self.lines:
            self.begin_batch()
        self.lines.append(answered)
        if len(self.lines) >= self.max_batch:
            self.flush()

    def begin_batch(self) -> None:
        """Have what will be appended to `lines` written a little later; to be called while they are empty."""
        # A full batch is written before its time; its successor must not add another call to the one that is to come.
        if not self._is_scheduled:
            self._is_scheduled = True
            self._schedule(self._flush_in_time)

    def _flush_in_time(self) -> None:
        self._is_scheduled = False
        self.flush()

    def flush(self) -> None:
        """Write what waits."""
        if not self.lines:
            return
        tally = Tally()
        format_lines = _format_json if self.form == "json" else _format_human
        text = "".join(format_lines(self.lines, tally))
        number = len(self.lines)
        self.lines.clear()
        if self.count is not None:
            self.count(tally)
        try:
            self._write(text)
        except OSError:
            self.dropped += number

    def close(self) -> None:
        """Write what waits, and forget this log at exit."""
        self.flush()
        atexit.unregister(self.flush)


def write_lines(fd: int, text: str) -> None:
    """Write whole lines to a descriptor to which other processes write, too.

    A file takes any number of them at once, for a quarter of what it costs in small pieces. A pipe takes only pieces of
    up to PIPE_BUF bytes whole; a longer one is cut by other processes' lines whenever the pipe is full (seen: one line
    of 300, at 13,000 requests a second).

    Raises:
        OSError: the disk or the pipe takes no more.
    """
    data = text.encode("utf-8", "backslashreplace")
    if stat.S_ISREG(os.fstat(fd).st_mode):
        _write_all(fd, data)
        return
    start = 0
    while start < len(data):
        end = data.rfind(b"\n", start, start + _PIECE_BYTES) + 1 or data.find(b"\n", start + _PIECE_BYTES) + 1
        end = end or len(data)
        _write_all(fd, data[start:end])
        start = end


def _write_all(fd: int, data: bytes) -> None:
    while data:
        data = data[os.write(fd, data) :]


# Texts of 0 to 999 microseconds, as seconds, and of 0 to 9.99 milliseconds: formatting a float costs more than all the
# rest of a line.
_MICROSECONDS = [f"0.{count:06d}" for count in range(1000)]
_MICROSECONDS_LINES = [text + "}\n" for text in _MICROSECONDS]
_MILLISECONDS = [f"{count / 100:.2f}ms\n" for count in range(1000)]


def _format_human(notes: list[Answered], tally: Tally) -> list[str]:
    """The lines in pieces. Every request pays for this: what lines have in common is put together once, and what the
    metrics want is noted on the way.
    """
    offset = time.time() - time.perf_counter()
    until = 0.0
    stamp = ""
    known: dict[tuple[str, int, str, str, str], tuple[str, list[float]]] = {}
    texts: list[str] = []
    for key, began, answered, trace in notes:
        if answered >= until:
            second = int(answered + offset)
            until = second + 1 - offset
            stamp = _local_stamp(second)
            known.clear()
        try:
            common, seconds = known[key]
        except KeyError:
            route, status, method, uri, remote_ip = key
            level = "I" if status < 400 else "W" if status < 500 else "E"
            shown = uri if uri.isascii() else uri.translate(_VISIBLE)
            common = f"[{level} {stamp} access] {status} {method} {shown} ({remote_ip}) "
            seconds = tally.seconds.setdefault((route, status), [])
            known[key] = common, seconds
        took = answered - began
        seconds.append(took)
        hundredths = int(took * 1e5 + 0.5)
        texts += common, _MILLISECONDS[hundredths] if hundredths < 1000 else f"{took * 1e3:.2f}ms\n"
        if trace is not None:
            tally.starts.append((trace[1], began))
    return texts


def _format_json(notes: list[Answered], tally: Tally) -> list[str]:
    """As _format_human: the same as json.dumps of dictionaries, at a fraction of its cost."""
    offset = time.time() - time.perf_counter()
    until = 0.0
    start = ""
    known: dict[tuple[str, int, str, str, str], tuple[str, list[float]]] = {}
    texts: list[str] = []
    for key, began, answered, trace in notes:
        if answered >= until:
            millisecond = int((answered + offset) * 1000)
            until = (millisecond + 1) / 1000 - offset
            start = f'{{"time": "{format_time(millisecond / 1000)}", "logger": "{access_log.name}", "status": '
        try:
            common, seconds = known[key]
        except KeyError:
            route, status, method, uri, remote_ip = key
            common = (
                f'{status}, "method": {_quote(method)}, "uri": {_quote(uri)}, "remote_ip": {_quote(remote_ip)}, '
                '"request_time_s": '
            )
            seconds = tally.seconds.setdefault((route, status), [])
            known[key] = common, seconds
        took = answered - began
        seconds.append(took)
        micros = int(took * 1e6 + 0.5)
        if trace is None:
            texts += start, common, _MICROSECONDS_LINES[micros] if micros < 1000 else f"{took:.6f}}}\n"
            continue
        name, proxied_at = trace
        tally.starts.append((proxied_at, began))
        texts += (
            start,
            common,
            _MICROSECONDS[micros] if micros < 1000 else f"{took:.6f}",
            f', "request_id": "{name.decode()}"}}\n' if name else "}\n",
        )
    return texts
