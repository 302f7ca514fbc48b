"""Settings of the application, and what is said about wrong ones."""

from pathlib import Path

import pytest

from app.settings import read_settings
from framework.options import OptionError

GOOD = {"COOKIE_SECRET": "0123456789abcdef", "DB_SOCKET": "/run/db/s", "DB_PASSWORD": "secret"}


def test_settings_from_the_environment(tmp_path: Path) -> None:
    secret = tmp_path / "cookie_secret"
    secret.write_text("the new one, it signs\nthe old one, still believed\n")
    settings = read_settings(
        {**GOOD, "COOKIE_SECRET": "", "COOKIE_SECRET_FILE": str(secret), "BUS_HOST": "bus", "SLOT": "3"}
    )
    assert settings.cookie_secrets == ("the new one, it signs", "the old one, still believed")
    assert (settings.bus, settings.database.host, settings.slot) == ("bus:6379", "/run/db/s", "3")
    assert "secret" not in repr(settings.database) and "signs" not in repr(settings)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"COOKIE_SECRET": ""}, "COOKIE_SECRET is not set, nor COOKIE_SECRET_FILE; see .env.example"),
        (
            {"COOKIE_SECRET": "short"},
            "COOKIE_SECRET: expected at least 16 characters; make one with: openssl rand -hex 32",
        ),
        ({"DB_PORT": "x"}, "DB_PORT: expected a whole number, got 'x'"),
    ],
)
def test_wrong_settings_are_one_sentence(changes: dict[str, str], message: str) -> None:
    with pytest.raises(OptionError) as caught:
        read_settings({**GOOD, **changes})
    assert str(caught.value) == message
