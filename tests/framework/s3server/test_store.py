"""The store on a real file system: atomic replacement, listings, multipart uploads, sweeping."""

import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from framework.s3server.store import Store, StoreError
from tests.support.remains import leaving_nothing


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    store = Store(tmp_path)
    store.create_bucket("bucket")
    yield store
    store.close()


def _put(store: Store, key: str, data: bytes = b"data") -> None:
    draft = store.begin()
    draft.write(data)
    store.put("bucket", key, draft, len(data), "0" * 32, {})


def _files(store: Store) -> int:
    return sum(path.is_file() for path in store.files.rglob("*"))


def test_put_replaces_and_leaves_one_file(store: Store) -> None:
    _put(store, "key", b"one")
    _put(store, "key", b"two")
    assert store.get("bucket", "key").path.read_bytes() == b"two"
    assert _files(store) == 1


def test_put_into_no_bucket_is_refused_and_leaves_no_file(store: Store) -> None:
    draft = store.begin()
    with pytest.raises(StoreError, match="no bucket"):
        store.put("other", "key", draft, 0, "", {})
    assert _files(store) == 0


@pytest.mark.parametrize("key", ["../../etc/passwd", "/a", "a/../b", "a\0b", "ü" * 500, "a", "a/b", ".", ".."])
def test_any_key_stays_inside_the_root(store: Store, key: str) -> None:
    _put(store, key)
    assert store.get("bucket", key).path.is_relative_to(store.root)
    assert [stored.key for stored in store.list_objects("bucket", "", "", "", 10).objects] == [key]


def test_draft_is_not_seen_before_put(store: Store) -> None:
    draft = store.begin()
    draft.write(b"half")
    draft.commit()
    assert store.find("bucket", "key") is None
    assert store.sweep(older_than_s=-1) == 1


def test_delete_bucket_refuses_while_it_holds_objects(store: Store) -> None:
    _put(store, "key")
    with pytest.raises(StoreError, match="not empty"):
        store.delete_bucket("bucket")
    store.delete("bucket", "key")
    store.delete_bucket("bucket")
    assert store.list_buckets() == []
    assert _files(store) == 0


def test_list_objects_pages_and_rolls_up_prefixes(store: Store) -> None:
    for key in ("a", "dir/1", "dir/2", "dir/sub/3", "e", "z/1"):
        _put(store, key)
    seen: list[str] = []
    after, pages = "", 0
    while True:
        page = store.list_objects("bucket", "", "/", after, 2)
        seen += sorted([stored.key for stored in page.objects] + page.prefixes)
        pages += 1
        if page.next_after is None:
            break
        after = page.next_after
    assert seen == ["a", "dir/", "e", "z/"]
    assert pages == 2
    below = store.list_objects("bucket", "dir/", "/", "", 10)
    assert ([stored.key for stored in below.objects], below.prefixes) == (["dir/1", "dir/2"], ["dir/sub/"])


@pytest.mark.parametrize("prefix", ["", "a", "a\ud7ff", "a\U0010ffff", "\U0010ffff", "\U0010ffff" * 3])
def test_list_objects_finds_the_last_key_that_a_prefix_can_have(store: Store, prefix: str) -> None:
    keys = [prefix + "\U0010ffff" * 4, prefix + "b"]
    for key in keys:
        _put(store, key)
    assert {stored.key for stored in store.list_objects("bucket", prefix, "", "", 10).objects} == set(keys)


def test_draft_on_a_full_disk_can_be_discarded(tmp_path: Path) -> None:
    program = """
import resource, sys
from framework.s3server.store import Store
store = Store(sys.argv[1])
draft = store.begin()
resource.setrlimit(resource.RLIMIT_FSIZE, (10_000, 10_000))
draft.write(b"x" * 5_000)
try:
    draft.write(b"x" * 100_000)
except OSError as error:
    draft.discard()
    print(error.errno == 27, list(store.drafts.iterdir()))
"""
    done = subprocess.run([sys.executable, "-c", program, str(tmp_path)], capture_output=True, text=True, check=True)
    assert done.stdout == "True []\n"


def test_full_disk_lets_objects_be_deleted(tmp_path: Path) -> None:
    """A limit for the process's files stands for the disk: the index's log can't grow, until the reserve is gone."""
    program = """
import resource, sqlite3, sys
from framework.s3server import store as stores
class Disk(stores.Store):
    def _delete(self, bucket, key):
        limit = 200_000 if not self._reserve.exists() else self.size_of_log()
        resource.setrlimit(resource.RLIMIT_FSIZE, (limit, resource.RLIM_INFINITY))
        try:
            return super()._delete(bucket, key)
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
    def size_of_log(self):
        return (self.root / "index.sqlite-wal").stat().st_size
store = Disk(sys.argv[1])
store.create_bucket("bucket")
draft = store.begin()
draft.write(b"x")
store.put("bucket", "key", draft, 1, "", {})
store.delete("bucket", "key")
print(store.find("bucket", "key"), store._reserve.stat().st_size, len([*store.files.rglob("*.*")]))
"""
    done = subprocess.run([sys.executable, "-c", program, str(tmp_path)], capture_output=True, text=True, check=False)
    assert done.stdout == "None 262144 0\n", done.stderr


