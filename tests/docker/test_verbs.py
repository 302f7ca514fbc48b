"""What the verbs say before they do anything: wrong settings stop with one sentence."""

import re
import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PLAIN = {"PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"}


@pytest.fixture
def clone(tmp_path: Path) -> Path:
    """As much of a fresh clone as the verbs read."""
    shutil.copytree(ROOT / "docker" / "ops", tmp_path / "docker" / "ops")
    for name in (".env.example", "Makefile"):
        shutil.copy(ROOT / name, tmp_path / name)
    (tmp_path / "bundle.crt").write_text("-")
    (tmp_path / "app").mkdir()
    return tmp_path


def check(clone: Path, **settings: str) -> subprocess.CompletedProcess[str]:
    environment = {**PLAIN, "CA_BUNDLE": str(clone / "bundle.crt"), **settings}
    verb = ["sh", str(clone / "docker/ops/check-settings.sh")]
    return subprocess.run(verb, env=environment, capture_output=True, text=True)


def test_defaults_are_right(clone: Path) -> None:
    assert check(clone).returncode == 0


@pytest.mark.parametrize(
    ("settings", "sentence"),
    [
        ({"SLOTS": "many"}, "SLOTS is 'many'; set it to a number from 1 to 128, or to auto (one per core)"),
        ({"SLOTS": "0"}, "SLOTS is '0'; set it to a number from 1 to 128, or to auto (one per core)"),
        ({"SCHEDULING": "fast"}, "SCHEDULING is 'fast'; set it to batch or normal"),
        ({"MAX_BODY": "much"}, "MAX_BODY is 'much'; expected a size, such as 32m"),
        ({"BODY_MEMORY": "1.5m"}, "BODY_MEMORY is '1.5m'; expected a size, such as 32m"),
        ({"MAX_BODIES": "-1"}, "MAX_BODIES is '-1'; expected a size, such as 32m"),
        ({"SLOTS": "129"}, "SLOTS is '129'; set it to a number from 1 to 128, or to auto (one per core)"),
        ({"NGINX_LISTEN": "http"}, "NGINX_LISTEN is 'http'; expected an address and a port, such as 127.0.0.1:8080"),
        ({"NGINX_LISTEN": "127.0.0.1:70000"}, "NGINX_LISTEN is '127.0.0.1:70000'; a port is at most 65535"),
        ({"CA_BUNDLE": "/nowhere"}, "CA_BUNDLE is /nowhere, which cannot be read"),
        ({"APP_DIR": "../shop"}, "APP_DIR is '../shop', which is no folder of this repository"),
    ],
)
def test_wrong_setting_stops_with_one_sentence(clone: Path, settings: dict[str, str], sentence: str) -> None:
    done = check(clone, **settings)
    assert done.returncode == 1
    assert sentence in done.stderr
    assert done.stderr.count("\n") == 1


def test_setting_from_the_file(clone: Path) -> None:
    (clone / ".env").write_text("# mine\nSLOTS=many\n")
    assert "SLOTS is 'many'" in check(clone).stderr


def test_environment_wins_over_the_file(clone: Path) -> None:
    (clone / ".env").write_text("SLOTS=many\n")
    assert check(clone, SLOTS="2").returncode == 0


def test_misspelt_setting_is_named(clone: Path) -> None:
    (clone / ".env").write_text("SLOT=2\n")
    done = check(clone)
    assert done.returncode == 1
    assert done.stderr == "squall: SLOT in .env is not a setting; .env.example lists them all\n"


def test_every_setting_of_compose_is_explained() -> None:
    used = set()
    for name in ("compose.yaml", "compose.publish.yaml"):
        used |= set(re.findall(r"\$\{([A-Z_]+)", (ROOT / name).read_text()))
    explained = set(re.findall(r"^#?([A-Z][A-Z_]*)=", (ROOT / ".env.example").read_text(), re.MULTILINE))
    assert used <= explained


def test_defaults_that_are_explained_are_those_of_compose() -> None:
    used = dict(re.findall(r"\$\{([A-Z_]+):-([^}]*)\}", (ROOT / "compose.yaml").read_text()))
    explained = dict(re.findall(r"^#([A-Z][A-Z_]*)=(.*)$", (ROOT / ".env.example").read_text(), re.MULTILINE))
    assert {name: explained[name] for name in used} == used


def test_help_lists_every_verb(clone: Path) -> None:
    listed = subprocess.run(["make", "-C", str(clone)], env=PLAIN, capture_output=True, text=True).stdout
    phony = re.search(r"^\.PHONY: (.*)$", (ROOT / "Makefile").read_text(), re.MULTILINE)
    assert phony is not None
    for verb in phony.group(1).split():
        assert re.search(rf"^  {verb} +\S", listed, re.MULTILINE), verb


def test_destroy_data_does_nothing_without_the_right_answer(clone: Path) -> None:
    verb = ["sh", str(clone / "docker/ops/destroy-data.sh")]
    done = subprocess.run(verb, env=PLAIN, input="yes\n", capture_output=True, text=True)
    assert done.returncode == 1
    assert done.stderr == "squall: that is not 'squall': nothing was removed\n"


@pytest.mark.parametrize("path", sorted((ROOT / "docker").rglob("*.sh")), ids=lambda path: path.name)
def test_scripts_are_plain_shell(path: Path) -> None:
    assert subprocess.run(["sh", "-n", str(path)], capture_output=True, text=True).stderr == ""


def test_pip_settings_of_the_machine_are_merged(tmp_path: Path) -> None:
    (tmp_path / "pip.conf").write_text(
        "[global]\nindex-url = https://one.example/simple\ncert = /etc/one.crt\n[install]\nfind-links =\n    a\n    b\n"
    )
    environment = {**PLAIN, "HOME": str(tmp_path), "PIP_CONFIG_FILE": str(tmp_path / "pip.conf"), "PIP_RETRIES": "7"}
    script = str(ROOT / "docker/ops/pip-conf.sh")
    merged = subprocess.run(["sh", script], env=environment, capture_output=True, text=True).stdout
    assert merged.startswith("[global]\n")
    assert "index-url = https://one.example/simple\n" in merged
    assert "retries = 7\n" in merged
    assert "find-links = \n    a\n    b\n" in merged
    assert "cert" not in merged
