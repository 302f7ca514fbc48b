"""The checksums that a client may send along with what it uploads: all that S3 knows, none of them ignored.

CRC-32C and CRC-64/NVME come from the package awscrt, which brings them in C; without it, who sends one is told so.

Source: Amazon S3 user guide, "Checking object integrity".
"""

import base64
import hashlib
import zlib
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Protocol

from framework.s3server.signatures import AccessError

PREFIX = "x-amz-checksum-"
# Headers of that prefix that are no checksums.
_OTHERS = frozenset({"x-amz-checksum-algorithm", "x-amz-checksum-mode", "x-amz-checksum-type"})
_PIECE_BYTES = 1 << 20


class Checksum(Protocol):
    """As hashlib's objects."""

    def update(self, data: bytes, /) -> None:
        """Take more of the bytes."""

    def digest(self) -> bytes:
        """The checksum of all bytes so far, most significant byte first."""
        ...


class _Running:
    """A CRC with the interface of hashlib."""

    def __init__(self, advance: Callable[[bytes, int], int], size: int) -> None:
        self._advance = advance
        self._size = size
        self._value = 0

    def update(self, data: bytes) -> None:
        self._value = self._advance(data, self._value)

    def digest(self) -> bytes:
        return self._value.to_bytes(self._size, "big")


def names_in(headers: Iterable[str]) -> list[str]:
    """The names of headers, in lower case, that hold a checksum."""
    return [name for name in headers if name.startswith(PREFIX) and name not in _OTHERS]


def make(name: str) -> Checksum:
    """A new checksum of the kind that the header of this name holds.

    Raises:
        AccessError: 400 if there is no such kind; 501 if it cannot be computed here.
    """
    match name.removeprefix(PREFIX):
        case "crc32":
            return _Running(zlib.crc32, 4)
        case "sha1":
            return hashlib.sha1(usedforsecurity=False)
        case "sha256":
            return hashlib.sha256()
        case "crc32c" | "crc64nvme" as kind:
            return _make_crt(kind)
    raise AccessError("InvalidRequest", f"{name}: expected crc32, crc32c, crc64nvme, sha1 or sha256", 400)


def _make_crt(kind: str) -> Checksum:
    try:
        from awscrt import checksums as crt
    except ImportError:
        reason = f"{PREFIX}{kind}: install awscrt on the server to have it verified, or send crc32, sha1 or sha256"
        raise AccessError("NotImplemented", reason, 501) from None
    return _Running(crt.crc32c, 4) if kind == "crc32c" else _Running(crt.crc64nvme, 8)


def encode(checksum: Checksum) -> str:
    """The checksum as headers spell it."""
    return base64.b64encode(checksum.digest()).decode()


def check_joined(headers: Mapping[str, str], paths: list[Path]) -> None:
    """Check what a client says of the object that these files make together: of its bytes, or of its parts' checksums.

    Raises:
        AccessError: 400, if it is something else.
    """
    for name in names_in(headers):
        whole, composite = make(name), make(name)
        for path in paths:
            part = make(name)
            with open(path, "rb") as file:
                while piece := file.read(_PIECE_BYTES):
                    whole.update(piece)
                    part.update(piece)
            composite.update(part.digest())
        if headers[name] not in (encode(whole), f"{encode(composite)}-{len(paths)}"):
            raise AccessError("BadDigest", f"the object differs from its {name}", 400)