def test_list_objects_sorts_keys_by_their_bytes(store: Store) -> None:
    keys = ["é", "z", "A", "a", "\U0001f600", "\ufffd"]
    for key in keys:
        _put(store, key)
    listed = [stored.key for stored in store.list_objects("bucket", "", "", "", 10).objects]
    assert listed == sorted(keys, key=str.encode)


def test_complete_upload_joins_the_parts_and_removes_them(store: Store) -> None:
    upload = store.get_upload("bucket", "big", store.start_upload("bucket", "big", {"content-type": "text/plain"}))
    for number, data in ((1, b"one"), (2, b"two"), (2, b"TWO")):
        draft = store.begin()
        draft.write(data)
        store.put_part(upload.id, number, draft, len(data), "e")
    stored = store.complete_upload("bucket", upload, store.list_parts(upload.id), "etag-2")
    assert (stored.path.read_bytes(), stored.size, stored.headers) == (b"oneTWO", 6, {"content-type": "text/plain"})
    assert _files(store) == 1
    with pytest.raises(StoreError, match="completed or aborted"):
        store.get_upload("bucket", "big", upload.id)


def test_abort_upload_removes_the_parts(store: Store) -> None:
    upload_id = store.start_upload("bucket", "big", {})
    draft = store.begin()
    store.put_part(upload_id, 1, draft, 0, "e")
    store.abort_upload(upload_id)
    assert _files(store) == 0
    with pytest.raises(StoreError, match="aborted"):
        store.put_part(upload_id, 1, store.begin(), 0, "e")


def _list_plainly(keys: list[str], prefix: str, delimiter: str, after: str, limit: int) -> list[str]:
    """What S3's documentation says of a listing, word by word: of all keys, those behind `after`, rolled up."""
    names: list[str] = []
    for key in sorted(keys, key=str.encode):
        if not key.startswith(prefix):
            continue
        end = key.find(delimiter, len(prefix)) if delimiter else -1
        name = key[: end + len(delimiter)] if end >= 0 else key
        if name.encode() > after.encode() and name not in names:
            names.append(name)
    return names[:limit]


_NAMES = st.text("ab/-ü", min_size=1, max_size=5)


@example({"ab", "aba"}, "a", "ab", 1)
@settings(max_examples=150, deadline=None)
@given(
    st.sets(_NAMES, max_size=12), st.text("ab/", max_size=2), st.sampled_from(["", "/", "-", "ab"]), st.integers(1, 4)
)
def test_list_objects_as_a_plain_model_does(keys: set[str], prefix: str, delimiter: str, limit: int) -> None:
    with tempfile.TemporaryDirectory() as folder, closing(Store(folder)) as store:
        store.create_bucket("bucket")
        for key in keys:
            _put(store, key)
        after, pages = "", 0
        while True:
            page = store.list_objects("bucket", prefix, delimiter, after, limit)
            found = sorted([stored.key for stored in page.objects] + page.prefixes, key=str.encode)
            assert found == _list_plainly(list(keys), prefix, delimiter, after, limit)
            pages += 1
            if page.next_after is None:
                break
            after = page.next_after
        assert pages <= len(keys) + 1


def test_folder_that_is_an_object_hides_nothing_on_the_next_page(store: Store) -> None:
    for key in ("a/", "a/1", "a/2"):
        _put(store, key)
    first = store.list_objects("bucket", "a/", "/", "", 1)
    assert [stored.key for stored in first.objects] == ["a/"]
    assert first.next_after is not None
    rest = store.list_objects("bucket", "a/", "/", first.next_after, 10)
    assert [stored.key for stored in rest.objects] == ["a/1", "a/2"]


def test_failures_leave_nothing(store: Store) -> None:
    """Neither a file nor a descriptor, whatever fails."""

    def refuse(present: object) -> None:
        raise StoreError("PreconditionFailed", "no", 412)

    def fail() -> None:
        for key, check in (("key", refuse), ("key", None)):
            draft = store.begin()
            draft.write(b"data")
            with pytest.raises(StoreError):
                store.put("bucket" if check else "other", key, draft, 4, "", {}, check)
        draft = store.begin()
        with pytest.raises(StoreError):
            store.put_part("none", 1, draft, 0, "")
        draft = store.begin()
        draft.path.unlink()
        with pytest.raises(FileNotFoundError):
            store.put("bucket", "key", draft, 0, "", {})

    fail()
    with leaving_nothing():
        for _ in range(250):
            fail()
    assert _files(store) == 0
    assert list(store.drafts.iterdir()) == []


def test_sweep_keeps_what_is_named_or_young(store: Store) -> None:
    _put(store, "key")
    draft = store.begin()
    draft.write(b"under way")
    (store.files / "aa").mkdir(exist_ok=True)
    (store.files / "aa/aaorphan").write_bytes(b"of a crash")
    assert store.sweep() == 0
    assert store.sweep(older_than_s=-1) == 2
    assert store.get("bucket", "key").path.exists()
    draft.discard()
