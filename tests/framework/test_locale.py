"""Translations from CSV and gettext, the closest locale, dates and numbers."""

import datetime
import io
from collections.abc import Iterator
from pathlib import Path

import pytest
from babel.messages.catalog import Catalog
from babel.messages.mofile import write_mo
from hypothesis import given
from hypothesis import strategies as st

from framework import locale

LIKED = ("A person liked this", "%(num)d people liked this")


@pytest.fixture(autouse=True)
def fresh() -> Iterator[None]:
    before = (locale._catalogue.default, locale._catalogue.locales)
    yield
    locale._catalogue.default, locale._catalogue.locales = before
    locale._catalogue.closest = {}


@pytest.fixture
def csv_files(tmp_path: Path) -> Path:
    (tmp_path / "es_GT.csv").write_text(
        '\ufeff"I love you","Te amo"\n\n# a comment, here\n'
        '"A person liked this","A una persona le gustó esto","singular"\n'
        '"%(num)d people liked this","A %(num)d personas les gustó esto","plural"\n'
        '"%(name)s liked this","A %(name)s les gustó esto"\n"month|May","mayo"\n"May","Puede"\n'
    )
    (tmp_path / "fr.csv").write_text(
        f'"{LIKED[0]}","une","singular"\n"{LIKED[1]}","plusieurs","plural"\n"Hello","Salut"\n'
    )
    locale.load_translations(tmp_path)
    return tmp_path


@pytest.mark.usefixtures("csv_files")
def test_item_079_080_081_translate() -> None:
    user = locale.get("es_GT")
    assert user.translate("I love you") == "Te amo"
    assert user.translate("unknown text") == "unknown text"
    assert user.translate("%(name)s liked this") % {"name": "Ana"} == "A Ana les gustó esto"
    forms = [user.translate(*LIKED, n) % {"num": n} for n in (0, 1, 2)]
    assert forms == ["A 0 personas les gustó esto", "A una persona le gustó esto", "A 2 personas les gustó esto"]
    assert [locale.get("xx").translate(*LIKED, n) for n in (0, 1, 2)] == [LIKED[1], LIKED[0], LIKED[1]]


@pytest.mark.usefixtures("csv_files")
def test_item_080_singular_is_for_one_in_every_language_with_two_forms() -> None:
    assert [locale.get("fr").translate(*LIKED, n) for n in (0, 1, 2)] == ["plusieurs", "une", "plusieurs"]


def test_item_087_csv_may_have_every_plural_form_of_a_language(tmp_path: Path) -> None:
    rows = [(LIKED[0], "один", "singular"), *((LIKED[1], form, form) for form in ("one", "few", "many"))]
    (tmp_path / "ru.csv").write_text("\n".join(",".join(f'"{cell}"' for cell in row) for row in rows))
    locale.load_translations(tmp_path)
    user = locale.get("ru")
    assert [user.translate(*LIKED, n) for n in (1, 2, 5, 21)] == ["one", "few", "many", "one"]
    assert user.translate("%(n)d cats", "%(n)d cats", 2) == "%(n)d cats"


def test_item_087_byte_order_mark_comments_and_empty_rows_are_passed_over(csv_files: Path) -> None:
    assert (csv_files / "es_GT.csv").read_bytes().startswith("\ufeff".encode())
    assert locale.get("es_GT").translate("I love you") == "Te amo"
    assert locale.get("es_GT").translate("# a comment") == "# a comment"


@pytest.mark.parametrize(("wanted", "code"), [("zh_TW", "zh_Hant"), ("zh_CN", "zh_Hans"), ("zh", "zh_Hans")])
def test_closest_is_of_the_same_script(tmp_path: Path, wanted: str, code: str) -> None:
    for name in ("zh_Hans", "zh_Hant"):
        (tmp_path / f"{name}.csv").write_text('"a","b"')
    locale.load_translations(tmp_path)
    assert locale.get(wanted).code == code


@pytest.mark.usefixtures("csv_files")
def test_item_086_088_supported_locales_come_from_the_files() -> None:
    assert locale.get_supported_locales() == {"es_GT", "fr", "en_US"}


@pytest.mark.parametrize(
    ("wanted", "code"),
    [
        (["es_GT"], "es_GT"),
        (["es-gt"], "es_GT"),
        (["es"], "es_GT"),
        (["es_ES"], "es_GT"),
        (["fr_CA"], "fr"),
        (["xx", "fr"], "fr"),
        (["xx"], "en_US"),
        ([], "en_US"),
        (["", "-", "../../etc"], "en_US"),
        (["en"], "en_US"),
        (["fr-Latn-CA"], "fr"),
    ],
)
@pytest.mark.usefixtures("csv_files")
def test_item_089_closest(wanted: list[str], code: str) -> None:
    assert locale.get(*wanted).code == code
    assert locale.Locale.get_closest(*wanted).code == code


@pytest.mark.parametrize(
    ("header", "codes"),
    [
        ("da, en-gb;q=0.8, en;q=0.7", ["da", "en_GB", "en"]),
        ("en;q=0.1,fr;q=1.0,de;q=0", ["fr", "en"]),
        ("*, en;q=x, ;;, de;q=0.5", ["de"]),
        ("", []),
    ],
)
def test_item_083_accept_language(header: str, codes: list[str]) -> None:
    assert locale.parse_accept_language(header) == codes


