"""Which job can be profiled under which load."""

import pytest

from tests.benchmarks import profile


@pytest.mark.parametrize(
    ("arguments", "load"),
    [
        ([], "wrk25"),
        (["--job", "page"], "wrk25"),
        (["--job", "page", "--load", "ab-k"], "ab-k"),
        (["--job", "echo"], "echo"),
        (["--job", "crowd"], "crowd"),
        (["--job", "stack", "--load", "ab"], "ab"),
    ],
)
def test_load_of_a_job(arguments: list[str], load: str) -> None:
    assert profile.parse_arguments(arguments).load == load


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["--job", "echo", "--load", "ab"], "the job echo has echo, got 'ab'"),
        (["--load", "hey"], "got 'hey'"),
    ],
)
def test_load_that_a_job_has_not(arguments: list[str], sentence: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        profile.parse_arguments(arguments)
    assert sentence in capsys.readouterr().err
