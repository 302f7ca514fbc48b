"""How log lines look, and that the access log batches, survives a full disk and forges nothing."""

import errno
import io
import json
import logging
import os
import sys
import time
from collections.abc import Callable, Iterator
from logging.handlers import TimedRotatingFileHandler
from pathlib import Path

import pytest

from framework import log
from framework.options import OptionError, OptionParser


def _record(message: str, *args: object, level: int = logging.INFO, **extra: object) -> logging.LogRecord:
    record = logging.LogRecord("framework.general", level, "/x/module.py", 12, message, args, None)
    record.__dict__.update(extra)
    return record


def test_human_lines_say_level_place_and_text() -> None:
    line = log.LogFormatter().format(_record("hello %s", "you", level=logging.WARNING))
    assert line.startswith("[W ") and line.endswith(" module:12] hello you")
    assert log.LogFormatter(color=True).format(_record("x")).startswith("\x1b[32m[I ")


def test_lines_of_a_form_of_one_s_own() -> None:
    record = logging.LogRecord("x", logging.WARNING, "/a/module.py", 7, "a %s\nb", ("\x1b[2J",), None)
    fmt = "%(color)s%(levelname)s %(name)s%(end_color)s at %(asctime)s: %(message)s"
    plain = log.LogFormatter(fmt=fmt, datefmt="%Y").format(record)
    assert plain == f"WARNING x at {time.strftime('%Y')}: a \\x1b[2J\n    b"
    assert log.LogFormatter(fmt=fmt, color=True).format(record).startswith("\x1b[33mWARNING x\x1b[0m at ")
    assert not hasattr(record, "color")


def test_human_lines_can_not_be_forged() -> None:
    text = log.LogFormatter().format(_record("%s", "a\r\n[E 241124 12:00:00 module:1] forged"))
    assert text.splitlines()[1].startswith("    [E")


def test_human_lines_can_not_steer_the_terminal() -> None:
    text = log.LogFormatter().format(_record("%s", "a\x1b[2J\x9b2J\x07\x7f\tb"))
    assert text.endswith(" a\\x1b[2J\\x9b2J\\x07\\x7f\tb")


def test_json_lines_hold_extra_and_traceback() -> None:
    try:
        raise ValueError("boom")
    except ValueError:
        record = _record("failed", request_id="r1")
        record.exc_info = sys.exc_info()
    facts = json.loads(log.JSONFormatter().format(record))
    assert (facts["level"], facts["message"], facts["place"], facts["request_id"]) == (
        "info",
        "failed",
        "module:12",
        "r1",
    )
    assert "ValueError: boom" in facts["traceback"]


@pytest.fixture
def root() -> Iterator[logging.Logger]:
    root = logging.getLogger()
    level, handlers = root.level, list(root.handlers)
    yield root
    for handler in set(root.handlers) - set(handlers):
        root.removeHandler(handler)
        handler.close()
    root.setLevel(level)


def test_enable_pretty_logging_rotates_files(root: logging.Logger, tmp_path: Path) -> None:
    options = OptionParser()
    log.define_logging_options(options)
    options.parse_environment(
        {"LOG_FORMAT": "json", "LOG_FILE_PREFIX": str(tmp_path / "log"), "LOG_FILE_MAX_SIZE": "300"}
    )
    log.enable_pretty_logging(options)
    for n in range(5):
        log.gen_log.info("line %d", n)
    assert json.loads((tmp_path / "log").read_text().splitlines()[-1])["message"] == "line 4"
    assert (tmp_path / "log.1").exists()


def test_rotation_by_time(root: logging.Logger, tmp_path: Path) -> None:
    options = OptionParser()
    log.define_logging_options(options)
    flags = [
        "--log-rotate-mode=time",
        "--log-rotate-when=H",
        "--log-to-stderr",
        f"--log-file-prefix={tmp_path / 'log'}",
    ]
    options.parse_command_line(["x", *flags])
    log.enable_pretty_logging(options)
    to_file, to_stderr = root.handlers[-2:]
    assert isinstance(to_file, TimedRotatingFileHandler) and to_file.interval == 3600
    assert type(to_stderr) is logging.StreamHandler


