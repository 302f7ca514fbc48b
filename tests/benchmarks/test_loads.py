"""What the load generators are told, and what is read from what they print."""

from dataclasses import replace
from pathlib import Path

import pytest

from tests.benchmarks.accounting import Usage
from tests.benchmarks.loads import LOADS, LoadError, Outcome, Target, format_command, parse_ab, parse_wrk

AB = """
Concurrency Level:      25
Time taken for tests:   2.500 seconds
Complete requests:      10000
Failed requests:        3
   (Connect: 0, Receive: 0, Length: 3, Exceptions: 0)
Non-2xx responses:      4
Requests per second:    4000.00 [#/sec] (mean)

Percentage of the requests served within a certain time (ms)
  50%      2
  99%     17
 100%     40 (longest request)
"""
WRK = """
  Latency Distribution
     50%  512.00us
     75%    1.00ms
     99%    1.50s
  90000 requests in 1.10m, 12.00MB read
  Socket errors: connect 1, read 2, write 3, timeout 4
  Non-2xx or 3xx responses: 5
Requests/sec:  1363.63
"""


def test_ab() -> None:
    assert parse_ab(AB) == Outcome(10_000, 2.5, 7, 2, 17)


def test_ab_without_failures() -> None:
    text = AB.replace("Failed requests:        3", "Failed requests:        0").replace(
        "Non-2xx responses:      4\n", ""
    )
    assert parse_ab(text).failed == 0


def test_wrk_counts_socket_errors_and_other_answers_as_failed() -> None:
    found = parse_wrk(WRK)
    assert (found.requests, found.failed) == (90_000, 15)
    assert found.seconds == pytest.approx(66)
    assert (found.p50_ms, found.p99_ms) == (pytest.approx(0.512), pytest.approx(1500))


@pytest.mark.parametrize("line", ["Complete requests:", "Time taken for tests:", "Failed requests:"])
def test_ab_that_says_something_else(line: str) -> None:
    with pytest.raises(LoadError, match=line[:8]):
        parse_ab(AB.replace(line, "?"))


def test_wrk_that_says_something_else() -> None:
    with pytest.raises(LoadError, match="unable to connect"):
        parse_wrk("unable to connect to 127.0.0.1:1")


def test_rates() -> None:
    outcome = Outcome(1000, 2.0, 0, 0, 0).with_cpu(Usage(0.05, 0.02))
    assert outcome.rate == 500
    assert outcome.cpu_us == pytest.approx(50)
    assert Outcome(0, 0, 0, 0, 0).rate == Outcome(0, 0, 0, 0, 0).cpu_us == 0


def test_command_of_ab() -> None:
    load = replace(LOADS["ab"], requests=500)
    command = format_command(load, Target("http://127.0.0.1:1/", {"Cookie": "a=b"}), 2)
    assert command[0] == "ab"
    assert command[-1] == "http://127.0.0.1:1/"
    assert "-k" not in command
    assert command[command.index("-n") : command.index("-n") + 2] == ["-n", "500"]
    assert command[command.index("-H") : command.index("-H") + 2] == ["-H", "Cookie: a=b"]
    assert "-k" in format_command(LOADS["ab-k"], Target("http://127.0.0.1:1/"), 2)


def test_command_of_wrk_that_posts() -> None:
    command = format_command(LOADS["wrk25"], Target("http://127.0.0.1:1/", {}, Path("/body")), 2)
    assert command[command.index("-s") + 1].endswith("scripts/post.lua")
    assert command[-3:] == ["http://127.0.0.1:1/", "--", "/body"]


@pytest.mark.parametrize("name", [name for name, load in LOADS.items() if load.script])
def test_scripts_exist(name: str) -> None:
    (script,) = [
        part for part in format_command(LOADS[name], Target("http://127.0.0.1:1/"), 1) if part.endswith(".lua")
    ]
    assert Path(script).is_file()
