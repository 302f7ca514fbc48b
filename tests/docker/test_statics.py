"""What nginx finds in the store after a release was published, and after five more."""

import hashlib
from pathlib import Path

import pytest
from statics import decide_kept, publish


def version(content: str) -> str:
    return hashlib.sha256(content.encode()).hexdigest()[:10]


def release(source: Path, content: str) -> None:
    (source / "js").mkdir(parents=True, exist_ok=True)
    (source / "js" / "feed.js").write_text(content)


def test_publish_puts_a_file_under_its_name_and_its_hash(tmp_path: Path) -> None:
    release(tmp_path / "app", "one")
    assert publish(tmp_path / "app", tmp_path / "store") == 1
    static = tmp_path / "store" / "static"
    assert (static / "js/feed.js").read_text() == "one"
    assert (static / ".v" / version("one") / "static/js/feed.js").read_text() == "one"


def test_publish_keeps_the_bytes_of_the_release_before(tmp_path: Path) -> None:
    for content in ("one", "two"):
        release(tmp_path / "app", content)
        publish(tmp_path / "app", tmp_path / "store")
    static = tmp_path / "store" / "static"
    assert (static / "js/feed.js").read_text() == "two"
    assert (static / ".v" / version("one") / "static/js/feed.js").read_text() == "one"


def test_publish_drops_the_sixth_release(tmp_path: Path) -> None:
    for content in ("0", "1", "2", "3", "4", "5"):
        release(tmp_path / "app", content)
        publish(tmp_path / "app", tmp_path / "store")
    static = tmp_path / "store" / "static" / ".v"
    kept = [content for content in "012345" if (static / version(content) / "static/js/feed.js").exists()]
    assert kept == ["1", "2", "3", "4", "5"]


@pytest.mark.parametrize(
    ("releases", "current", "expected"),
    [
        ([], ["a"], [["a"]]),
        ([["a"]], ["a"], [["a"]]),
        ([["b"], ["a"]], ["a"], [["a"], ["b"]]),
        ([["5"], ["4"], ["3"], ["2"], ["1"]], ["6"], [["6"], ["5"], ["4"], ["3"], ["2"]]),
    ],
)
def test_decide_kept(releases: list[list[str]], current: list[str], expected: list[list[str]]) -> None:
    assert decide_kept(releases, current) == expected


def test_publish_leaves_no_half_written_file(tmp_path: Path) -> None:
    release(tmp_path / "app", "one")
    publish(tmp_path / "app", tmp_path / "store")
    assert not [path.name for path in (tmp_path / "store").rglob("*.new")]
