"""A second of each fuzz target, so that the targets stay runnable; the long runs are commands (see each target)."""

import pytest

from tests.fuzz import cookies, handlers, http1, languages, links, multipart, templates, websocket


@pytest.mark.parametrize(
    "target",
    [cookies, handlers, http1, languages, links, multipart, templates, websocket],
    ids=lambda target: target.__name__,
)
def test_fuzz_for_a_second(target):
    assert target.run(seconds=1) > 0
