"""The body of an S3 upload, taken apart while it arrives: plain, or in signed chunks (`aws-chunked`).

Sans-I/O: fed with bytes as they come, it gives back the object's bytes, and at the end checks length, hashes, the
chain of chunk signatures and the checksums that the client sent along. Nothing is kept but the start of an unfinished
line.
"""

import base64
import hashlib
import hmac
from collections.abc import Mapping

from framework.s3server import checksums
from framework.s3server.signatures import UNSIGNED_PAYLOAD, AccessError, Grant, sign_chunk, sign_trailer

MAX_LINE_BYTES = 4096  # a chunk header is under 120 bytes, the trailer a few lines
MAX_CHUNK_BYTES = 1 << 32


class PayloadReader:
    """Bytes of the request's body in, bytes of the object out.

    `md5` is the hash of the object so far, `size` its length in bytes.
    """

    def __init__(self, headers: Mapping[str, str], grant: Grant) -> None:
        self.md5 = hashlib.md5(usedforsecurity=False)
        self.size = 0
        self._grant = grant
        self._headers = headers
        self._sha256 = hashlib.sha256()
        is_hash = not grant.payload_hash.startswith((UNSIGNED_PAYLOAD, "STREAMING-"))
        self._expected_sha256 = grant.payload_hash if is_hash else None
        self._is_chunked = grant.payload_hash.startswith("STREAMING-")
        self._is_signed = grant.payload_hash.startswith("STREAMING-AWS4-HMAC-SHA256-PAYLOAD")
        self._previous = grant.signature
        self._buffer = bytearray()
        self._left = -1  # bytes left of the chunk under way; -1: a chunk header comes next
        self._chunk_signature = ""
        self._chunk_sha256 = hashlib.sha256()
        self._trailer: list[bytes] | None = None
        names = checksums.names_in(headers)
        names += [name.strip().lower() for name in headers.get("x-amz-trailer", "").split(",") if name.strip()]
        self._checksums = {name: checksums.make(name) for name in names}
        self._trailer_values: dict[str, str] = {}

    def feed(self, data: bytes) -> bytes:
        """The object's bytes in `data`.

        Raises:
            AccessError: 400 if the chunks are malformed, 403 if the signature of one is wrong.
        """
        piece = self._feed_chunks(data) if self._is_chunked else data
        if piece:
            self.size += len(piece)
            self.md5.update(piece)
            if self._expected_sha256 is not None:
                self._sha256.update(piece)
            for checksum in self._checksums.values():
                checksum.update(piece)
        return piece

    def _feed_chunks(self, data: bytes) -> bytes:
        self._buffer += data
        out = bytearray()
        while True:
            if self._left > 0:
                piece = bytes(self._buffer[: self._left])
                if not piece:
                    break
                del self._buffer[: len(piece)]
                self._left -= len(piece)
                if self._is_signed:
                    self._chunk_sha256.update(piece)
                out += piece
                continue
            line = self._take_line()
            if line is None:
                break
            self._take_control_line(line)
        return bytes(out)

    def _take_line(self) -> bytes | None:
        end = self._buffer.find(b"\r\n")
        if end < 0:
            if len(self._buffer) > MAX_LINE_BYTES:
                raise AccessError("InvalidRequest", "aws-chunked: a chunk header is too long", 400)
            return None
        line = bytes(self._buffer[:end])
        del self._buffer[: end + 2]
        return line

    def _take_control_line(self, line: bytes) -> None:
        if self._trailer is not None:
            if line:
                self._trailer.append(line)
                if sum(map(len, self._trailer)) > MAX_LINE_BYTES:
                    raise AccessError("InvalidRequest", "aws-chunked: the trailer is too long", 400)
        elif self._left == 0:  # the line end behind a chunk's data
            if line:
                raise AccessError("IncompleteBody", "aws-chunked: a chunk is longer than its header says", 400)
            self._check_chunk()
            self._left = -1
        else:
            self._open_chunk(line)

    def _open_chunk(self, line: bytes) -> None:
        size, _, extension = line.partition(b";")
        # int() would also take "+5", "0x5" and "1_0"
        if not size or len(size) > 9 or size.strip(b"0123456789abcdefABCDEF") or int(size, 16) > MAX_CHUNK_BYTES:
            raise AccessError("InvalidRequest", "aws-chunked: expected the size of a chunk in hexadecimal digits", 400)
        self._left = int(size, 16)
        name, _, signature = extension.partition(b"=")
        self._chunk_signature = signature.decode("latin-1") if name.strip() == b"chunk-signature" else ""
        self._chunk_sha256 = hashlib.sha256()
        if self._left == 0:
            self._check_chunk()
            self._trailer = []

    def _check_chunk(self) -> None:
        if self._is_signed:
            expected = sign_chunk(self._grant, self._previous, self._chunk_sha256.hexdigest())
            if not hmac.compare_digest(expected, self._chunk_signature):
                raise AccessError("SignatureDoesNotMatch", "the signature of a chunk does not match")
            self._previous = expected

    def close(self) -> None:
        """Check what can only be checked at the end of the body.

        Raises:
            AccessError: 400 if the body is too short, or a length, hash or checksum differs from what was announced;
                403 if the trailer's signature is wrong.
        """
        if self._is_chunked:
            if self._trailer is None:
                raise AccessError("IncompleteBody", "aws-chunked: the last chunk is missing", 400)
            self._check_trailer(self._trailer)
            announced = self._headers.get("x-amz-decoded-content-length", "")
            if announced != str(self.size):
                raise AccessError("IncompleteBody", f"announced {announced or 'no'} bytes, got {self.size}", 400)
        if self._expected_sha256 is not None and not hmac.compare_digest(
            self._sha256.hexdigest(), self._expected_sha256
        ):
            raise AccessError("XAmzContentSHA256Mismatch", "the body differs from its x-amz-content-sha256", 400)
        content_md5 = self._headers.get("content-md5")
        if content_md5 and content_md5 != base64.b64encode(self.md5.digest()).decode():
            raise AccessError("BadDigest", "the body differs from its Content-MD5", 400)
        for name, checksum in self._checksums.items():
            given = self._headers.get(name) or self._trailer_values.get(name, "")
            if given != checksums.encode(checksum):
                raise AccessError("BadDigest", f"the body differs from its {name}", 400)

    def _check_trailer(self, lines: list[bytes]) -> None:
        signature = ""
        signed = b""
        for line in lines:
            name, _, value = line.partition(b":")
            key = name.strip().lower().decode("latin-1")
            if key == "x-amz-trailer-signature":
                signature = value.strip().decode("latin-1")
            else:
                signed += name.strip().lower() + b":" + value.strip() + b"\n"
                self._trailer_values[key] = value.strip().decode("latin-1")
        if self._is_signed and self._grant.payload_hash.endswith("-TRAILER"):
            expected = sign_trailer(self._grant, self._previous, signed)
            if not hmac.compare_digest(expected, signature):
                raise AccessError("SignatureDoesNotMatch", "the signature of the trailer does not match")
