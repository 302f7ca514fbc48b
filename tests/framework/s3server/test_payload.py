"""Uploads in signed chunks, against the example that Amazon publishes, cut wherever a network may cut them."""

import base64
import hashlib
import zlib
from datetime import UTC, datetime

import pytest

from framework.s3server.payload import PayloadReader
from framework.s3server.signatures import UNSIGNED_PAYLOAD, AccessError, Grant, SignedRequest, verify

SECRETS = {"AKIAIOSFODNN7EXAMPLE": "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY"}
HEADERS = {
    "host": "s3.amazonaws.com",
    "x-amz-date": "20130524T000000Z",
    "x-amz-storage-class": "REDUCED_REDUNDANCY",
    "x-amz-content-sha256": "STREAMING-AWS4-HMAC-SHA256-PAYLOAD",
    "content-encoding": "aws-chunked",
    "x-amz-decoded-content-length": "66560",
    "content-length": "66824",
    "authorization": (
        "AWS4-HMAC-SHA256 Credential=AKIAIOSFODNN7EXAMPLE/20130524/us-east-1/s3/aws4_request,"
        "SignedHeaders=content-encoding;content-length;host;x-amz-content-sha256;x-amz-date;"
        "x-amz-decoded-content-length;x-amz-storage-class,"
        "Signature=4f232c4386841ef735655705268965c44a0e4690baa4adea153f7db9fa80a0a9"
    ),
}
SIGNATURES = [
    "ad80c730a21e5b8d04586a2213dd63b9a0e99e0e2307b0ade35a65485a288648",
    "0055627c9e194cb4542bae2aa5492e3c1575bbb81b612b7d234b86a503ef5497",
    "b6c6ea8a5354eaf15b3cb7646744f4275b71ea724fed81ceb9323e279d449df9",
]
DATA = b"a" * 66560


def _published_body() -> bytes:
    chunks = [DATA[:65536], DATA[65536:], b""]
    return b"".join(
        f"{len(chunk):x};chunk-signature={signature}\r\n".encode() + chunk + b"\r\n"
        for chunk, signature in zip(chunks, SIGNATURES, strict=True)
    )


def _grant() -> Grant:
    request = SignedRequest("PUT", "/examplebucket/chunkObject.txt", [], HEADERS)
    return verify(request, SECRETS, datetime(2013, 5, 24, tzinfo=UTC).timestamp())


@pytest.mark.parametrize("step", [1, 7, 4096, 70000])
def test_reader_takes_the_published_example_however_it_is_cut(step: int) -> None:
    reader, body = PayloadReader(HEADERS, _grant()), _published_body()
    got = b"".join(reader.feed(body[n : n + step]) for n in range(0, len(body), step))
    reader.close()
    assert got == DATA
    assert reader.md5.hexdigest() == hashlib.md5(DATA).hexdigest()


def test_reader_refuses_a_changed_chunk() -> None:
    reader = PayloadReader(HEADERS, _grant())
    with pytest.raises(AccessError, match="signature of a chunk"):
        reader.feed(_published_body().replace(b"aaaa", b"aaab", 1))


def test_reader_refuses_a_body_without_its_last_chunk() -> None:
    reader = PayloadReader(HEADERS, _grant())
    reader.feed(_published_body()[:-86])
    with pytest.raises(AccessError, match="last chunk"):
        reader.close()


@pytest.mark.parametrize(
    "line", [b"+5\r\n", b"0x5\r\n", b"5_0\r\n", b"\r\n", b" 5\r\n", b"f" * 10 + b"\r\n", b"5" * 5000]
)
def test_reader_refuses_a_malformed_chunk_size(line: bytes) -> None:
    reader = PayloadReader({}, Grant("k", "STREAMING-UNSIGNED-PAYLOAD-TRAILER"))
    with pytest.raises(AccessError) as caught:
        reader.feed(line)
    assert caught.value.status == 400


def test_reader_checks_the_checksum_in_the_trailer() -> None:
    headers = {"x-amz-decoded-content-length": "5", "x-amz-trailer": "x-amz-checksum-crc32"}
    good = base64.b64encode(zlib.crc32(b"hello").to_bytes(4, "big"))
    for value, is_good in ((good, True), (b"AAAAAA==", False)):
        reader = PayloadReader(headers, Grant("k", "STREAMING-UNSIGNED-PAYLOAD-TRAILER"))
        assert reader.feed(b"5\r\nhello\r\n0\r\nx-amz-checksum-crc32:" + value + b"\r\n\r\n") == b"hello"
        if is_good:
            reader.close()
        else:
            with pytest.raises(AccessError, match="crc32"):
                reader.close()


@pytest.mark.parametrize(
    ("headers", "grant", "code"),
    [
        ({}, Grant("k", hashlib.sha256(b"other").hexdigest()), "XAmzContentSHA256Mismatch"),
        ({"content-md5": "AAAA"}, Grant("k", UNSIGNED_PAYLOAD), "BadDigest"),
        ({"x-amz-checksum-sha256": "AAAA"}, Grant("k", UNSIGNED_PAYLOAD), "BadDigest"),
    ],
)
def test_reader_refuses_a_body_that_differs_from_its_digest(headers: dict[str, str], grant: Grant, code: str) -> None:
    reader = PayloadReader(headers, grant)
    reader.feed(b"hello")
    with pytest.raises(AccessError) as caught:
        reader.close()
    assert caught.value.code == code
