"""Signatures against the examples that Amazon publishes, and against what must not pass."""

from datetime import UTC, datetime

import pytest

from framework.s3server.signatures import AccessError, SignedRequest, signing_key, verify

# The key pair, date and signatures of the examples in Amazon's S3 API reference (signature version 4, and version 2).
SECRETS = {"AKIAIOSFODNN7EXAMPLE": "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY"}
V4_NOW = datetime(2013, 5, 24, tzinfo=UTC).timestamp()
V4_HEADERS = {
    "host": "examplebucket.s3.amazonaws.com",
    "range": "bytes=0-9",
    "x-amz-content-sha256": "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
    "x-amz-date": "20130524T000000Z",
    "authorization": (
        "AWS4-HMAC-SHA256 Credential=AKIAIOSFODNN7EXAMPLE/20130524/us-east-1/s3/aws4_request,"
        "SignedHeaders=host;range;x-amz-content-sha256;x-amz-date,"
        "Signature=f0e8bdb87c964420e857bd35b5d6ed310bd44f0170aba48dd91039c6036bdb41"
    ),
}
PRESIGNED = [
    ("X-Amz-Algorithm", "AWS4-HMAC-SHA256"),
    ("X-Amz-Credential", "AKIAIOSFODNN7EXAMPLE/20130524/us-east-1/s3/aws4_request"),
    ("X-Amz-Date", "20130524T000000Z"),
    ("X-Amz-Expires", "86400"),
    ("X-Amz-SignedHeaders", "host"),
    ("X-Amz-Signature", "aeeed9bbccd4d02ee5c0109b86d86835f995330da4c265957d157751f604d404"),
]


def _v4(**changes: str) -> SignedRequest:
    return SignedRequest("GET", "/test.txt", [], V4_HEADERS | {k.replace("_", "-"): v for k, v in changes.items()})


def test_verify_takes_the_published_header_example() -> None:
    assert verify(_v4(), SECRETS, V4_NOW).access_key == "AKIAIOSFODNN7EXAMPLE"


def test_verify_takes_the_published_presigned_example_until_it_expires() -> None:
    request = SignedRequest("GET", "/test.txt", PRESIGNED, {"host": "examplebucket.s3.amazonaws.com"})
    assert verify(request, SECRETS, V4_NOW + 86399).payload_hash == "UNSIGNED-PAYLOAD"
    with pytest.raises(AccessError, match="expired"):
        verify(request, SECRETS, V4_NOW + 86401)


def test_verify_takes_the_published_version_2_example() -> None:
    headers = {
        "host": "awsexamplebucket1.us-west-1.s3.amazonaws.com",
        "date": "Tue, 27 Mar 2007 19:36:42 +0000",
        "authorization": "AWS AKIAIOSFODNN7EXAMPLE:qgk2+6Sv9/oM7G3qLEjTH1a1l1g=",
    }
    now = datetime(2007, 3, 27, 19, 36, 42, tzinfo=UTC).timestamp()
    request = SignedRequest("GET", "/awsexamplebucket1/photos/puppy.jpg", [], headers)
    assert verify(request, SECRETS, now).access_key == "AKIAIOSFODNN7EXAMPLE"


@pytest.mark.parametrize(
    ("request_", "code"),
    [
        (_v4(range="bytes=0-10"), "SignatureDoesNotMatch"),
        (_v4(x_amz_content_sha256="0" * 64), "SignatureDoesNotMatch"),
        (SignedRequest("PUT", "/test.txt", [], V4_HEADERS), "SignatureDoesNotMatch"),
        (SignedRequest("GET", "/other.txt", [], V4_HEADERS), "SignatureDoesNotMatch"),
        (SignedRequest("GET", "/test.txt", [("acl", "")], V4_HEADERS), "SignatureDoesNotMatch"),
        (_v4(x_amz_acl="public-read"), "AccessDenied"),
        (_v4(authorization="AWS4-HMAC-SHA256 nonsense"), "AuthorizationHeaderMalformed"),
        (_v4(authorization=V4_HEADERS["authorization"].replace("AKIA", "BKIA")), "InvalidAccessKeyId"),
        (_v4(x_amz_date="yesterday"), "AccessDenied"),
        (_v4(authorization=""), "AccessDenied"),
        (_v4(authorization="Basic eDp5"), "AccessDenied"),
    ],
)
def test_verify_refuses(request_: SignedRequest, code: str) -> None:
    with pytest.raises(AccessError) as caught:
        verify(request_, SECRETS, V4_NOW)
    assert caught.value.code == code


@pytest.mark.parametrize("minutes", [-16, 16])
def test_verify_refuses_a_clock_more_than_15_minutes_off(minutes: int) -> None:
    with pytest.raises(AccessError) as caught:
        verify(_v4(), SECRETS, V4_NOW + minutes * 60)
    assert caught.value.code == "RequestTimeTooSkewed"


def test_signing_key_differs_by_day() -> None:
    assert signing_key("s", "20130524", "r") != signing_key("s", "20130525", "r")
