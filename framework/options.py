"""Settings declared once: each is a flag, an environment variable and a name in a configuration file.

    define("port", default=8888, type=int, help="listen on this port", metavar="PORT")
    options.port

`--port=1`, `PORT=1` and `port = 1` all set it; the last one parsed wins. A secret may come as `PORT_FILE=/path`, the
first line's end cut off; giving a value and a file is an error, for nobody can say which was meant. Names are the
same with `-` and `_`.

Every mistake is one OptionError whose text names the place, what was expected and what was got.
"""

import ast
import datetime
import difflib
import os
import re
import sys
import textwrap
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TextIO

from framework.errors import FrameworkError


class OptionError(FrameworkError):
    """A setting is unknown, malformed or given twice; the text says where, and what was expected."""


Error = OptionError  # as the seed calls it

_TRUE = frozenset(("1", "true", "yes", "on", "t"))
_FALSE = frozenset(("0", "false", "no", "off", "f", ""))
_DURATION = re.compile(r"\s*([-+]?[0-9]*\.?[0-9]+)\s*([a-z]*)\s*", re.IGNORECASE | re.ASCII)
_DURATION_UNITS = {
    "": "seconds", "s": "seconds", "sec": "seconds", "second": "seconds", "m": "minutes", "min": "minutes",
    "minute": "minutes", "h": "hours", "hour": "hours", "d": "days", "day": "days", "w": "weeks", "week": "weeks",
    "ms": "milliseconds", "us": "microseconds",
}  # fmt: skip
_DATE_FORMATS = (
    "%a %b %d %H:%M:%S %Y", "%Y-%m-%d %H:%M:%S", "%Y-%m-%d %H:%M", "%Y-%m-%dT%H:%M:%S", "%Y-%m-%dT%H:%M",
    "%Y%m%d %H:%M:%S",    "%Y%m%d %H:%M", "%Y-%m-%d", "%Y%m%d", "%H:%M:%S", "%H:%M",
)  # fmt: skip


def parse_bool(text: str) -> bool:
    """Raises: ValueError: if `text` is neither of true, yes, on, 1 nor of false, no, off, 0."""
    if text.strip().lower() in _TRUE:
        return True
    if text.strip().lower() in _FALSE:
        return False
    raise ValueError("true or false")


def parse_int(text: str) -> int:
    """Raises: ValueError: if `text` is not a whole number."""
    # int() alone would also take "1_000" and digits of other scripts.
    if not re.fullmatch(r"\s*[-+]?[0-9]{1,18}\s*", text, re.ASCII):
        raise ValueError("a whole number")
    return int(text)


def parse_float(text: str) -> float:
    """Raises: ValueError: if `text` is not a number."""
    try:
        return float(text)
    except ValueError:
        raise ValueError("a number") from None


def parse_datetime(text: str) -> datetime.datetime:
    """Raises: ValueError: if `text` is in none of the known forms, `2011-02-28 18:30` among them."""
    for form in _DATE_FORMATS:
        try:
            return datetime.datetime.strptime(text.strip(), form)
        except ValueError:
            continue
    raise ValueError("a date as 2011-02-28, 2011-02-28 18:30 or 18:30")


def parse_timedelta(text: str) -> datetime.timedelta:
    """A duration such as `90`, `1.5h` or `2h 30m`; a number without a unit is in seconds.

    Raises:
        ValueError: if `text` is none.
    """
    total, position = datetime.timedelta(), 0
    while position < len(text):
        match = _DURATION.match(text, position)
        unit = _DURATION_UNITS.get(match[2].lower().rstrip("s") or match[2].lower()) if match else None
        if match is None or unit is None:
            raise ValueError("a duration as 90s, 1.5h or 2h 30m")
        total += datetime.timedelta(**{unit: float(match[1])})
        position = match.end()
    return total


_PARSERS: dict[type, Callable[[str], Any]] = {
    bool: parse_bool,
    int: parse_int,
    float: parse_float,
    str: str,
    datetime.datetime: parse_datetime,
    datetime.timedelta: parse_timedelta,
}


