"""What each S3 request does: method and parameters to an operation on the store, and its answer.

Blocking, like the store; the service runs it on threads. Uploads with a body come in through the service, drafted
already.
"""

import hashlib
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from urllib.parse import unquote

from framework import httputil
from framework.s3server import checksums, documents
from framework.s3server.replies import Reply, check_preconditions, is_unmodified, kept_headers, parse_range
from framework.s3server.signatures import Grant, SignedRequest
from framework.s3server.store import Draft, Part, Store, Stored, StoreError

# DNS-like, so that it fits in a virtual host and in a path (S3's naming rules, without dots at either end or doubled).
_BUCKET = re.compile(r"[a-z0-9](?:[a-z0-9-]|\.(?!\.)){1,61}[a-z0-9]", re.ASCII)
_SUBRESOURCES = frozenset(
    {
        "accelerate", "acl", "analytics", "attributes", "cors", "delete", "encryption", "intelligent-tiering",
        "inventory", "legal-hold", "lifecycle", "location", "logging", "metadataTable", "metrics", "notification",
        "object-lock", "ownershipControls", "policy", "policyStatus", "publicAccessBlock", "renameObject",
        "replication", "requestPayment", "restore", "retention", "select", "session", "tagging", "torrent", "uploads",
        "versioning", "versions", "website",
    }
)  # fmt: skip
_OVERRIDES = frozenset(
    f"response-{name}"
    for name in (
        "cache-control", "content-disposition", "content-encoding", "content-language", "content-type", "expires",
    )
)  # fmt: skip
MAX_KEY_BYTES = 1024
MIN_PART_BYTES = 5 << 20
MAX_PARTS = 10_000
# So often an object may be replaced between the look into the index and the opening of its file.
_LOOKS = 10
# What asks for something that this server does not do. To say yes and not do it would be worse than to refuse.
_REFUSED_HEADERS = (
    "x-amz-server-side-encryption",
    "x-amz-copy-source-server-side-encryption",
    "x-amz-grant-",
    "x-amz-object-lock-",
    "x-amz-bucket-object-lock-",
    "x-amz-tagging",
    "x-amz-website-redirect-location",
)
_PRIVATE_ACLS = frozenset({"private", "bucket-owner-full-control", "bucket-owner-read"})


@dataclass(frozen=True, slots=True)
class Operation:
    """One request, taken apart: what is to be done to which bucket and key."""

    signed: SignedRequest
    grant: Grant
    bucket: str
    key: str
    body: bytes = b""

    @property
    def arguments(self) -> dict[str, str]:
        """The query of the request, name to first value."""
        return dict(self.signed.query)


@dataclass(frozen=True, slots=True)
class Uploaded:
    """A body that was written aside: the draft, its length in bytes and its MD5 in hexadecimal."""

    draft: Draft
    size: int
    etag: str


def bucket_of_host(host: str, domain: str) -> str:
    """The bucket that a Host below `domain` names; "" for none."""
    name = host.lower().rpartition(":")[0] if re.search(r":[0-9]+$", host) else host.lower()
    return name[: -len(domain) - 1] if domain and name.endswith("." + domain) else ""


def split_target(path: str, host: str, domain: str) -> tuple[str, str]:
    """Bucket and key of a decoded path: virtual-host style below `domain`, path style elsewhere; "" for none.

    Raises:
        StoreError: 400, if the name is not valid.
    """
    bucket, key = bucket_of_host(host, domain), path[1:]
    if not bucket:
        bucket, _, key = key.partition("/")
    if bucket and not _BUCKET.fullmatch(bucket):
        raise StoreError("InvalidBucketName", f"not a valid bucket name: {bucket!r}", 400)
    if len(key.encode()) > MAX_KEY_BYTES:
        raise StoreError("KeyTooLongError", f"a key has at most {MAX_KEY_BYTES} bytes", 400)
    return bucket, key


