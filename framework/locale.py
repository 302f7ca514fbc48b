"""Translations, plurals, dates and numbers in the user's language.

    locale.load_translations("translations")       # es_GT.csv, fr_CA.csv: text, translation[, plural|singular]
    locale.load_gettext_translations("locales", "app")
    user = locale.get("es_GT", "en")               # the closest there is
    user.translate("A person liked this", "%(num)d people liked this", n) % {"num": n}

What languages are like (plural rules, names of months, where the comma goes) is Babel's knowledge, not ours. A locale
has a `code` ("es_GT") and a `name` in its own language ("español (Guatemala)"); the seed's text calls the code its
name.
"""

import csv
import datetime
import gettext
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from framework.errors import FrameworkError
from framework.log import gen_log

if TYPE_CHECKING:
    import babel

CONTEXT_SEPARATOR = "\x04"  # how gettext joins a context and a message

_CODE = re.compile(r"[A-Za-z]{2,3}(?:[_-][A-Za-z0-9]{2,8}){0,3}", re.ASCII)
_QUALITY = re.compile(r"\s*q\s*=\s*([01](?:\.[0-9]{0,3})?)\s*", re.ASCII)
# The year in a date pattern, with what binds it: "y年", "y.", ", y", " 'de' y".
_YEAR = re.compile(r"[,،]?\s*(?:'[^']*'\s*)?(?:G\s*)?y+(?:\s*'г'\.|'[^']*'|[年년.])?\s*")
_CATEGORIES = frozenset(("zero", "one", "two", "few", "many", "other"))  # of plurals, in CLDR
_FORMS = _CATEGORIES | {"singular", "plural", "unknown"}
# Browsers say nb for what catalogues call no; and some old systems still send the codes of before 1989.
_OTHER_CODES = {"nb": "no", "no": "nb", "iw": "he", "he": "iw", "in": "id", "id": "in", "ji": "yi", "yi": "ji"}
_MAX_ACCEPTED = 50  # languages looked at in one Accept-Language


class LocaleError(FrameworkError):
    """A translation file that can't be read; the text says which, where and why."""


def normalize_code(code: str) -> str:
    """`code` as we spell it: es-gt and ES_gt are es_GT, zh-hans-cn is zh_Hans_CN."""
    language, *parts = code.replace("-", "_").split("_")
    return "_".join([language.lower(), *(part.title() if len(part) == 4 else part.upper() for part in parts)])