@dataclass(slots=True)
class Option:
    """One declared setting; `parse` turns text into its value, or raises ValueError with what it expects."""

    name: str
    default: Any
    type: type | Callable[[str], Any]
    help: str = ""
    metavar: str = ""
    multiple: bool = False
    group: str = ""
    callback: Callable[[Any], object] | None = None
    value: Any = field(default=None, init=False)
    is_set: bool = field(default=False, init=False)

    def current(self) -> Any:
        """The value that was set, else the default."""
        return self.value if self.is_set else self.default

    def parse(self, text: str, place: str) -> None:
        """Set the value from text; `place` is how the user spelled the setting.

        Raises:
            OptionError: if the text is not of the option's type.
        """
        if not self.multiple:
            self.set(self._parse_one(text, place))
            return
        values: list[Any] = []
        for piece in text.split(",") if text else []:
            first, colon, last = piece.partition(":")
            if self.type is int and colon:  # 1:4 is 1, 2, 3, 4
                values += range(self._parse_one(first, place), self._parse_one(last, place) + 1)
            else:
                values.append(self._parse_one(piece, place))
        self.set(values)

    def _parse_one(self, text: str, place: str) -> Any:
        parse = _PARSERS.get(self.type, self.type) if isinstance(self.type, type) else self.type
        try:
            return parse(text)
        except ValueError as error:
            raise OptionError(f"{place}: expected {error}, got {text!r}") from None

    def assign(self, value: Any, place: str) -> None:
        """Set a value that is not text but of the type already (configuration files, assignments).

        Raises:
            OptionError: if it is of another type.
        """
        if isinstance(value, str) and self.type is not str:
            self.parse(value, place)
            return
        given = value if self.multiple else [value]
        if not isinstance(given, list | tuple) or not all(self._is_fitting(item) for item in given):
            name = getattr(self.type, "__name__", "another value")
            raise OptionError(f"{place}: expected {'a list of ' if self.multiple else ''}{name}, got {value!r}")
        self.set(list(given) if self.multiple else value)

    def _is_fitting(self, value: Any) -> bool:
        if value is None or not isinstance(self.type, type):
            return True
        if isinstance(value, bool) and self.type is not bool:
            return False
        return isinstance(value, (int, float) if self.type is float else self.type)

    def set(self, value: Any) -> None:
        """Set the value, and call the callback."""
        self.value = value
        self.is_set = True
        if self.callback is not None:
            self.callback(value)


def _normalize(name: str) -> str:
    return name.replace("-", "_").lower()


