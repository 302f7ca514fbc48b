"""Settings from flags, environment and files, and the one clear sentence for each mistake."""

import datetime
import io
import subprocess
import sys
from pathlib import Path
from unittest import mock

import pytest

from framework.options import Error, OptionError, OptionParser


@pytest.fixture
def options() -> OptionParser:
    parser = OptionParser()
    parser.define("port", default=8888, type=int, help="listen here", metavar="PORT", group="server")
    parser.define("name", default="squall", help="what it is called")
    parser.define("debug", default=False)
    parser.define("ratio", default=1.5)
    parser.define("hosts", type=str, multiple=True)
    parser.define("ports", type=int, multiple=True)
    parser.define("when", type=datetime.datetime)
    parser.define("wait", type=datetime.timedelta)
    parser.define("cookie-secret", type=str)
    return parser


def _parse_slots(text: str) -> int | str:
    if text != "auto" and not text.isdigit():
        raise ValueError('a number or "auto"')
    return text if text == "auto" else int(text)


def test_item_129_flags_set_values_of_every_type(options: OptionParser) -> None:
    flags = ["--port=1", "--name=x=y", "--debug", "--ratio=2", "--hosts=a,b", "--ports=1:3,7", "--wait=1h 30m"]
    rest = options.parse_command_line(["prog", *flags, "--when=2011-02-28 18:30", "-cookie_secret=s", "file", "--no"])
    assert rest == ["file", "--no"]
    assert (options.port, options.name, options.debug, options.ratio) == (1, "x=y", True, 2.0)
    assert (options.hosts, options.ports) == (["a", "b"], [1, 2, 3, 7])
    assert options.wait == datetime.timedelta(minutes=90)
    assert options.when == datetime.datetime(2011, 2, 28, 18, 30)
    assert options["cookie-secret"] == options.cookie_secret == "s"


def test_defaults_hold_until_something_is_set(options: OptionParser) -> None:
    assert options.parse_command_line(["prog"]) == []
    assert (options.port, options.hosts, options.when) == (8888, [], None)
    options.port = 9
    assert options.as_dict()["port"] == 9


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (["--nothing=1"], "--nothing: no such option; --help lists all"),
        (["--prot=1"], "--prot: no such option; did you mean --port? --help lists all"),
        (["--port=80_80"], "--port: expected a whole number, got '80_80'"),
        (["--port"], "--port: expected a value, as in --port=PORT"),
        (["--debug=maybe"], "--debug: expected true or false, got 'maybe'"),
        (["--ratio=x"], "--ratio: expected a number, got 'x'"),
        (["--wait=5 parsecs"], "--wait: expected a duration as 90s, 1.5h or 2h 30m, got '5 parsecs'"),
        (["--when=today"], "--when: expected a date as 2011-02-28, 2011-02-28 18:30 or 18:30, got 'today'"),
        (["--slots=many"], "--slots: expected a number or \"auto\", got 'many'"),
    ],
)
def test_wrong_flag_is_one_clear_sentence(options: OptionParser, flags: list[str], message: str) -> None:
    options.define("slots", default="auto", type=_parse_slots)
    with pytest.raises(OptionError) as caught:
        options.parse_command_line(["prog", *flags])
    assert str(caught.value) == message