class Locale:
    """One language as spoken somewhere. This base translates nothing; see CSVLocale and GettextLocale."""

    def __init__(self, code: str) -> None:
        self.code = code

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.code}>"

    @classmethod
    def get(cls, code: str) -> "Locale":
        """The locale of exactly that code, which must be supported."""
        return _catalogue.locales[code]

    @classmethod
    def get_closest(cls, *codes: str) -> "Locale":
        """See the function `get`."""
        return get(*codes)

    @cached_property
    def babel(self) -> "babel.Locale":
        """What Babel knows of the language; of English, if it does not know this one."""
        import babel  # 30 ms: only for those who ask

        try:
            return babel.Locale.parse(self.code)
        except (ValueError, babel.UnknownLocaleError):
            language = self.code.split("_")[0]
            return babel.Locale.parse(language if babel.localedata.exists(language) else "en")

    @cached_property
    def name(self) -> str:
        """The language's name in itself."""
        return self.babel.get_display_name() or self.code

    @cached_property
    def rtl(self) -> bool:
        """Whether it is written from right to left."""
        return bool(self.babel.text_direction == "rtl")

    @property
    def direction(self) -> str:
        """What the attribute `dir` of an HTML element says: "ltr" or "rtl"."""
        return "rtl" if self.rtl else "ltr"

    def translate(self, message: str, plural_message: str | None = None, count: int | None = None) -> str:
        """The translation, in the form that the language uses for `count`; the message itself if there is none."""
        if plural_message is not None and count != 1:
            return plural_message
        return message

    def pgettext(self, context: str, message: str, plural_message: str | None = None, count: int | None = None) -> str:
        """The translation of a message that means different things in different contexts."""
        return self.translate(message, plural_message, count)

    def format_date(
        self,
        date: int | float | datetime.datetime,
        gmt_offset: int = 0,
        relative: bool = True,
        shorter: bool = False,
        full_format: bool = False,
    ) -> str:
        """A point in time for people: how long ago, then day and time, then the date.

        `date` is UTC: seconds since the epoch or a datetime. `gmt_offset` is the user's, in minutes west of UTC, as
        JavaScript's getTimezoneOffset gives it. `shorter` leaves the time of day away; `full_format` always says all.
        """
        from babel import dates

        when = _as_utc(date)
        now = datetime.datetime.now(datetime.UTC)
        if now < when < now + datetime.timedelta(seconds=60):
            when = now  # a clock that is a little ahead must not say "in 3 seconds"
        ago = datetime.timedelta(seconds=int((now - when).total_seconds()))
        offset = datetime.timedelta(minutes=gmt_offset)
        local, today = when - offset, (now - offset).date()
        if not full_format and relative and datetime.timedelta() <= ago < datetime.timedelta(days=1):
            ago = max(ago, datetime.timedelta(seconds=1))  # "0 seconds ago" is nobody's language
            return dates.format_timedelta(-ago, add_direction=True, locale=self.babel)
        clock = dates.format_time(local.time(), "short", locale=self.babel)
        days = (today - local.date()).days
        if full_format or not 0 <= days < 5 or not relative:
            form = "dated" if full_format or local.year != today.year else "long"
            day = _format_day(local, form, self.babel)
        elif days == 0:
            return clock
        else:  # yesterday too: Babel has no word for it, and "1 day ago, 18:30" is wrong by hours
            day = dates.format_date(local, "EEEE", locale=self.babel)
        if shorter and not full_format:
            return day
        # "{1}, {0}", or as the language joins the two: Japanese has a blank there.
        joined = str(dates.get_datetime_format("medium", locale=self.babel))
        return joined.replace("'", "").replace("{0}", clock).replace("{1}", day)

    def format_day(self, date: int | float | datetime.datetime, gmt_offset: int = 0, dow: bool = True) -> str:
        """Month and day, with the day of the week unless `dow` is False; see format_date for the arguments."""
        local = _as_utc(date) - datetime.timedelta(minutes=gmt_offset)
        return _format_day(local, "full" if dow else "long", self.babel)

    def list(self, parts: Sequence[Any]) -> str:
        """ "A, B and C", as the language puts it."""
        from babel.lists import format_list

        return format_list([str(part) for part in parts], locale=self.babel) if parts else ""

    def friendly_number(self, value: int | float) -> str:
        """A number with the language's separators."""
        from babel.numbers import format_decimal

        return format_decimal(value, locale=self.babel)


def _as_utc(date: int | float | datetime.datetime) -> datetime.datetime:
    if isinstance(date, datetime.datetime):
        return date.replace(tzinfo=datetime.UTC) if date.tzinfo is None else date.astimezone(datetime.UTC)
    return datetime.datetime.fromtimestamp(date, datetime.UTC)


def _format_day(local: datetime.datetime, form: str, language: "babel.Locale") -> str:
    """A date in the language's "full" or "long" form without the year, or in the latter with it ("dated")."""
    from babel import dates

    if form == "dated":
        return dates.format_date(local, "long", locale=language)
    # CLDR has no such form for every language, but what stands around the year is much the same everywhere.
    pattern = _YEAR.sub(" ", language.date_formats[form].pattern)
    return dates.format_date(local, pattern.strip(" ,،"), locale=language)


class CSVLocale(Locale):
    """Translations from a table: form ("plural", "singular", "unknown" or a CLDR category) to message to translation.

    Two forms are what the seed has: "singular" for a count of 1, "plural" for all others. A language that needs more
    names them as CLDR does, "one", "few" and so on, and Babel says which a count takes; such rows go first.
    """

    def __init__(self, code: str, translations: dict[str, dict[str, str]]) -> None:
        super().__init__(code)
        self.translations = translations
        # What a message without a count comes to: most calls by far.
        tables = (translations.get("singular", {}), translations.get("unknown", {}))
        self._plain = {message: text for table in tables for message, text in table.items() if text}

    def translate(self, message: str, plural_message: str | None = None, count: int | None = None) -> str:
        if plural_message is None:
            return self._plain.get(message, message)
        unknown = self.translations.get("unknown", {})
        if self._has_categories and count is not None:
            form = self.translations.get(str(self.babel.plural_form(count)), {})
            found = form.get(plural_message) or form.get(message)
            if found:
                return found
        # Not by the language's rule: the singular text may not name the number ("A person …"), and Russian counts 21
        # and French 0 as singular.
        if count == 1:
            return self.translations.get("singular", {}).get(message) or unknown.get(message) or message
        plural = self.translations.get("plural") or self.translations.get("other", {})
        return plural.get(plural_message) or plural.get(message) or unknown.get(plural_message) or plural_message

    @cached_property
    def _has_categories(self) -> bool:
        return not _CATEGORIES.isdisjoint(self.translations)

    def pgettext(self, context: str, message: str, plural_message: str | None = None, count: int | None = None) -> str:
        """As `translate`; rows of a context are written as `context|message`."""
        marked = self.translate(
            f"{context}|{message}", None if plural_message is None else f"{context}|{plural_message}", count
        )
        if not marked.startswith(f"{context}|"):
            return marked
        return self.translate(message, plural_message, count)


