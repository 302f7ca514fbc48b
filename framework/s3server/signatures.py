"""Who signed an S3 request: AWS Signature Version 4 and 2, verified from values alone.

Pure: no socket, no clock, no key store of its own; the caller hands in the parts of the request, the secrets and the
time. It refuses to guess: whatever is malformed, unknown, too old or wrong is an AccessError with S3's own code, and
the comparison of signatures takes the same time wherever they differ.

Source: Amazon S3 API reference, "Authenticating Requests (AWS Signature Version 4)" and "Signing and authenticating
REST requests (Version 2)".
"""

import base64
import hashlib
import hmac
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from urllib.parse import quote

from framework.errors import FrameworkError

ALGORITHM = "AWS4-HMAC-SHA256"
UNSIGNED_PAYLOAD = "UNSIGNED-PAYLOAD"
MAX_SKEW_S = 900.0  # the 15 minutes that S3 itself allows
MAX_EXPIRY_S = 604800  # S3's limit for presigned URLs: seven days
EMPTY_SHA256 = hashlib.sha256(b"").hexdigest()

# Query parameters that name a sub-resource and so are a part of what version 2 signs.
_V2_SUBRESOURCES = frozenset(
    {
        "acl", "cors", "delete", "lifecycle", "location", "logging", "notification", "partNumber", "policy",
        "requestPayment", "restore", "tagging", "torrent", "uploadId", "uploads", "versionId", "versioning",
        "versions", "website", "response-cache-control", "response-content-disposition",
        "response-content-encoding", "response-content-language", "response-content-type", "response-expires",
    }
)  # fmt: skip


class AccessError(FrameworkError):
    """The request is not signed as it must be; `code` is S3's error code, `status` the HTTP status."""

    def __init__(self, code: str, message: str, status: int = 403) -> None:
        super().__init__(message)
        self.code = code
        self.status = status


@dataclass(frozen=True, slots=True)
class SignedRequest:
    """The parts of a request that signatures cover. Names of `headers` are in lower case; `path` is decoded.

    `bucket_of_host` is the bucket that the host names, if it does: version 2 signs it with the path.
    """

    method: str
    path: str
    query: list[tuple[str, str]]
    headers: Mapping[str, str]
    bucket_of_host: str = ""

    def parameter(self, name: str) -> str:
        """The first value of a query parameter; "" if it is absent."""
        return next((value for key, value in self.query if key == name), "")


@dataclass(frozen=True, slots=True)
class Grant:
    """A verified signature: whose, what it says of the body, and what the chunks of a streamed body chain on to."""

    access_key: str
    payload_hash: str = UNSIGNED_PAYLOAD
    signature: str = ""
    scope: str = ""
    timestamp: str = ""
    signing_key: bytes = field(default=b"", repr=False)


def verify(request: SignedRequest, secrets: Mapping[str, str], now: float) -> Grant:
    """The grant of a signed request, whichever version and place (header or query) it is signed in.

    `secrets` maps access key to secret key; `now` is in seconds since the epoch.

    Raises:
        AccessError: 403, if the request is not signed, or by an unknown key, wrongly, too early or too late;
            400, if the signature is malformed.
    """
    authorization = request.headers.get("authorization", "")
    if authorization.startswith(ALGORITHM + " "):
        return _verify_v4_header(request, authorization, secrets, now)
    if request.parameter("X-Amz-Algorithm"):
        return _verify_v4_query(request, secrets, now)
    if authorization.startswith("AWS "):
        return _verify_v2_header(request, authorization, secrets, now)
    if request.parameter("Signature") and request.parameter("AWSAccessKeyId"):
        return _verify_v2_query(request, secrets, now)
    raise AccessError("AccessDenied", "the request is not signed: sign it with an access key of this server")


def _verify_v4_header(request: SignedRequest, authorization: str, secrets: Mapping[str, str], now: float) -> Grant:
    fields = {}
    for part in authorization[len(ALGORITHM) :].split(","):
        name, _, value = part.strip().partition("=")
        fields[name] = value
    if not {"Credential", "SignedHeaders", "Signature"} <= fields.keys():
        raise AccessError(
            "AuthorizationHeaderMalformed", "Authorization: expected Credential, SignedHeaders, Signature", 400
        )
    timestamp = request.headers.get("x-amz-date", "")
    _check_skew(_parse_basic_date(timestamp), now)
    payload_hash = request.headers.get("x-amz-content-sha256", "")
    if not payload_hash:
        raise AccessError("InvalidRequest", "x-amz-content-sha256 is missing", 400)
    return _check_v4(
        request, fields["Credential"], fields["SignedHeaders"], fields["Signature"], timestamp, payload_hash, secrets
    )