class OptionParser:
    """The declared settings of a program, as attributes and by name."""

    _options: dict[str, Option]
    _callbacks: list[Callable[[], object]]

    def __init__(self) -> None:
        self.__dict__.update(_options={}, _callbacks=[])
        self.define("help", type=bool, default=False, help="show this help and exit", callback=self._show_help)

    def define(
        self,
        name: str,
        default: Any = None,
        type: type | Callable[[str], Any] | None = None,
        help: str | None = None,
        metavar: str | None = None,
        multiple: bool = False,
        group: str | None = None,
        callback: Callable[[Any], object] | None = None,
    ) -> None:
        """Declare a setting.

        `type` is a type (str, int, float, bool, datetime, timedelta) or a function from text that raises ValueError
        with what it expects; without it, that of the default. `multiple` takes several values, separated by commas.

        Raises:
            OptionError: if the name is declared already.
        """
        key = _normalize(name)
        if key in self._options:
            raise OptionError(f"option {name!r} is defined twice")
        if type is None:
            type = default.__class__ if default is not None and not multiple else str
        if multiple and default is None:
            default = []
        where = group if group is not None else Path(sys._getframe(1).f_code.co_filename).stem
        where = "" if where == Path(__file__).stem else where
        self._options[key] = Option(key, default, type, help or "", metavar or "", multiple, where, callback)

    def __getattr__(self, name: str) -> Any:
        option = self._options.get(_normalize(name))
        if option is None:
            raise AttributeError(f"unrecognized option {name!r}")
        return option.current()

    def __setattr__(self, name: str, value: Any) -> None:
        option = self._options.get(_normalize(name))
        if option is None:
            raise AttributeError(f"unrecognized option {name!r}")
        option.assign(value, name)

    __getitem__ = __getattr__
    __setitem__ = __setattr__

    def __iter__(self) -> Iterator[str]:
        return iter(self._options)

    def __contains__(self, name: object) -> bool:
        return isinstance(name, str) and _normalize(name) in self._options

    def items(self) -> list[tuple[str, Any]]:
        """Name and value of every setting."""
        return [(name, option.current()) for name, option in self._options.items()]

    def as_dict(self) -> dict[str, Any]:
        """All settings, name to value."""
        return dict(self.items())

    def groups(self) -> set[str]:
        """The names of the groups."""
        return {option.group for option in self._options.values()}

    def group_dict(self, group: str) -> dict[str, Any]:
        """The settings of one group, or of all if `group` is empty."""
        return {name: o.current() for name, o in self._options.items() if not group or o.group == group}

    def mockable(self) -> "_Mockable":
        """The settings as an object whose attributes tests may patch: patched values are put back as they were."""
        return _Mockable(self)

    def add_parse_callback(self, callback: Callable[[], object]) -> None:
        """Have `callback` called once all settings are parsed."""
        self._callbacks.append(callback)

    def run_parse_callbacks(self) -> None:
        """Call what add_parse_callback was given."""
        for callback in self._callbacks:
            callback()

    def parse_command_line(self, args: Sequence[str] | None = None, final: bool = True) -> list[str]:
        """What remains of `args` (sys.argv if None) behind the flags, or behind `--`.

        Raises:
            OptionError: if a flag is unknown or malformed.
        """
        given = list(sys.argv if args is None else args)
        remaining: list[str] = []
        for position in range(1, len(given)):
            argument = given[position]
            if not argument.startswith("-"):
                remaining = given[position:]
                break
            if argument == "--":
                remaining = given[position + 1 :]
                break
            name, equals, text = argument.lstrip("-").partition("=")
            place = "--" + name
            option = self._find(name, place)
            if not equals and option.type is not bool:
                raise OptionError(f"{place}: expected a value, as in {place}={option.metavar or 'VALUE'}")
            option.parse(text if equals else "true", place)
        if final:
            self.run_parse_callbacks()
        return remaining

    def parse_environment(self, environ: Mapping[str, str] | None = None, final: bool = True) -> None:
        """Set each setting whose name in capitals is in the environment, or whose NAME_FILE is; empty ones are left.

        Raises:
            OptionError: if a value is malformed, given with a file as well, or the file can't be read.
        """
        given = os.environ if environ is None else environ
        for name, option in self._options.items():
            if name == "help":  # an order, not a setting: HELP in somebody's environment must not end the program
                continue
            variable = name.upper()
            text, file = given.get(variable, ""), given.get(variable + "_FILE", "")
            if text and file:
                raise OptionError(f"{variable} and {variable}_FILE are both set: give one of them")
            if file:
                try:
                    text = Path(file).read_text().rstrip("\r\n")
                except (OSError, UnicodeDecodeError) as error:
                    reason = getattr(error, "strerror", None) or "it is not text"
                    raise OptionError(f"{variable}_FILE: can't read {file}: {reason}") from error
            if text:
                option.parse(text, variable)
        if final:
            self.run_parse_callbacks()

    def parse_config_file(self, path: str | os.PathLike[str], final: bool = True) -> None:
        """Set from a file of Python assignments, `name = literal`, one value each; it is read, never run.

        Names that are not declared are passed over, as in the seed.

        Raises:
            OptionError: if the file can't be read, or holds anything but assignments of literals.
        """
        try:
            tree = ast.parse(Path(path).read_text(), str(path))
        except (OSError, UnicodeDecodeError, SyntaxError, ValueError) as error:
            raise OptionError(f"{path}: {error}") from error
        for statement in tree.body:
            place = f"{path}:{statement.lineno}"
            match statement:
                case ast.Assign(targets=[ast.Name(id=name)], value=expression):
                    try:
                        value = ast.literal_eval(expression)
                    except ValueError:
                        raise OptionError(f"{place}: {name}: expected a literal: text, a number, a list") from None
                    if name in self:
                        self._options[_normalize(name)].assign(value, f"{place}: {name}")
                case ast.Expr(value=ast.Constant()):
                    pass  # a docstring
                case _:
                    raise OptionError(f"{place}: expected name = value")
        if final:
            self.run_parse_callbacks()

    def _find(self, name: str, place: str) -> Option:
        option = self._options.get(_normalize(name))
        if option is None:
            alike = difflib.get_close_matches(_normalize(name), self._options, 1)
            advice = f"did you mean --{alike[0].replace('_', '-')}? " if alike else ""
            raise OptionError(f"{place}: no such option; {advice}--help lists all")
        return option

    def print_help(self, file: TextIO | None = None) -> None:
        """Write usage, and each setting with its help and default, by group."""
        lines = [f"Usage: {Path(sys.argv[0]).name} [OPTIONS]", "", "Options:"]
        by_group: dict[str, list[Option]] = {}
        for option in self._options.values():
            by_group.setdefault(option.group, []).append(option)
        for group, members in sorted(by_group.items()):
            if group:
                lines += ["", f"{group}:"]
            for option in sorted(members, key=lambda o: o.name):
                lines += _format_help(option)
        print("\n".join(lines), file=file or sys.stderr)

    def _show_help(self, wanted: bool) -> None:
        if wanted:
            self.print_help(sys.stdout)
            sys.exit(0)