class GettextLocale(Locale):
    """Translations from a compiled gettext catalogue."""

    def __init__(self, code: str, translations: gettext.NullTranslations) -> None:
        super().__init__(code)
        self.translations = translations

    def translate(self, message: str, plural_message: str | None = None, count: int | None = None) -> str:
        if plural_message is not None:
            return self.translations.ngettext(message, plural_message, 1 if count is None else count)
        return self.translations.gettext(message)

    def pgettext(self, context: str, message: str, plural_message: str | None = None, count: int | None = None) -> str:
        if plural_message is not None:
            return self.translations.npgettext(context, message, plural_message, 1 if count is None else count)
        return self.translations.pgettext(context, message)


class _LocaleNames(Mapping[str, dict[str, str]]):
    """`LOCALE_NAMES["es_GT"]` is {"name": "español (Guatemala)", "name_en": "Spanish (Guatemala)"}, from Babel."""

    def __getitem__(self, code: str) -> dict[str, str]:
        if code not in set(self):
            raise KeyError(code)
        known = Locale(code)
        return {"name": known.name, "name_en": known.babel.get_display_name("en") or code}

    def __iter__(self) -> Iterator[str]:
        from babel.localedata import locale_identifiers

        return iter(locale_identifiers())

    def __len__(self) -> int:
        return sum(1 for _ in self)


LOCALE_NAMES: Mapping[str, dict[str, str]] = _LocaleNames()


class _Catalogue:
    """The supported locales of this process and which is the default."""

    def __init__(self) -> None:
        self.default = "en_US"
        self.locales: dict[str, Locale] = {"en_US": Locale("en_US")}
        self.closest: dict[tuple[str, ...], Locale] = {}

    def replace(self, locales: dict[str, Locale]) -> None:
        locales.setdefault(self.default, Locale(self.default))
        self.locales = locales
        self.closest = {}


_catalogue = _Catalogue()


def get(*codes: str) -> Locale:
    """The supported locale closest to the first of `codes` that has one, else the default.

    es_GT is closest to es_GT, then es_419 and es by the language alone, then any of the language's; es-gt is es_GT.
    """
    known = _catalogue.closest.get(codes)
    if known is None:
        known = next((found for code in codes if (found := _find_either(code))), _catalogue.locales[_catalogue.default])
        if len(_catalogue.closest) < 1000:  # what browsers ask for is not ours to bound
            _catalogue.closest[codes] = known
    return known


def _find_either(code: str) -> Locale | None:
    """The locale for a code, or for the same language under the other code that it has."""
    language, joint, rest = code.replace("-", "_").partition("_")
    other = _OTHER_CODES.get(language.lower())
    return _find(code) or (_find(f"{other}{joint}{rest}") if other else None)


def _find(code: str) -> Locale | None:
    if not code or not _CODE.fullmatch(code):
        return None
    locales = _catalogue.locales
    parts = normalize_code(code).split("_")
    for length in range(len(parts), 0, -1):
        found = locales.get("_".join(parts[:length]))
        if found is not None:
            return found
    relatives = sorted(name for name in locales if name.split("_")[0] == parts[0])
    if len(relatives) > 1 and (script := _script_of(code)):
        # Who reads zh_TW, traditional characters, does not read zh_Hans.
        relatives = [name for name in relatives if _script_of(name) == script] or relatives
    # The default first among equals: an English user gets en_US rather than en_AU.
    if _catalogue.default in relatives:
        return locales[_catalogue.default]
    return locales[relatives[0]] if relatives else None