def check_supported(operation: Operation) -> None:
    """Refuse what names a sub-resource, or asks by a header for something, that is not served here.

    Taken for a request of the object or bucket itself, PUT ?tagging would overwrite the object with the tags' XML, and
    DELETE ?tagging or ?policy delete the object or the bucket.

    Raises:
        StoreError: 501; 404 for a version, since there are none.
    """
    table = _OBJECT_OPERATIONS if operation.key else _BUCKET_OPERATIONS
    for name, value in operation.signed.query:
        if name == "versionId" and value != "null":
            raise StoreError("NoSuchVersion", "this server keeps no versions", 404)
        if name in _SUBRESOURCES and not any(row[:2] == (operation.signed.method, name) for row in table):
            raise StoreError("NotImplemented", f"{operation.signed.method} ?{name} is not offered by this server", 501)
    for name, value in operation.signed.headers.items():
        is_refused = name.startswith(_REFUSED_HEADERS) and value not in ("", "false")
        if is_refused or (name == "x-amz-acl" and value not in _PRIVATE_ACLS):
            raise StoreError("NotImplemented", f"{name}: {value[:40]} is not offered by this server", 501)


def perform(store: Store, operation: Operation) -> Reply:
    """The answer to any request but one that uploads a body.

    Raises:
        StoreError: with S3's code and the HTTP status.
        FileNotFoundError: a file of the store's is missing.
    """
    for looks_left in reversed(range(_LOOKS)):
        try:
            return _perform_once(store, operation)
        except FileNotFoundError:  # replaced or deleted since it was looked up
            if not looks_left:
                raise
    raise AssertionError("unreachable")


def _perform_once(store: Store, operation: Operation) -> Reply:
    method = operation.signed.method
    if not operation.bucket:
        if method in ("GET", "HEAD"):
            return Reply(body=documents.format_buckets(operation.grant.access_key, store.list_buckets()))
        raise _not_allowed(method)
    table = _OBJECT_OPERATIONS if operation.key else _BUCKET_OPERATIONS
    arguments = operation.arguments
    for wanted_method, parameter, perform_one in table:
        if method == wanted_method and (not parameter or parameter in arguments):
            return perform_one(store, operation)
    raise _not_allowed(method)


def _not_allowed(method: str) -> StoreError:
    return StoreError("MethodNotAllowed", f"{method} is not allowed on this resource", 405)


# Buckets


def _create_bucket(store: Store, operation: Operation) -> Reply:
    if not store.create_bucket(operation.bucket):
        raise StoreError("BucketAlreadyOwnedByYou", "the bucket is yours already", 409)
    return Reply(headers={"Location": f"/{operation.bucket}"})


def _delete_bucket(store: Store, operation: Operation) -> Reply:
    store.delete_bucket(operation.bucket)
    return Reply(204)


def _head_bucket(store: Store, operation: Operation) -> Reply:
    store.check_bucket(operation.bucket)
    return Reply()


def _get_location(store: Store, operation: Operation) -> Reply:
    store.check_bucket(operation.bucket)
    return Reply(body=documents.format_document("LocationConstraint", []))


def _get_versioning(store: Store, operation: Operation) -> Reply:
    store.check_bucket(operation.bucket)
    return Reply(body=documents.format_document("VersioningConfiguration", []))


def _get_acl(store: Store, operation: Operation) -> Reply:
    if operation.key:
        store.get(operation.bucket, operation.key)
    else:
        store.check_bucket(operation.bucket)
    owner = operation.grant.access_key
    children: list[tuple[str, documents.Value]] = [
        ("Owner", [("ID", owner), ("DisplayName", owner)]),
        ("AccessControlList", []),
    ]
    return Reply(body=documents.format_document("AccessControlPolicy", children))


def _unconfigured(code: str) -> Callable[[Store, Operation], Reply]:
    """An operation that reads a configuration which no bucket of this server has."""

    def read(store: Store, operation: Operation) -> Reply:
        store.check_bucket(operation.bucket)
        raise StoreError(code, "the bucket has no such configuration", 404)

    return read


def _list_objects(store: Store, operation: Operation) -> Reply:
    arguments = operation.arguments
    version = 2 if arguments.get("list-type") == "2" else 1
    limit = _parse_limit(arguments.get("max-keys", ""), "max-keys")
    if version == 1:
        after = arguments.get("marker", "")
    elif "continuation-token" in arguments:
        try:
            after = bytes.fromhex(arguments["continuation-token"]).decode()
        except ValueError as error:
            raise StoreError("InvalidArgument", "continuation-token: not one that this server gave", 400) from error
    else:
        after = arguments.get("start-after", "")
    page = store.list_objects(
        operation.bucket, arguments.get("prefix", ""), arguments.get("delimiter", ""), after, limit
    )
    owner = operation.grant.access_key
    return Reply(body=documents.format_listing(version, operation.bucket, owner, arguments, limit, page))