def test_environment_and_secret_files(options: OptionParser, tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_text("line one\nline two\n")
    options.parse_environment({"PORT": "7", "DEBUG": "", "COOKIE_SECRET_FILE": str(secret)})
    assert (options.port, options.debug, options.cookie_secret) == (7, False, "line one\nline two")


@pytest.mark.parametrize(
    ("environ", "message"),
    [
        ({"PORT": "x"}, "PORT: expected a whole number, got 'x'"),
        ({"NAME": "a", "NAME_FILE": "b"}, "NAME and NAME_FILE are both set: give one of them"),
        ({"NAME_FILE": "/nowhere"}, "NAME_FILE: can't read /nowhere: No such file or directory"),
    ],
)
def test_wrong_environment_is_one_clear_sentence(options: OptionParser, environ: dict[str, str], message: str) -> None:
    with pytest.raises(OptionError) as caught:
        options.parse_environment(environ)
    assert str(caught.value) == message


def test_config_file(options: OptionParser, tmp_path: Path) -> None:
    config = tmp_path / "server.conf"
    config.write_text('"""Ours."""\nport = 80\nhosts = ["a"]\nunknown = 1\nwait = "90s"\n')
    options.parse_config_file(config)
    assert (options.port, options.hosts, options.wait) == (80, ["a"], datetime.timedelta(seconds=90))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("import os", ":1: expected name = value"),
        ("port = open('x')", ":1: port: expected a literal: text, a number, a list"),
        ("\nport = [1]", ":2: port: expected int, got [1]"),
        ("port = ", "invalid syntax"),
    ],
)
def test_config_file_is_read_and_never_run(options: OptionParser, tmp_path: Path, text: str, message: str) -> None:
    config = tmp_path / "server.conf"
    config.write_text(text)
    with pytest.raises(OptionError) as caught:
        options.parse_config_file(config)
    assert message in str(caught.value)


def test_help_names_group_metavar_and_default(options: OptionParser, capsys: pytest.CaptureFixture[str]) -> None:
    file = io.StringIO()
    options.print_help(file)
    text = file.getvalue()
    assert "server:\n  --port=PORT" in text and "listen here (default 8888)" in text
    with pytest.raises(SystemExit) as caught:
        options.parse_command_line(["prog", "--help"])
    assert caught.value.code == 0 and "--port=PORT" in capsys.readouterr().out


def test_help_in_the_environment_is_not_an_order(options: OptionParser) -> None:
    options.parse_environment({"HELP": "1", "PORT": "7"})
    assert options.port == 7


def test_mockable_settings_are_put_back(options: OptionParser) -> None:
    with mock.patch.object(options.mockable(), "port", 1):
        assert options.port == 1
    assert (options.port, options.as_dict()["port"]) == (8888, 8888)


def test_error_has_the_seed_s_name() -> None:
    with pytest.raises(Error, match="no such option"):
        OptionParser().parse_command_line(["prog", "--x"])


def test_define_twice_is_an_error(options: OptionParser) -> None:
    with pytest.raises(OptionError, match="defined twice"):
        options.define("cookie_secret")


def test_unknown_names_are_attribute_errors(options: OptionParser) -> None:
    with pytest.raises(AttributeError, match=r"unrecognized option 'x'"):
        options.x  # noqa: B018
    with pytest.raises(AttributeError, match=r"unrecognized option 'x'"):
        options.x = 1
    with pytest.raises(OptionError, match=r"port: expected int, got 1\.5"):
        options.port = 1.5


def test_callbacks_run_when_set_and_when_all_is_parsed(options: OptionParser) -> None:
    seen: list[object] = []
    options.define("level", type=str, callback=seen.append)
    options.add_parse_callback(lambda: seen.append("done"))
    options.parse_environment({"LEVEL": "a"}, final=False)
    options.parse_command_line(["prog", "--level=b"])
    assert seen == ["a", "b", "done"]


def test_groups(options: OptionParser) -> None:
    assert "server" in options.groups()
    assert options.group_dict("server") == {"port": 8888}
    assert options.group_dict("")["name"] == "squall"
    assert "port" in options and "x" not in options and "port" in list(options)


def test_item_129_command_line_sets_the_log_up(tmp_path: Path) -> None:
    program = """
import logging, sys
from framework.options import define, options, parse_command_line, enable_pretty_logging
define("port", default=8888, help="run on the given port", type=int)
print(parse_command_line(), options.port)
logging.debug("seen")
"""
    command = [sys.executable, "-c", program, "--port=1", "--logging=debug", "rest"]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert done.stdout == "['rest'] 1\n"
    assert done.stderr.startswith("[D ") and done.stderr.endswith("] seen\n")