def test_file_that_can_not_be_written_is_clear(root: logging.Logger, tmp_path: Path) -> None:
    options = OptionParser()
    log.define_logging_options(options)
    options.parse_command_line(["x", f"--log-file-prefix={tmp_path}/none/log"])
    with pytest.raises(OptionError, match="LOG_FILE_PREFIX: can't write"):
        log.enable_pretty_logging(options)
    with pytest.raises(OptionError, match="--log-rotate-when: expected S, M, H, D, W0 to W6 or midnight, got 'X'"):
        options.parse_command_line(["x", "--log-rotate-when=X"])


def test_second_call_takes_the_place_of_the_first(root: logging.Logger) -> None:
    options = OptionParser()
    log.define_logging_options(options)
    log.enable_pretty_logging(options)
    before = len(root.handlers)
    options.parse_command_line(["x", "--logging=debug"])
    log.enable_pretty_logging(options)
    assert (len(root.handlers), root.level) == (before, logging.DEBUG)


def test_log_level_none_leaves_logging_alone(root: logging.Logger) -> None:
    options = OptionParser()
    log.define_logging_options(options)
    options.log_level = "none"
    before = list(root.handlers)
    log.enable_pretty_logging(options)
    assert root.handlers == before


def test_wrong_level_and_format_are_clear() -> None:
    options = OptionParser()
    log.define_logging_options(options)
    with pytest.raises(OptionError, match="LOG_LEVEL: expected debug, info, warning, error or none, got 'loud'"):
        options.parse_environment({"LOG_LEVEL": "loud"})
    with pytest.raises(OptionError, match="LOG_FORMAT: expected human or json, got 'xml'"):
        options.parse_environment({"LOG_FORMAT": "xml"})


def test_make_formatter() -> None:
    assert isinstance(log.make_formatter("json", io.StringIO()), log.JSONFormatter)
    assert isinstance(log.make_formatter("human", io.StringIO()), log.LogFormatter)


def test_access_log_writes_one_batch_for_many_requests() -> None:
    written: list[str] = []
    scheduled: list[Callable[[], None]] = []
    access = log.AccessLog(written.append, scheduled.append)
    access.record(200, "GET", "/a", "127.0.0.1", 0.00125)
    access.record(500, "POST", "/b", "::1", 0.002)
    assert (written, len(scheduled)) == ([], 1)
    scheduled[0]()
    access.close()
    first, second = "".join(written).splitlines()
    assert first.endswith("access] 200 GET /a (127.0.0.1) 1.25ms") and second.startswith("[E ")


def test_access_log_as_json_flushes_a_full_batch() -> None:
    written: list[str] = []
    access = log.AccessLog(written.append, lambda flush: None, form="json", max_batch=2)
    access.record(200, "GET", '/"quoted"', "127.0.0.1", 0.5, "r1")
    access.record(404, "GET", "/x", "127.0.0.1", 0.5)
    access.close()
    facts = [json.loads(line) for line in "".join(written).splitlines()]
    assert (facts[0]["uri"], facts[0]["request_id"], facts[1]["status"]) == ('/"quoted"', "r1", 404)


def test_access_log_waits_for_one_call_at_a_time() -> None:
    written: list[str] = []
    scheduled: list[Callable[[], None]] = []
    access = log.AccessLog(written.append, scheduled.append, max_batch=2)
    for number in range(5):  # two full batches, written before their time, and a line of the third
        access.record(200, "GET", f"/{number}", "127.0.0.1", 0.001)
    assert (len(written), len(scheduled)) == (2, 1)
    scheduled[0]()
    assert (len(written), len(scheduled)) == (3, 1)
    access.record(200, "GET", "/5", "127.0.0.1", 0.001)
    access.close()
    assert (len(written), len(scheduled)) == (4, 2)


def read_writes(text: str) -> list[bytes]:
    """What a pipe gets of it, write by write (O_DIRECT: a pipe of packets)."""
    reader, writer = os.pipe2(os.O_DIRECT)
    with open(reader, "rb", buffering=0) as pipe:
        with open(writer, "wb", buffering=0) as end:
            log.write_lines(end.fileno(), text)
        return list(iter(lambda: pipe.read(65536), b""))


def test_a_pipe_gets_lines_in_pieces_that_it_takes_whole() -> None:
    lines = [f"{number} {'x' * 60}\n" for number in range(200)]
    pieces = read_writes("".join(lines))
    assert 2048 < max(map(len, pieces)) <= 4096
    assert all(piece.endswith(b"\n") for piece in pieces)
    assert b"".join(pieces).decode() == "".join(lines)


