"""Publish an application's static files for nginx: today's under their names, and every release's under their hash.

    STORE/static/feed.js               today's file, served uncached
    STORE/static/.v/HASH/static/feed.js  exactly the bytes that `static_url("feed.js")` named, served for ever

Hashes of the last five releases stay, so a page that was loaded before a deploy finds its own scripts after it.
Runs before the frontends start: a page never names a file that nginx does not have.
"""

import hashlib
import json
import os
import shutil
import sys
from pathlib import Path

KEPT_RELEASES = 5


def hash_file(path: Path) -> str:
    """The hash that `static_url` puts into `?v=`: the first ten hex digits of the content's SHA-256."""
    return hashlib.sha256(path.read_bytes()).hexdigest()[:10]


def decide_kept(releases: list[list[str]], current: list[str]) -> list[list[str]]:
    """The releases to keep, newest first, the current one included once; each is the list of its files in the store."""
    return [current, *(release for release in releases if release != current)][:KEPT_RELEASES]


def publish_file(source: Path, target: Path) -> None:
    """Put the bytes of `source` at `target` by one rename: nginx never sends half a file."""
    target.parent.mkdir(parents=True, exist_ok=True)
    partial = target.with_name(f".{target.name}.{os.getpid()}.new")
    shutil.copyfile(source, partial)
    partial.chmod(0o640)
    partial.rename(target)


def publish(source: Path, store: Path) -> int:
    """Number of files published from `source` to `store`."""
    index = store / "releases.json"
    releases = json.loads(index.read_text()) if index.exists() else []
    current = []
    for path in sorted(p for p in source.rglob("*") if p.is_file()):
        name = path.relative_to(source)
        versioned = Path(".v", hash_file(path), "static", name)
        publish_file(path, store / "static" / versioned)
        publish_file(path, store / "static" / name)
        current.append(str(versioned))
    kept = decide_kept(releases, current)
    for gone in {file for release in releases for file in release} - {file for release in kept for file in release}:
        (store / "static" / gone).unlink(missing_ok=True)
    partial = index.with_suffix(".new")
    partial.write_text(json.dumps(kept))
    partial.rename(index)
    return len(current)


if __name__ == "__main__":
    print(f"app: {publish(Path(sys.argv[1]), Path(sys.argv[2]))} static files published", file=sys.stderr)