def _verify_v4_query(request: SignedRequest, secrets: Mapping[str, str], now: float) -> Grant:
    if request.parameter("X-Amz-Algorithm") != ALGORITHM:
        raise AccessError("AuthorizationQueryParametersError", f"X-Amz-Algorithm: expected {ALGORITHM}", 400)
    timestamp = request.parameter("X-Amz-Date")
    signed_at = _parse_basic_date(timestamp)
    lifetime = request.parameter("X-Amz-Expires")
    if not (lifetime.isascii() and lifetime.isdigit() and len(lifetime) <= 6 and 1 <= int(lifetime) <= MAX_EXPIRY_S):
        raise AccessError(
            "AuthorizationQueryParametersError", f"X-Amz-Expires: expected 1 to {MAX_EXPIRY_S} seconds", 400
        )
    if now < signed_at - MAX_SKEW_S or now > signed_at + int(lifetime):
        raise AccessError("AccessDenied", "the presigned URL is expired, or not valid yet")
    unsigned = SignedRequest(
        request.method, request.path, [pair for pair in request.query if pair[0] != "X-Amz-Signature"], request.headers
    )
    payload_hash = request.headers.get("x-amz-content-sha256") or UNSIGNED_PAYLOAD
    return _check_v4(
        unsigned,
        request.parameter("X-Amz-Credential"),
        request.parameter("X-Amz-SignedHeaders"),
        request.parameter("X-Amz-Signature"),
        timestamp,
        payload_hash,
        secrets,
    )


def _check_v4(
    request: SignedRequest,
    credential: str,
    signed_headers: str,
    signature: str,
    timestamp: str,
    payload_hash: str,
    secrets: Mapping[str, str],
) -> Grant:
    access_key, _, scope = credential.partition("/")
    parts = scope.split("/")
    if len(parts) != 4 or parts[2:] != ["s3", "aws4_request"] or parts[0] != timestamp[:8]:
        raise AccessError("AuthorizationHeaderMalformed", "Credential: expected KEY/DATE/REGION/s3/aws4_request", 400)
    secret = _find_secret(access_key, secrets)
    names = signed_headers.split(";")
    # An unsigned Host would let a signature be replayed at another bucket of the virtual-host style.
    unsigned = [name for name in request.headers if name.startswith("x-amz-") and name not in names]
    if "host" not in names or (unsigned and unsigned != ["x-amz-content-sha256"]):
        raise AccessError("AccessDenied", "Host and every x-amz- header must be signed")
    canonical = canonical_request(request, names, payload_hash)
    to_sign = "\n".join([ALGORITHM, timestamp, scope, hashlib.sha256(canonical.encode()).hexdigest()])
    key = signing_key(secret, parts[0], parts[1])
    expected = hmac.new(key, to_sign.encode(), hashlib.sha256).hexdigest()
    _compare(expected, signature)
    return Grant(access_key, payload_hash, signature, scope, timestamp, key)


def canonical_request(request: SignedRequest, signed_headers: list[str], payload_hash: str) -> str:
    """The text that version 4 hashes: method, path, query, headers and the hash of the body."""
    query = sorted((quote(name, safe="-_.~"), quote(value, safe="-_.~")) for name, value in request.query)
    headers = [f"{name}:{' '.join(request.headers.get(name, '').split())}" for name in signed_headers]
    return "\n".join(
        [
            request.method,
            quote(request.path, safe="/-_.~"),
            "&".join(f"{name}={value}" for name, value in query),
            *headers,
            "",
            ";".join(signed_headers),
            payload_hash,
        ]
    )


def signing_key(secret: str, date: str, region: str) -> bytes:
    """The key that version 4 derives for one day (YYYYMMDD) and region."""
    key = b"AWS4" + secret.encode()
    for part in (date, region, "s3", "aws4_request"):
        key = hmac.new(key, part.encode(), hashlib.sha256).digest()
    return key


