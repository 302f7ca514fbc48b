"""What the app container says about wrong settings: one sentence, with what to do."""

import subprocess
from pathlib import Path

import pytest

SETTINGS = Path(__file__).parents[2] / "docker" / "app" / "settings.sh"


def run(script: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["sh", "-euc", f". {SETTINGS}; {script}"],
        env={"PATH": "/usr/local/bin:/usr/bin:/bin"} | environment,
        capture_output=True,
        text=True,
    )


@pytest.mark.parametrize("slots", ["1", "2", "16", "128"])
def test_slots_as_a_number(slots: str) -> None:
    assert run("choose_slots; echo $SLOTS", SLOTS=slots).stdout == f"{slots}\n"


def test_slots_auto_is_at_least_one() -> None:
    assert int(run("choose_slots; echo $SLOTS", SLOTS="auto").stdout) >= 1


@pytest.mark.parametrize("slots", ["many", "0", "-1", "2.5", "129", "1 2", "99999", "0x2"])
def test_slots_that_are_wrong(slots: str) -> None:
    done = run("choose_slots", SLOTS=slots)
    assert done.returncode == 1
    assert done.stderr == f"app: SLOTS is '{slots}'; set it to a number from 1 to 128, or to auto (one per core)\n"


@pytest.mark.parametrize(
    ("settings", "scheduling_class"),
    [({}, "SCHED_BATCH"), ({"SCHEDULING": "batch"}, "SCHED_BATCH"), ({"SCHEDULING": "normal"}, "SCHED_OTHER")],
)
def test_scheduling_reaches_what_is_started(settings: dict[str, str], scheduling_class: str) -> None:
    done = run("choose_scheduling; exec chrt --pid $$", **settings)
    assert done.stdout.splitlines()[0].endswith(scheduling_class)
    assert done.stderr == ""


def test_scheduling_that_the_kernel_refuses(tmp_path: Path) -> None:
    chrt = tmp_path / "chrt"
    chrt.write_text("#!/bin/sh\nexit 1\n")
    chrt.chmod(0o755)
    done = run("choose_scheduling; echo on", PATH=f"{tmp_path}:/usr/bin:/bin")
    assert done.stdout == "on\n"
    assert done.stderr == "app: the kernel refuses SCHEDULING=batch; going on as with normal\n"


def test_scheduling_that_is_wrong() -> None:
    done = run("choose_scheduling", SCHEDULING="fast")
    assert done.returncode == 1
    assert done.stderr == "app: SCHEDULING is 'fast'; set it to batch or normal\n"


@pytest.mark.parametrize("size", ["much", "", "-1", "1.5g", "1 g", "32mb"])
def test_size_that_is_wrong(size: str) -> None:
    done = run(f"check_size MAX_BODIES '{size}'")
    assert done.returncode == 1
    assert done.stderr == f"app: MAX_BODIES is '{size}'; expected a size, such as 32m\n"


@pytest.mark.parametrize("size", ["0", "1000", "256k", "32m", "1g"])
def test_size_that_is_right(size: str) -> None:
    assert run(f"check_size MAX_BODIES '{size}'").returncode == 0


def test_secret_from_a_file(tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("x")
    assert run("file_setting COOKIE_SECRET", COOKIE_SECRET_FILE=str(tmp_path / "secret")).returncode == 0


@pytest.mark.parametrize(
    ("environment", "sentence"),
    [
        ({}, "COOKIE_SECRET is not set; set COOKIE_SECRET_FILE to a file"),
        ({"COOKIE_SECRET": "x", "COOKIE_SECRET_FILE": "/y"}, "COOKIE_SECRET and COOKIE_SECRET_FILE are both set"),
        ({"COOKIE_SECRET_FILE": "/nowhere"}, "COOKIE_SECRET_FILE names /nowhere, which is missing or empty"),
        ({"COOKIE_SECRET_FILE": "/dev/null"}, "COOKIE_SECRET_FILE names /dev/null, which is missing or empty"),
    ],
)
def test_secret_that_is_wrong(environment: dict[str, str], sentence: str) -> None:
    done = run("file_setting COOKIE_SECRET", **environment)
    assert done.returncode == 1
    assert sentence in done.stderr
    assert done.stderr.count("\n") == 1


def test_disk_that_is_full(tmp_path: Path) -> None:
    done = run(f"need_space {tmp_path}", DISK_MIN_MB="999999999")
    assert done.returncode == 1
    assert f"{tmp_path} has only" in done.stderr
    assert "free some space" in done.stderr