def _parse_limit(text: str, name: str) -> int:
    if not text:
        return documents.MAX_KEYS
    if not (text.isascii() and text.isdigit() and len(text) < 12):
        raise StoreError("InvalidArgument", f"{name}: expected a number, got {text[:20]!r}", 400)
    return min(int(text), documents.MAX_KEYS)


def _delete_objects(store: Store, operation: Operation) -> Reply:
    keys, is_quiet = documents.parse_delete(operation.body)
    for key in keys:
        store.delete(operation.bucket, key)
    children: list[tuple[str, documents.Value]] = [] if is_quiet else [("Deleted", [("Key", key)]) for key in keys]
    return Reply(body=documents.format_document("DeleteResult", children))


def _list_uploads(store: Store, operation: Operation) -> Reply:
    prefix = operation.arguments.get("prefix", "")
    uploads = store.list_uploads(operation.bucket, prefix)
    return Reply(body=documents.format_uploads(operation.bucket, operation.grant.access_key, prefix, uploads))


# Objects


def _get_object(store: Store, operation: Operation) -> Reply:
    headers = operation.signed.headers
    stored = store.get(operation.bucket, operation.key)
    check_preconditions(headers, stored)
    shown = {
        "ETag": f'"{stored.etag}"', "Accept-Ranges": "bytes",
        "Last-Modified": httputil.format_timestamp(int(stored.modified)),
        **{name: value for name, value in stored.headers.items()},
    }  # fmt: skip
    shown.setdefault("content-type", "binary/octet-stream")
    for name, value in operation.signed.query:
        if name in _OVERRIDES:
            if any(mark in value for mark in "\r\n\0"):
                raise StoreError("InvalidArgument", f"{name}: a header value must not have line ends", 400)
            shown[name.removeprefix("response-")] = value
    if is_unmodified(headers, stored):
        return Reply(304, headers={name: shown[name] for name in ("ETag", "Last-Modified")})
    part = parse_range(headers.get("range", ""), stored.size)
    status, (offset, count) = (206, part) if part else (200, (0, stored.size))
    if part:
        shown["Content-Range"] = f"bytes {offset}-{offset + count - 1}/{stored.size}"
    # Once open, the bytes stay readable, whatever becomes of the object.
    file = open(stored.path, "rb") if operation.signed.method == "GET" else None  # noqa: SIM115
    return Reply(status, headers=shown, stored=stored, offset=offset, count=count, file=file)


def _delete_object(store: Store, operation: Operation) -> Reply:
    store.delete(operation.bucket, operation.key)
    return Reply(204)


def _get_tagging(store: Store, operation: Operation) -> Reply:
    store.get(operation.bucket, operation.key)
    return Reply(body=documents.format_document("Tagging", [("TagSet", [])]))


def _find_source(store: Store, operation: Operation) -> Stored:
    """The object that x-amz-copy-source names, if its conditions hold."""
    source = unquote(operation.signed.headers["x-amz-copy-source"]).partition("?")[0].lstrip("/")
    bucket, _, key = source.partition("/")
    stored = store.get(bucket, key)
    check_preconditions(operation.signed.headers, stored, "x-amz-copy-source-")
    if is_unmodified(operation.signed.headers, stored, "x-amz-copy-source-"):
        raise StoreError("PreconditionFailed", "the source of the copy is unmodified", 412)
    return stored


def _copy_draft(store: Store, stored: Stored, offset: int, count: int) -> Uploaded:
    draft = store.begin()
    md5 = hashlib.md5(usedforsecurity=False)
    left = count
    try:
        with open(stored.path, "rb") as source:
            source.seek(offset)
            while left and (piece := source.read(min(left, 1 << 20))):
                draft.write(piece)
                md5.update(piece)
                left -= len(piece)
    except BaseException:
        draft.discard()
        raise
    return Uploaded(draft, count, md5.hexdigest())