def _script_of(code: str) -> str:
    """The script that a locale is written in, as "Hant"; "" if nobody knows."""
    from babel.core import get_global

    language, *rest = normalize_code(code).split("_")
    written = [part for part in rest if len(part) == 4]
    if written:
        return written[0]
    likely = get_global("likely_subtags")
    known = likely.get("_".join([language, *rest[:1]])) or likely.get(language) or ""
    return next((part for part in known.split("_")[1:] if len(part) == 4), "")


def parse_accept_language(header: str) -> list[str]:
    """The codes of an Accept-Language header, the most wanted first, without those of q=0 (RFC 9110 §12.5.4)."""
    wanted: list[tuple[float, str]] = []
    for item in header.split(",", _MAX_ACCEPTED)[:_MAX_ACCEPTED]:
        code, _, parameters = item.partition(";")
        code = code.strip()
        quality = 1.0
        if parameters:
            match = _QUALITY.fullmatch(parameters)
            if match is None:
                continue
            quality = min(float(match[1]), 1.0)
        if quality > 0 and _CODE.fullmatch(code):
            wanted.append((-quality, normalize_code(code)))
    return [code for _, code in sorted(wanted, key=lambda pair: pair[0])]


def set_default_locale(code: str) -> None:
    """Make `code` the locale of those whose wishes can't be met, and the language of the messages in the code."""
    _catalogue.default = normalize_code(code)
    _catalogue.replace(dict(_catalogue.locales))


def get_supported_locales(_cls: object = None) -> frozenset[str]:
    """The codes of all supported locales. (2011 wanted an argument here; it is taken and not used.)"""
    return frozenset(_catalogue.locales)


def load_translations(directory: str | Path, encoding: str = "utf-8-sig") -> None:
    """Read every `CODE.csv` of a folder: rows of text, translation and, for plurals, "plural" or "singular".

    A language with more forms has "zero", "one", "two", "few", "many" or "other" there; see CSVLocale.

    Empty rows, and rows that begin with "#", are passed over.

    Raises:
        LocaleError: if the folder or a file can't be read, a name is no locale code, or a row is malformed.
    """
    loaded: dict[str, Locale] = {}
    for path in _list_files(directory, "*.csv"):
        if not _CODE.fullmatch(path.stem):
            raise LocaleError(f"{path}: expected the name of a locale, such as es_GT.csv")
        code = normalize_code(path.stem)
        loaded[code] = CSVLocale(code, _read_csv(path, encoding))
    _catalogue.replace(loaded)
    gen_log.debug("locales: %s", ", ".join(sorted(loaded)))


def _list_files(directory: str | Path, pattern: str) -> Iterable[Path]:
    folder = Path(directory)
    if not folder.is_dir():
        raise LocaleError(f"{folder}: no such folder of translations")
    return sorted(folder.glob(pattern))


def _read_csv(path: Path, encoding: str) -> dict[str, dict[str, str]]:
    translations: dict[str, dict[str, str]] = {}
    try:
        with open(path, encoding=encoding, newline="") as file:
            for number, row in enumerate(csv.reader(file, skipinitialspace=True), 1):
                cells = [cell.strip() for cell in row]
                if not any(cells) or cells[0].startswith("#"):
                    continue
                form = (cells[2].lower() if len(cells) > 2 else "") or "unknown"
                if len(cells) < 2 or form not in _FORMS:
                    raise LocaleError(f"{path}:{number}: expected text, translation[, plural|singular|few|…]")
                translations.setdefault(form, {})[cells[0]] = cells[1]
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise LocaleError(f"{path}: {error}") from error
    return translations


def load_gettext_translations(directory: str | Path, domain: str) -> None:
    """Read every `CODE/LC_MESSAGES/DOMAIN.mo` of a folder.

    Raises:
        LocaleError: if the folder or a catalogue can't be read.
    """
    loaded: dict[str, Locale] = {}
    for path in _list_files(directory, f"*/LC_MESSAGES/{domain}.mo"):
        code = normalize_code(path.parents[1].name)
        try:
            with open(path, "rb") as file:
                loaded[code] = GettextLocale(code, gettext.GNUTranslations(file))
        except (OSError, UnicodeDecodeError, ValueError) as error:
            raise LocaleError(f"{path}: {error}") from error
    _catalogue.replace(loaded)