def _format_help(option: Option) -> list[str]:
    flag = "--" + option.name.replace("_", "-")
    if option.metavar or option.type is not bool:
        flag += "=" + (option.metavar or "VALUE")
    text = option.help
    if option.default not in (None, "", False, []):
        text += f" (default {option.default})"
    wrapped = textwrap.wrap(text, 79) or [""]
    if len(flag) > 32:
        return [f"  {flag}"] + [" " * 36 + line for line in wrapped]
    return [f"  {flag:<33} {wrapped[0]}".rstrip()] + [" " * 36 + line for line in wrapped[1:]]


class _Mockable:
    """Settings for `mock.patch.object`, which deletes what it patched unless the object knows better."""

    _options: OptionParser
    _before: dict[str, tuple[Any, bool]]

    def __init__(self, options: OptionParser) -> None:
        self.__dict__.update(_options=options, _before={})

    def __getattr__(self, name: str) -> Any:
        return getattr(self._options, name)

    def __setattr__(self, name: str, value: Any) -> None:
        option = self._options._options.get(_normalize(name))
        if option is not None and name not in self._before:
            self._before[name] = (option.value, option.is_set)
        setattr(self._options, name, value)

    def __delattr__(self, name: str) -> None:
        option = self._options._options[_normalize(name)]
        option.value, option.is_set = self._before.pop(name)


options = OptionParser()
"""The settings of this process."""


def enable_pretty_logging() -> None:
    """Log for people, as programs of 2011 ask for from here; see framework.log."""
    from framework import log

    if "log_level" not in options:
        log.define_logging_options(options)
    log.enable_pretty_logging(options)


def parse_command_line(args: Sequence[str] | None = None, final: bool = True) -> list[str]:
    """What remains of the process's arguments behind the flags. The log is set up, as programs of both times expect.

    Raises:
        OptionError: if a flag is unknown or malformed.
    """
    from framework import log

    if "log_level" not in options:
        log.define_logging_options(options)
    remaining = options.parse_command_line(args, final)
    if final:
        log.enable_pretty_logging(options)
    return remaining


define = options.define
parse_environment = options.parse_environment
parse_config_file = options.parse_config_file
print_help = options.print_help
add_parse_callback = options.add_parse_callback