def _copy_object(store: Store, operation: Operation) -> Reply:
    source = _find_source(store, operation)
    headers = operation.signed.headers
    is_replace = headers.get("x-amz-metadata-directive", "COPY").upper() == "REPLACE"
    copied = _copy_draft(store, source, 0, source.size)
    kept = kept_headers(headers) if is_replace else source.headers
    stored = store.put(operation.bucket, operation.key, copied.draft, copied.size, copied.etag, kept)
    return Reply(body=_copy_result("CopyObjectResult", stored.etag, stored.modified))


def _copy_part(store: Store, operation: Operation) -> Reply:
    source = _find_source(store, operation)
    part = parse_range(operation.signed.headers.get("x-amz-copy-source-range", ""), source.size) or (0, source.size)
    copied = _copy_draft(store, source, *part)
    try:
        put_part(store, operation, copied)
    except BaseException:
        copied.draft.discard()
        raise
    return Reply(body=_copy_result("CopyPartResult", copied.etag, source.modified))


def _copy_result(name: str, etag: str, modified: float) -> bytes:
    return documents.format_document(name, [("LastModified", documents.format_time(modified)), ("ETag", f'"{etag}"')])


def _start_upload(store: Store, operation: Operation) -> Reply:
    upload_id = store.start_upload(operation.bucket, operation.key, kept_headers(operation.signed.headers))
    children: list[tuple[str, documents.Value]] = [
        ("Bucket", operation.bucket),
        ("Key", operation.key),
        ("UploadId", upload_id),
    ]
    return Reply(body=documents.format_document("InitiateMultipartUploadResult", children))


def _complete_upload(store: Store, operation: Operation) -> Reply:
    upload = store.get_upload(operation.bucket, operation.key, operation.arguments["uploadId"])
    wanted = documents.parse_complete(operation.body)
    parts = choose_parts(wanted, store.list_parts(upload.id))
    checksums.check_joined(operation.signed.headers, [part.path for part in parts])
    digests = b"".join(bytes.fromhex(part.etag) for part in parts)
    etag = f"{hashlib.md5(digests, usedforsecurity=False).hexdigest()}-{len(parts)}"
    stored = store.complete_upload(operation.bucket, upload, parts, etag, _condition(operation))
    children: list[tuple[str, documents.Value]] = [
        ("Location", f"/{operation.bucket}/{operation.key}"), ("Bucket", operation.bucket), ("Key", operation.key),
        ("ETag", f'"{stored.etag}"'),
    ]  # fmt: skip
    return Reply(body=documents.format_document("CompleteMultipartUploadResult", children))


def choose_parts(wanted: list[tuple[int, str]], present: list[Part]) -> list[Part]:
    """The parts that a completion names (number, ETag), in order.

    Raises:
        StoreError: 400, if they are out of order, unknown, or one before the last is smaller than 5 MiB.
    """
    numbers = [number for number, _ in wanted]
    if numbers != sorted(set(numbers)):
        raise StoreError("InvalidPartOrder", "the parts must be named once each, in ascending order", 400)
    by_number = {part.number: part for part in present}
    chosen = []
    for number, etag in wanted:
        part = by_number.get(number)
        if part is None or part.etag != etag:
            raise StoreError("InvalidPart", f"part {number} was not uploaded, or has another ETag", 400)
        chosen.append(part)
    if any(part.size < MIN_PART_BYTES for part in chosen[:-1]):
        raise StoreError("EntityTooSmall", "every part but the last must have at least 5 MiB", 400)
    return chosen


def _abort_upload(store: Store, operation: Operation) -> Reply:
    upload = store.get_upload(operation.bucket, operation.key, operation.arguments["uploadId"])
    store.abort_upload(upload.id)
    return Reply(204)


def _list_parts(store: Store, operation: Operation) -> Reply:
    arguments = operation.arguments
    upload = store.get_upload(operation.bucket, operation.key, arguments["uploadId"])
    after = _parse_limit(arguments.get("part-number-marker", "") or "0", "part-number-marker")
    limit = _parse_limit(arguments.get("max-parts", ""), "max-parts")
    parts = store.list_parts(upload.id)
    return Reply(body=documents.format_parts(operation.bucket, operation.grant.access_key, upload, after, limit, parts))


