"""Where bucket and key stand, and which parts make an object."""

from pathlib import Path

import pytest

from framework.s3server.operations import MIN_PART_BYTES, choose_parts, split_target
from framework.s3server.store import Part, StoreError


@pytest.mark.parametrize(
    ("path", "host", "target"),
    [
        ("/", "x", ("", "")),
        ("/bucket", "x", ("bucket", "")),
        ("/bucket/", "x", ("bucket", "")),
        ("/bucket/a/b", "x:80", ("bucket", "a/b")),
        ("/a/b", "bucket.s3.test:9000", ("bucket", "a/b")),
        ("/bucket/../x", "x", ("bucket", "../x")),
    ],
)
def test_split_target(path: str, host: str, target: tuple[str, str]) -> None:
    assert split_target(path, host, "s3.test") == target


@pytest.mark.parametrize(
    "path", ["/../x", "/UPPER", "/a", "/a..b", "/-abc", "/x" * 2000 + "/k", "/bucket/" + "k" * 1025]
)
def test_split_target_refuses(path: str) -> None:
    with pytest.raises(StoreError) as caught:
        split_target(path, "x", "")
    assert caught.value.status == 400


def _part(number: int, size: int = MIN_PART_BYTES) -> Part:
    return Part(number, Path("/x"), size, f"e{number}", 0)


def test_choose_parts() -> None:
    present = [_part(1), _part(2), _part(7, 3)]
    assert choose_parts([(1, "e1"), (7, "e7")], present) == [present[0], present[2]]


@pytest.mark.parametrize(
    ("wanted", "code"),
    [
        ([(2, "e2"), (1, "e1")], "InvalidPartOrder"),
        ([(1, "e1"), (1, "e1")], "InvalidPartOrder"),
        ([(3, "e3")], "InvalidPart"),
        ([(1, "other")], "InvalidPart"),
        ([(7, "e7"), (8, "e8")], "EntityTooSmall"),
    ],
)
def test_choose_parts_refuses(wanted: list[tuple[int, str]], code: str) -> None:
    with pytest.raises(StoreError) as caught:
        choose_parts(wanted, [_part(1), _part(2), _part(7, 3), _part(8, 3)])
    assert caught.value.code == code
