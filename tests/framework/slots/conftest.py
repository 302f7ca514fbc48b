"""What slots keep for the whole process does not outlive a test."""

from collections.abc import Iterator

import pytest

from framework.slots import hooks


@pytest.fixture(autouse=True)
def not_releasing() -> Iterator[None]:
    yield
    hooks.set_releasing(False)