@given(st.text() | st.text("aen-_;q=.019, *"))
def test_accept_language_never_fails(header: str) -> None:
    assert locale.get(*locale.parse_accept_language(header)).code


def test_item_090_gettext(tmp_path: Path) -> None:
    catalog = Catalog(locale="ru")
    catalog.add(LIKED, ("один", "несколько", "много"))
    catalog.add("Hello", "Привет")
    catalog.add("May", "май", context="month")
    compiled = io.BytesIO()
    write_mo(compiled, catalog)
    folder = tmp_path / "ru" / "LC_MESSAGES"
    folder.mkdir(parents=True)
    (folder / "app.mo").write_bytes(compiled.getvalue())
    locale.load_gettext_translations(tmp_path, "app")
    user = locale.get("ru")
    assert user.translate("Hello") == "Привет" and user.pgettext("month", "May") == "май"
    assert [user.translate(*LIKED, n) for n in (1, 2, 5, 21)] == ["один", "несколько", "много", "один"]


@pytest.mark.usefixtures("csv_files")
def test_pgettext_with_csv() -> None:
    user = locale.get("es_GT")
    assert (user.pgettext("month", "May"), user.pgettext("verb", "May")) == ("mayo", "Puede")


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("not a locale.csv", "", "expected the name of a locale"),
        ("es.csv", "only one cell", "es.csv:1: expected text, translation"),
        ("es.csv", "a,b,c", "es.csv:1: expected text, translation"),
    ],
)
def test_broken_file_is_named(tmp_path: Path, name: str, text: str, message: str) -> None:
    (tmp_path / name).write_text(text)
    with pytest.raises(locale.LocaleError, match=message):
        locale.load_translations(tmp_path)
    with pytest.raises(locale.LocaleError, match="no such folder"):
        locale.load_translations(tmp_path / "none")


@pytest.mark.usefixtures("csv_files")
def test_item_078_code_name_and_direction() -> None:
    assert (locale.get("es_GT").code, locale.get("es_GT").name) == ("es_GT", "español (Guatemala)")
    assert (locale.Locale("he").rtl, locale.Locale("he").direction, locale.Locale("de").direction) == (
        True,
        "rtl",
        "ltr",
    )
    assert locale.Locale("xx").name


def test_set_default_locale() -> None:
    locale.set_default_locale("de")
    assert locale.get("xx").code == "de"


def test_item_090_numbers_and_lists() -> None:
    english, german = locale.Locale("en_US"), locale.Locale("de")
    assert (english.friendly_number(1234567), german.friendly_number(1234567)) == ("1,234,567", "1.234.567")
    assert (english.list(["A", "B", "C"]), german.list(["A", "B"]), english.list([])) == ("A, B, and C", "A und B", "")


@pytest.mark.parametrize(("wanted", "there"), [("nb-NO", "no"), ("no", "nb"), ("iw-IL", "he"), ("in", "id")])
def test_language_with_two_codes(tmp_path: Path, wanted: str, there: str) -> None:
    (tmp_path / f"{there}.csv").write_text('"Hello","x"\n')
    locale.load_translations(tmp_path)
    assert locale.get(wanted).code == there


def test_names_of_locales() -> None:
    assert locale.LOCALE_NAMES["es_GT"] == {"name": "español (Guatemala)", "name_en": "Spanish (Guatemala)"}
    assert "xx_XX" not in locale.LOCALE_NAMES
    assert len(locale.LOCALE_NAMES) > 500


def test_item_090_dates() -> None:
    english = locale.Locale("en_US")
    now = datetime.datetime.now(datetime.UTC)
    ago = datetime.timedelta
    assert english.format_date(now - ago(hours=2)) == "2 hours ago"
    assert locale.Locale("de").format_date((now - ago(minutes=2)).timestamp()) == "vor 2 Minuten"
    assert "second" in english.format_date(now + ago(seconds=20))
    old = datetime.datetime(2011, 2, 28, 18, 30)
    assert english.format_date(old).replace("\u202f", " ") == "February 28, 2011, 6:30 PM"
    assert (
        english.format_date(old, gmt_offset=-60, full_format=True).replace("\u202f", " ")
        == "February 28, 2011, 7:30 PM"
    )
    assert [locale.Locale(code).format_date(old, full_format=True) for code in ("de", "ja", "fr", "pl")] == [
        "28. Februar 2011, 18:30",
        "2011年2月28日 18:30",
        "28 février 2011, 18:30",
        "28 lutego 2011, 18:30",
    ]
    assert "،" in locale.Locale("ar").format_date(old, full_format=True)
    assert english.format_date(old, shorter=True) == "February 28, 2011"
    assert english.format_day(old) == "Monday, February 28"
    assert english.format_day(old, dow=False) == "February 28"
    assert english.format_date(now - ago(seconds=5, milliseconds=10)) == "5 seconds ago"
    assert english.format_date(now) == "1 second ago"
    assert english.format_date(now - ago(days=1, hours=1)).startswith((now - ago(days=1, hours=1)).strftime("%A"))
