"""Static files come from nginx: exactly the bytes of a known hash for ever, otherwise today's, uncached."""

import pytest
from statics import hash_file, publish

from tests.support.front import Front

IMMUTABLE = "public, max-age=31536000, immutable"


@pytest.fixture
def versions(front: Front) -> list[str]:
    """The hashes of feed.js in the release before and in today's."""
    source = front.folder / "app"
    source.mkdir()
    hashes = []
    for content in ("before", "today"):
        (source / "feed.js").write_text(content)
        publish(source, front.folder / "statics")
        hashes.append(hash_file(source / "feed.js"))
    for path in (front.folder / "statics").rglob("*"):
        path.chmod(0o755 if path.is_dir() else 0o644)
    return hashes


@pytest.mark.parametrize(("release", "content"), [(0, "before"), (1, "today")])
def test_item_076_known_hash_gives_its_bytes(front: Front, versions: list[str], release: int, content: str) -> None:
    answer = front.ask(f"/static/feed.js?v={versions[release]}")
    assert (answer.status, answer.body) == (200, content)
    assert answer.headers["cache-control"] == IMMUTABLE
    assert answer.headers["x-content-type-options"] == "nosniff"


@pytest.mark.parametrize("query", ["", "?v=0123456789", "?v=../../..", "?v=%2e%2e", "?v=none", "?w=1"])
def test_unknown_hash_gives_todays_file_uncached(front: Front, versions: list[str], query: str) -> None:
    answer = front.ask(f"/static/feed.js{query}")
    assert (answer.status, answer.body) == (200, "today")
    assert answer.headers["cache-control"] == "no-cache"


@pytest.mark.parametrize(
    "target",
    [
        "/static/../../source/nginx.conf",
        "/static/%2e%2e/releases.json",
        "/static/..%2freleases.json",
        "/static../releases.json",
        "/static/.v/",
        "/static/missing.js",
        "/uploaded/picture.png",
        "/.git/config",
        "/.env",
    ],
)
def test_nothing_else_can_be_reached(front: Front, versions: list[str], target: str) -> None:
    assert front.ask(target).status in {400, 404, 503}
    assert "before" not in front.ask(target).body


def test_handler_lets_nginx_send_an_upload(front: Front) -> None:
    (front.folder / "uploads/picture.png").write_text("picture")
    allowed = b"HTTP/1.1 200 OK\r\nX-Accel-Redirect: /uploaded/picture.png\r\nContent-Length: 0\r\n\r\n"
    front.frontend(0, lambda head: allowed)
    assert front.ask("/pictures/1").body == "picture"


def test_static_files_need_no_frontend(front: Front, versions: list[str]) -> None:
    assert front.ask("/static/feed.js").status == 200
    assert front.ask("/").status == 503
