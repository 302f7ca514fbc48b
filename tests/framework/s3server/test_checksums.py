"""All checksums that S3 knows, against their published check values; none is ignored."""

import builtins
from pathlib import Path
from typing import Any

import pytest

from framework.s3server import checksums
from framework.s3server.signatures import AccessError


@pytest.mark.parametrize(
    ("kind", "digest"),
    [
        # The check values of the catalogue of CRCs, of "123456789".
        ("crc32", "cbf43926"),
        ("crc32c", "e3069283"),
        ("crc64nvme", "ae8b14860a799888"),
        ("sha1", "f7c3bc1d808e04732adf679965ccc34ca7ae3441"),
        ("sha256", "15e2b0d3c33891ebb0f1ef609ec419420c20e320ce94c65fbc8c3312448eb225"),
    ],
)
def test_checksums(kind: str, digest: str) -> None:
    checksum = checksums.make(checksums.PREFIX + kind)
    for piece in (b"1234", b"", b"56789"):
        checksum.update(piece)
    assert checksum.digest().hex() == digest


def test_unknown_checksum_is_refused() -> None:
    with pytest.raises(AccessError, match="expected crc32, ") as caught:
        checksums.make("x-amz-checksum-md4")
    assert caught.value.status == 400


def test_checksum_without_its_package_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    real = builtins.__import__

    def without(name: str, *args: Any, **kwargs: Any) -> Any:
        if name.startswith("awscrt"):
            raise ImportError(name)
        return real(name, *args, **kwargs)

    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(AccessError, match="install awscrt") as caught:
        checksums.make("x-amz-checksum-crc64nvme")
    assert caught.value.status == 501


def test_names() -> None:
    headers = ["host", "x-amz-checksum-mode", "x-amz-checksum-sha1", "x-amz-checksum-type", "x-amz-checksum-new"]
    assert checksums.names_in(headers) == ["x-amz-checksum-sha1", "x-amz-checksum-new"]


def test_joined_files(tmp_path: Path) -> None:
    paths = [tmp_path / "1", tmp_path / "2"]
    for path, body in zip(paths, (b"1234", b"56789"), strict=True):
        path.write_bytes(body)
    checksums.check_joined({"x-amz-checksum-crc32": "y/Q5Jg=="}, paths)
    checksums.check_joined({"x-amz-checksum-type": "FULL_OBJECT"}, paths)
    for wrong in ("y/Q5Jg==-2", "AAAAAA==", ""):
        with pytest.raises(AccessError, match="differs from its x-amz-checksum-crc32"):
            checksums.check_joined({"x-amz-checksum-crc32": wrong}, paths)