def test_a_line_too_long_for_a_pipe_is_written_apart_from_others() -> None:
    pieces = read_writes("/a\n/" + "é" * 5000 + "\n/b\n")
    assert pieces[0] == b"/a\n"
    assert pieces[-1] == b"/b\n"
    assert b"".join(pieces[1:-1]).decode() == "/" + "é" * 5000 + "\n"


def test_a_file_gets_all_lines_in_one_write(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    text = "".join(f"{number} {'é' * 60}\n" for number in range(1000)) + "\udc80 and no end of line"
    sizes: list[int] = []
    write = os.write
    monkeypatch.setattr(os, "write", lambda fd, data: sizes.append(len(data)) or write(fd, data))
    with open(tmp_path / "log", "wb") as file:
        log.write_lines(file.fileno(), text)
    monkeypatch.undo()
    assert (tmp_path / "log").read_bytes() == text.replace("\udc80", r"\udc80").encode()
    assert len(sizes) == 1


def test_a_full_disk_is_an_error() -> None:
    with open("/dev/full", "wb", buffering=0) as full, pytest.raises(OSError, match="No space left"):
        log.write_lines(full.fileno(), "line\n")


def test_access_log_can_not_steer_the_terminal() -> None:
    written: list[str] = []
    access = log.AccessLog(written.append, lambda flush: None)
    access.record(200, "GET", "/\x9b2J", "127.0.0.1", 0.5)
    access.close()
    assert "/\\x9b2J" in written[0]


def test_access_log_as_json_says_how_long_it_took() -> None:
    written: list[str] = []
    access = log.AccessLog(written.append, lambda flush: None, form="json")
    for seconds in (0.0000127, 0.0125, 1.25):
        access.record(200, "GET", "/", "127.0.0.1", seconds)
    access.close()
    times = [json.loads(line)["request_time_s"] for line in "".join(written).splitlines()]
    assert times == pytest.approx([0.0000127, 0.0125, 1.25], abs=1e-6)


@pytest.mark.parametrize("name", ["r-1", 'a"b\\c', "é\n"])
def test_access_log_as_json_names_the_request(name: str) -> None:
    written: list[str] = []
    access = log.AccessLog(written.append, lambda flush: None, form="json")
    access.record(200, "GET", "/", "127.0.0.1", 0.1, name)
    access.record(200, "GET", "/", "127.0.0.1", 0.1)
    access.close()
    first, second = map(json.loads, written[0].splitlines())
    assert first["request_id"] == name and "request_id" not in second


@pytest.mark.parametrize("form", ["human", "json"])
def test_access_log_counts_what_it_writes(form: str) -> None:
    tallies: list[log.Tally] = []
    access = log.AccessLog(lambda text: None, lambda flush: None, form)
    access.count = tallies.append
    now = time.perf_counter()
    for status, seconds, trace in ((200, 0.1, None), (404, 0.2, (b"r", b"t=1")), (200, 0.3, None), (200, 2.0, None)):
        access.note((("Home", status, "GET", "/", "192.0.2.1"), now - seconds, now, trace))
    access.close()
    (tally,) = tallies
    assert tally.seconds == {
        ("Home", 200): pytest.approx([0.1, 0.3, 2.0]),
        ("Home", 404): pytest.approx([0.2]),
    }
    assert tally.starts == [(b"t=1", now - 0.2)]


def test_access_log_drops_and_counts_when_the_disk_is_full() -> None:
    def write(text: str) -> None:
        raise OSError(errno.ENOSPC, "full")

    access = log.AccessLog(write, lambda flush: None)
    access.record(200, "GET", "/", "127.0.0.1", 0.1)
    access.close()
    assert access.dropped == 1


def test_repeated_line_comes_once_a_second_and_says_what_was_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    lines: list[str] = []
    now = 100.0
    monkeypatch.setattr("framework.log.time.monotonic", lambda: now)
    say = log.Repeated(lambda message, *arguments, stacklevel: lines.append(message % arguments))
    for _ in range(3):
        say("no room for %s", "me")
    now = 101.5
    say("no room for %s", "you")
    now = 103.0
    say("no room for %s", "us")
    assert lines == [
        "no room for me",
        "no room for you (and 2 more since the last such line)",
        "no room for us",
    ]
