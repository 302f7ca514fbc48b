"""One S3 server for all that only use it."""

from collections.abc import Iterator

import pytest

from tests.support import s3


@pytest.fixture(scope="module")
def port(tmp_path_factory: pytest.TempPathFactory) -> Iterator[int]:
    """The port of an S3 server in a thread of its own."""
    with s3.serve(tmp_path_factory.mktemp("s3")) as port:
        yield port