def sign_chunk(grant: Grant, previous: str, sha256: str) -> str:
    """The signature of one chunk of a streamed body, chained to the one before."""
    lines = ["AWS4-HMAC-SHA256-PAYLOAD", grant.timestamp, grant.scope, previous, EMPTY_SHA256, sha256]
    return hmac.new(grant.signing_key, "\n".join(lines).encode(), hashlib.sha256).hexdigest()


def sign_trailer(grant: Grant, previous: str, trailer: bytes) -> str:
    """The signature of a streamed body's trailer, given as `name:value` lines, each ended by a line feed."""
    digest = hashlib.sha256(trailer).hexdigest()
    lines = ["AWS4-HMAC-SHA256-TRAILER", grant.timestamp, grant.scope, previous, digest]
    return hmac.new(grant.signing_key, "\n".join(lines).encode(), hashlib.sha256).hexdigest()


def _verify_v2_header(request: SignedRequest, authorization: str, secrets: Mapping[str, str], now: float) -> Grant:
    access_key, _, signature = authorization[4:].partition(":")
    secret = _find_secret(access_key, secrets)
    date = request.headers.get("x-amz-date") or request.headers.get("date", "")
    try:
        signed_at = parsedate_to_datetime(date).timestamp()
    except (ValueError, TypeError) as error:
        raise AccessError("AccessDenied", "Date or x-amz-date is missing or not a date") from error
    _check_skew(signed_at, now)
    # With x-amz-date, the Date line of what is signed stays empty.
    _compare(_sign_v2(request, secret, "" if "x-amz-date" in request.headers else date), signature)
    return Grant(access_key)


def _verify_v2_query(request: SignedRequest, secrets: Mapping[str, str], now: float) -> Grant:
    secret = _find_secret(request.parameter("AWSAccessKeyId"), secrets)
    expires = request.parameter("Expires")
    if not (expires.isascii() and expires.isdigit() and len(expires) <= 12):
        raise AccessError("AccessDenied", "Expires: expected seconds since 1970")
    if now > int(expires):
        raise AccessError("AccessDenied", "the presigned URL is expired")
    _compare(_sign_v2(request, secret, expires), request.parameter("Signature"))
    return Grant(request.parameter("AWSAccessKeyId"))


def _sign_v2(request: SignedRequest, secret: str, date: str) -> str:
    headers = request.headers
    amz = "".join(f"{name}:{headers[name].strip()}\n" for name in sorted(headers) if name.startswith("x-amz-"))
    named = sorted((name, value) for name, value in request.query if name in _V2_SUBRESOURCES)
    resource = quote((f"/{request.bucket_of_host}" if request.bucket_of_host else "") + request.path, safe="/-_.~")
    if named:
        resource += "?" + "&".join(f"{name}={value}" if value else name for name, value in named)
    content = [headers.get("content-md5", ""), headers.get("content-type", "")]
    to_sign = "\n".join([request.method, *content, date, amz + resource])
    digest = hmac.new(secret.encode(), to_sign.encode(), hashlib.sha1).digest()
    return base64.b64encode(digest).decode()


def _find_secret(access_key: str, secrets: Mapping[str, str]) -> str:
    try:
        return secrets[access_key]
    except KeyError:
        raise AccessError("InvalidAccessKeyId", "the access key is not known to this server") from None


def _compare(expected: str, given: str) -> None:
    if not hmac.compare_digest(expected.encode(), given.encode()):
        raise AccessError(
            "SignatureDoesNotMatch", "the signature does not match: check the secret key and the signing method"
        )


def _parse_basic_date(text: str) -> float:
    """Seconds since the epoch of YYYYMMDD'T'HHMMSS'Z'."""
    try:
        return datetime.strptime(text, "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC).timestamp()
    except ValueError as error:
        raise AccessError("AccessDenied", "x-amz-date: expected YYYYMMDDTHHMMSSZ") from error


def _check_skew(signed_at: float, now: float) -> None:
    if abs(now - signed_at) > MAX_SKEW_S:
        raise AccessError("RequestTimeTooSkewed", "the clocks of client and server differ by more than 15 minutes")
