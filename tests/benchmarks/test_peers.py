"""What `make bench-peers` may be asked for."""

import pytest

from tests.benchmarks.peers.__main__ import parse_arguments
from tests.benchmarks.peers.jobs import JOBS


def test_whole_run() -> None:
    parsed = parse_arguments(["--publish"])
    assert parsed.jobs.split(",") == [*JOBS]
    assert "squall" in [contestant.name for contestant in parsed.chosen]


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["--publish", "--jobs", "page"], "expected a whole run"),
        (["--publish", "--peers", "squall"], "expected a whole run"),
        (["--jobs", "page,nothing"], "--jobs: unknown: nothing"),
        (["--peers", "nobody"], "nobody is called nobody"),
    ],
)
def test_wrong_arguments(arguments: list[str], sentence: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        parse_arguments(arguments)
    assert sentence in capsys.readouterr().err


def test_stack_alone_measures_nothing_else() -> None:
    parsed = parse_arguments(["--stack", "only"])
    assert (parsed.jobs, parsed.memory) == ("none", "no")