def put_object(store: Store, operation: Operation, uploaded: Uploaded) -> Reply:
    """Store an uploaded body as an object, if If-None-Match and If-Match allow it."""
    stored = store.put(
        operation.bucket,
        operation.key,
        uploaded.draft,
        uploaded.size,
        uploaded.etag,
        kept_headers(operation.signed.headers),
        _condition(operation),
    )
    return Reply(headers={"ETag": f'"{stored.etag}"'})


def _condition(operation: Operation) -> Callable[[Stored | None], None] | None:
    """What If-None-Match and If-Match ask of the object that is to be replaced; None if the request has neither."""
    headers = operation.signed.headers
    if "if-none-match" not in headers and "if-match" not in headers:
        return None

    def check(present: Stored | None) -> None:
        check_preconditions(headers, present)
        if present is not None and "if-none-match" in headers and is_unmodified(headers, present):
            raise StoreError("PreconditionFailed", "the object exists already", 412)

    return check


def headers_of_body(operation: Operation) -> Mapping[str, str]:
    """The headers by which the body is checked: the checksum of a completion is that of the object it makes."""
    headers = operation.signed.headers
    if operation.signed.method == "POST" and "uploadId" in operation.arguments:
        return {name: value for name, value in headers.items() if name not in checksums.names_in(headers)}
    return headers


def put_part(store: Store, operation: Operation, uploaded: Uploaded) -> Reply:
    """Store an uploaded body as a part of a multipart upload."""
    arguments = operation.arguments
    number = arguments.get("partNumber", "")
    if not (number.isascii() and number.isdigit() and len(number) < 6 and 1 <= int(number) <= MAX_PARTS):
        raise StoreError("InvalidArgument", f"partNumber: expected 1 to {MAX_PARTS}", 400)
    upload = store.get_upload(operation.bucket, operation.key, arguments["uploadId"])
    store.put_part(upload.id, int(number), uploaded.draft, uploaded.size, uploaded.etag)
    return Reply(headers={"ETag": f'"{uploaded.etag}"'})


def _put_by_copy(store: Store, operation: Operation) -> Reply:
    if "x-amz-copy-source" not in operation.signed.headers:
        raise StoreError("NotImplemented", "this sub-resource can't be set on this server", 501)
    return _copy_part(store, operation) if "uploadId" in operation.arguments else _copy_object(store, operation)


# Method, the parameter that must be there ("": none), what to do. The first row that fits is taken.
_Table = list[tuple[str, str, Callable[[Store, Operation], Reply]]]
_BUCKET_OPERATIONS: _Table = [
    ("GET", "location", _get_location),
    ("GET", "versioning", _get_versioning),
    ("GET", "acl", _get_acl),
    ("GET", "uploads", _list_uploads),
    ("GET", "policy", _unconfigured("NoSuchBucketPolicy")),
    ("GET", "cors", _unconfigured("NoSuchCORSConfiguration")),
    ("GET", "lifecycle", _unconfigured("NoSuchLifecycleConfiguration")),
    ("GET", "tagging", _unconfigured("NoSuchTagSet")),
    ("GET", "encryption", _unconfigured("ServerSideEncryptionConfigurationNotFoundError")),
    ("GET", "website", _unconfigured("NoSuchWebsiteConfiguration")),
    ("GET", "object-lock", _unconfigured("ObjectLockConfigurationNotFoundError")),
    ("GET", "", _list_objects),
    ("HEAD", "", _head_bucket),
    ("PUT", "", _create_bucket),
    ("DELETE", "", _delete_bucket),
    ("POST", "delete", _delete_objects),
]
_OBJECT_OPERATIONS: _Table = [
    ("GET", "uploadId", _list_parts),
    ("GET", "acl", _get_acl),
    ("GET", "tagging", _get_tagging),
    ("GET", "", _get_object),
    ("HEAD", "", _get_object),
    ("PUT", "", _put_by_copy),
    ("POST", "uploads", _start_upload),
    ("POST", "uploadId", _complete_upload),
    ("DELETE", "uploadId", _abort_upload),
    ("DELETE", "", _delete_object),
]
