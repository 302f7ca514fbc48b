"""A few failures of each kind leave nothing; `python -m tests.load.failures` is the long run."""

import pytest

from tests.load.failures import KINDS, run


@pytest.mark.parametrize("kind", KINDS)
def test_failures_say_what_they_are_and_leave_nothing(kind):
    account = run(kind, 100)
    # Few failures in a process that thousands of tests have stirred: here memory says little. The long run looks at it.
    remains = account.find_remains(most_rss_bytes=30_000_000)
    assert not remains, f"{remains}: {account}"
