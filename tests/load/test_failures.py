"""A few failures of each kind leave nothing; `python -m tests.load.failures` is the long run."""

import pytest

from tests.load.failures import KINDS, run


@pytest.mark.parametrize("kind", KINDS)
def test_failures_say_what_they_are_and_leave_nothing(kind):
    account = run(kind, 100)
    assert not account.find_remains(), account
