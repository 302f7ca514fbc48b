"""Real processes, real files: what is watched is changed, and the process starts anew under the same id."""

import logging
import os
import subprocess
import sys
from pathlib import Path

import pytest

from framework import autoreload
from framework.autoreload import Watcher, find_syntax_error

SERVER = """\
import os
import feature
from framework import autoreload
from framework.ioloop import IOLoop
from framework.web import Application

autoreload.add_reload_hook(lambda: 1 / 0)
autoreload.add_reload_hook(lambda: print("hook", flush=True))
autoreload.start(20)
Application([], debug=True).listen(0, "127.0.0.1")
print(feature.answer, os.getpid(), flush=True)
IOLoop.current().start()
"""


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "feature.py").write_text("answer = 1\n")
    (tmp_path / "main.py").write_text(SERVER)
    return tmp_path


@pytest.fixture
def launch(folder):
    started = []
    environment = {**os.environ, "PYTHONPATH": str(Path(autoreload.__file__).parents[1])}

    def launch(*arguments):
        process = subprocess.Popen(
            [sys.executable, *arguments],
            cwd=folder,
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        started.append(process)
        return process

    yield launch
    for process in started:
        process.kill()
        process.communicate()


def save(path, text):
    """Write as a careful editor does: the file is never seen half written, however slow the machine is."""
    draft = path.with_suffix(".draft")
    draft.write_text(text)
    draft.replace(path)


def read_until(process, mark):
    """Lines up to the first that holds the mark."""
    lines = []
    for line in process.stdout:
        lines.append(line)
        if mark in line:
            return "".join(lines)
    raise AssertionError("the process ended: " + "".join(lines))


def test_changed_module_starts_the_process_anew(folder, launch):
    process = launch("main.py")
    assert read_until(process, "1 ").split()[-1] == str(process.pid)
    save(folder / "feature.py", "answer = 22222\n")
    lines = read_until(process, "22222 ")  # longer than what a time of day ends in
    assert "ZeroDivisionError" in lines
    assert "hook\n" in lines
    assert lines.split()[-1] == str(process.pid)


def test_change_that_does_not_compile_leaves_the_old_code_running(folder, launch):
    process = launch("main.py")
    read_until(process, "1 ")
    save(folder / "feature.py", "answer = (\n")
    assert "was never closed" in read_until(process, "does not compile")
    save(folder / "feature.py", "answer = 333\n")
    read_until(process, "333 ")


@pytest.mark.parametrize("how", [["-m", "main"], ["main.py"]])
def test_command_outlives_an_error_at_the_start(folder, launch, how):
    save(folder / "feature.py", "answer = 1 / 0\n")
    process = launch("-m", "framework.autoreload", *how)
    assert "ZeroDivisionError" in read_until(process, "starts anew when")
    save(folder / "feature.py", "answer = 4444\n")
    read_until(process, "4444 ")


def test_until_success(folder, launch):
    (folder / "once.py").write_text("import sys, feature\nprint(sys.argv[1:], flush=True)\nsys.exit(feature.answer)\n")
    process = launch("-m", "framework.autoreload", "--until-success", "once.py", "--flag", "x")
    assert "['--flag', 'x']" in read_until(process, "starts anew when")
    save(folder / "feature.py", "answer = None\n")
    read_until(process, "['--flag', 'x']")
    assert process.wait(30) == 0


def test_watcher_tells_a_change_once(tmp_path):
    path = tmp_path / "a.html"
    watcher = Watcher()
    assert watcher.find_change([str(path)]) is None
    path.write_text("a")
    assert find_all(watcher, path) == [None, str(path), None]
    path.unlink()
    assert find_all(watcher, path) == [None, str(path), None]


def test_watcher_waits_until_a_file_is_whole(tmp_path):
    path = tmp_path / "a.py"
    path.write_text("answer = 1\n")
    watcher = Watcher()
    assert watcher.find_change([str(path)]) is None
    path.write_text("")
    assert watcher.find_change([str(path)]) is None
    path.write_text("answer = (\n")
    assert find_all(watcher, path) == [None, str(path), None]


def find_all(watcher, path):
    """What three looks in a row find."""
    return [watcher.find_change([str(path)]) for _ in range(3)]


def test_watched_file(tmp_path, monkeypatch):
    monkeypatch.setattr(autoreload, "_watched", set())
    autoreload.watch(str(tmp_path / "es_ES.csv"))
    assert str(tmp_path / "es_ES.csv") in autoreload.watched_files()
    assert autoreload.__file__ in autoreload.watched_files()


def test_what_is_not_python_always_compiles(tmp_path):
    page = tmp_path / "page.html"
    page.write_text("{% if %}")
    assert find_syntax_error(str(page)) is None
    assert find_syntax_error(str(tmp_path / "gone.py")) is None


def test_change_is_logged(tmp_path, monkeypatch, caplog):
    started = []
    monkeypatch.setattr(autoreload.os, "execv", lambda *command: started.append(command))
    monkeypatch.setattr(autoreload, "_hooks", [])
    path = tmp_path / "page.html"
    monkeypatch.setattr(autoreload, "_watched", {str(path)})
    watcher = Watcher()
    watcher.find_change([str(path)])
    path.write_text("x")
    with caplog.at_level(logging.INFO):
        autoreload._check(watcher)
        autoreload._check(watcher)
    assert "page.html has changed" in caplog.text
    assert started == [(sys.executable, [sys.executable, *sys.orig_argv[1:]])]
