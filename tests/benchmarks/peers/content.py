"""What every contestant serves: the same words, rows and files, so that the bodies can be compared byte for byte."""

import csv
import os
from pathlib import Path

HERE = Path(__file__).parent
TEMPLATES = HERE / "templates"
TRANSLATIONS = HERE / "translations"

HELLO = "Hello, world"
SECRET = "a long secret that is only good for measuring 0123456789abcdef"
USER = "Ann & Bob"
LANGUAGES = ("en", "es")

# 64 KB in, this out; 1 MB out.
POST_BYTES = 65_536
BIG_BYTES = 1_048_576
STATIC_FOLDER = Path(os.environ.get("BENCH_STATIC", "/tmp"))
BIG_FILE = "big.bin"
ROUTES = int(os.environ.get("BENCH_ROUTES", "1000"))

ENTRIES = [
    {"title": f"Entry {number} & more", "author": f"author {number}", "likes": number, "text": "Some words. " * 8}
    for number in range(10)
]

DATABASE_SOCKET = os.environ.get("BENCH_DATABASE", "")
DATABASE_USER, DATABASE_PASSWORD, DATABASE_NAME = "test", "secret", "test"
POOL_SIZE = 8
ROW_ID = 7
ROW_QUERY = "SELECT id, title, author, likes FROM entry WHERE id = %s"
ROWS_QUERY = "SELECT id, title, author, likes FROM entry ORDER BY id LIMIT 20"
COLUMNS = ("id", "title", "author", "likes")


def read_catalogues() -> dict[str, dict[str, str]]:
    """Translations by language, for the peers that have no catalogue of their own: a dictionary is what costs least."""
    catalogues: dict[str, dict[str, str]] = {language: {} for language in LANGUAGES}
    for path in TRANSLATIONS.glob("*.csv"):
        with open(path, encoding="utf-8", newline="") as file:
            catalogues[path.stem] = dict(row[:2] for row in csv.reader(file))
    return catalogues


def choose_language(accept_language: str) -> str:
    """The first language of the header that we have: less than a whole negotiation, in the peers' favour."""
    for part in accept_language.split(","):
        language = part.partition(";")[0].strip()[:2]
        if language in LANGUAGES:
            return language
    return LANGUAGES[0]
