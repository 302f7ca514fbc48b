"""Servers under measurement, and the verdict on what they answer."""

import dataclasses
import os
import sys
import textwrap
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.benchmarks import accounting
from tests.benchmarks.loads import LOADS, Target
from tests.benchmarks.peers import contestants, measuring
from tests.benchmarks.peers.jobs import JOBS, prepare_headers, verify
from tests.benchmarks.servers import (
    Command,
    Server,
    ServerError,
    awake,
    choose_cores,
    find_free_port,
    on_core_of_load,
    python_of,
    rest,
    state_of,
)

PROGRAM = """
import http.server, subprocess, sys
child = subprocess.Popen([sys.executable, "-c", "sum(range(3_000_000)); import time; time.sleep(60)"])
class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        body = sys.argv[2].encode()
        self.send_response(200); self.send_header("Content-Length", str(len(body))); self.end_headers()
        self.wfile.write(body)
    def log_message(self, *args): pass
http.server.HTTPServer(("127.0.0.1", int(sys.argv[1])), Handler).serve_forever()
"""


def make_command(body: str, folder: Path) -> Command:
    program = folder / "program.py"
    program.write_text(textwrap.dedent(PROGRAM))
    port = find_free_port()
    return Command("other", [sys.executable, str(program), str(port), body], port)


@pytest.fixture
def squall(tmp_path: Path) -> Iterator[Server]:
    (ours,) = contestants.select(["squall"])
    plan = measuring.Plan([ours], ["page"], ["wrk25"], 1, 1, None, tmp_path)
    with Server(dataclasses.replace(measuring.make_command(ours, plan, ""), core=None), tmp_path) as server:
        yield server


@pytest.mark.parametrize("name", ["hello", "page", "routes", "post"])
def test_our_answers_are_verified(squall: Server, name: str) -> None:
    verify(JOBS[name], squall, "", prepare_headers(JOBS[name], squall, ""))


def test_page_without_its_session_is_refused(squall: Server) -> None:
    with pytest.raises(ServerError, match="page"):
        verify(JOBS["page"], squall, "", {"Accept-Language": "es"})


@pytest.mark.parametrize("body", ["Hello, World", "", "Hello, world!"])
def test_another_body_is_refused(tmp_path: Path, body: str) -> None:
    with (
        Server(make_command(body, tmp_path), tmp_path) as server,
        pytest.raises(ServerError, match="expected 'Hello, world'"),
    ):
        verify(JOBS["hello"], server, "", {})


def test_children_are_counted_and_ended(tmp_path: Path) -> None:
    with Server(make_command("Hello, world", tmp_path), tmp_path) as server:
        verify(JOBS["hello"], server, "", {})
        tree = accounting.list_tree([server.pid])
        assert len(tree) == 2
        assert accounting.measure_memory([server.pid]).processes == 2
        assert server.usage().cpu_s > 0
    assert all(state_of(pid) in "XZ" for pid in tree)


def test_who_rests_takes_no_time_and_is_ended_all_the_same(tmp_path: Path) -> None:
    with Server(make_command("Hello, world", tmp_path), tmp_path) as server:
        rest([server.pid])
        tree = accounting.list_tree([server.pid])
        assert [state_of(pid) for pid in tree] == ["T", "T"]
        with awake([server.pid]):
            verify(JOBS["hello"], server, "", {})
        assert [state_of(pid) for pid in tree] == ["T", "T"]
        before = server.usage()
        time.sleep(0.2)
        assert server.usage() == before
    assert all(state_of(pid) in "XZ" for pid in tree)


def test_server_that_ends_at_once_says_why(tmp_path: Path) -> None:
    command = Command("short", [sys.executable, "-c", "raise SystemExit('no such thing')"], find_free_port())
    with pytest.raises(ServerError, match="short: exit 1: no such thing"), Server(command, tmp_path):
        pass


def test_contestant_that_was_not_installed(tmp_path: Path) -> None:
    (tmp_path / "robyn.failed").write_text("no wheel for this machine\n")
    (robyn,) = contestants.select(["robyn"])
    plan = measuring.Plan([robyn], ["hello"], ["wrk25"], 1, 1, tmp_path, tmp_path)
    with pytest.raises(ServerError, match="not installable here: no wheel for this machine"):
        measuring.make_command(robyn, plan, "")


def test_unknown_contestant() -> None:
    with pytest.raises(ValueError, match="nobody is called nobody; there are squall, "):
        contestants.select(["squall", "nobody"])


def test_places() -> None:
    assert python_of(Path("/peers"), "main") == "/peers/main/bin/python"
    assert python_of(None, "main") == sys.executable
    server, load = choose_cores()
    assert server is None or server != load


def test_core_of_the_load_is_given_back() -> None:
    before = os.sched_getaffinity(0)
    with on_core_of_load():
        server, load = choose_cores()
        assert os.sched_getaffinity(0) == ({load} if load is not None else before)
        assert server not in os.sched_getaffinity(0) or server is None
    assert os.sched_getaffinity(0) == before


def test_server_has_the_other_core(tmp_path: Path) -> None:
    core = choose_cores()[0]
    command = dataclasses.replace(make_command("Hello, world", tmp_path), core=core)
    with on_core_of_load(), Server(command, tmp_path) as server:
        assert os.sched_getaffinity(server.pid) == ({core} if core is not None else os.sched_getaffinity(0))


def test_cpu_time_is_counted_finely() -> None:
    before, begun_s = accounting.measure([os.getpid()]), time.process_time()
    while time.process_time() - begun_s < 0.003:
        pass
    # Less than /proc counts in.
    assert 0.003 <= (accounting.measure([os.getpid()]) - before).cpu_s < 1


def test_load_that_fails_is_tried_twice(squall: Server, tmp_path: Path) -> None:
    (ours,) = contestants.select(["squall"])
    plan, findings = measuring.Plan([ours], ["hello"], ["ab"], 5, 1, None, tmp_path), measuring.Findings()
    nobody = Target(f"http://127.0.0.1:{find_free_port()}/")
    measuring._measure_load(JOBS["hello"], LOADS["ab"], [(ours, squall, nobody)], plan, findings, lambda text: None)
    assert list(findings.absent) == ["squall, hello, ab, round 0", "squall, hello, ab, round 1"]
    assert findings.rows == []


def test_load_with_narrow_targets_has_more_rounds_by_fresh_processes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (ours,) = contestants.select(["squall"])
    plan, findings = measuring.Plan([ours], ["hello"], ["ab", "ab-k"], 1, 0.1, None, tmp_path), measuring.Findings()
    job = dataclasses.replace(JOBS["hello"], round_factors={"ab": 3})
    started: list[str] = []
    make_command = measuring.make_command
    monkeypatch.setattr(measuring, "make_command", lambda *given: started.append(given[0].name) or make_command(*given))
    measuring._measure_job(job, plan, tmp_path, "", findings, lambda text: None)
    assert [(row["load"], row["round"]) for row in findings.rows] == [("ab", 1), ("ab-k", 1), ("ab", 2), ("ab", 3)]
    assert started == ["squall"] * 3


def test_stat_with_an_odd_name() -> None:
    text = "7 (a ) b) S 1 2 3 4 5 6 7 8 9 10 " + " ".join(["100", "200", "10", "20"]) + " 20 0"
    ticks = accounting.TICKS_PER_S
    assert accounting.parse_stat(text) == (110 / ticks, 220 / ticks)
