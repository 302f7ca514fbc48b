"""S3's XML, in and out of values. Knows names and shapes, not where the values come from.

Source: Amazon S3 API reference. Documents from clients are small (a list of keys or of parts), so they are parsed
whole; one with a document type declaration is refused, since entities are an attack and nothing else (CWE-776).
"""

from datetime import UTC, datetime
from typing import Any
from urllib.parse import quote
from xml.etree import ElementTree
from xml.sax.saxutils import escape

from framework.s3server.store import Listing, Part, Stored, StoreError, Upload

NAMESPACE = "http://s3.amazonaws.com/doc/2006-03-01/"
MAX_DOCUMENT_BYTES = 2 << 20  # 1,000 keys of 1,024 bytes, escaped
MAX_KEYS = 1000
STORAGE_CLASS = "STANDARD"
_CARRIAGE_RETURN = {"\r": "&#13;"}  # a parser would read a bare one as a line feed (XML 1.0 §2.11): another key

# A value is text, a number, a list of (name, value) children, or None for an element left out.
Value = str | int | list[tuple[str, Any]] | None


def format_document(name: str, children: list[tuple[str, Value]]) -> bytes:
    """One XML document with the S3 namespace."""
    body = f'<{name} xmlns="{NAMESPACE}">{_format_children(children)}</{name}>'
    return ('<?xml version="1.0" encoding="UTF-8"?>\n' + body).encode()


def _format_children(children: list[tuple[str, Value]]) -> str:
    pieces = []
    for name, value in children:
        if value is None:
            continue
        inner = _format_children(value) if isinstance(value, list) else escape(_printable(str(value)), _CARRIAGE_RETURN)
        pieces.append(f"<{name}>{inner}</{name}>")
    return "".join(pieces)


def _printable(text: str) -> str:
    # XML 1.0 has no way to write most control characters; a client that has such keys asks for encoding-type=url.
    return "".join(ch if (ch >= " " or ch in "\t\n\r") and ch not in "\ufffe\uffff" else "\ufffd" for ch in text)


def format_time(seconds: float) -> str:
    """ISO 8601 with milliseconds, in UTC, of seconds since the epoch."""
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%S.") + f"{int(seconds * 1000) % 1000:03d}Z"


def format_error(code: str, message: str, resource: str, request_id: str) -> bytes:
    """An error document; it alone has no namespace."""
    children: list[tuple[str, Value]] = [
        ("Code", code),
        ("Message", message),
        ("Resource", resource),
        ("RequestId", request_id),
    ]
    body = f"<Error>{_format_children(children)}</Error>"
    return ('<?xml version="1.0" encoding="UTF-8"?>\n' + body).encode()


def format_buckets(owner: str, buckets: list[tuple[str, float]]) -> bytes:
    """The answer to ListBuckets."""
    listed: list[tuple[str, Value]] = [
        ("Bucket", [("Name", name), ("CreationDate", format_time(created))]) for name, created in buckets
    ]
    return format_document("ListAllMyBucketsResult", [("Owner", _owner(owner)), ("Buckets", listed)])


def format_listing(
    version: int, bucket: str, owner: str, arguments: dict[str, str], limit: int, page: Listing
) -> bytes:
    """A page of objects, as list version 1 or 2 gives it."""
    is_url = arguments.get("encoding-type") == "url"

    def encode(text: str) -> str:
        return quote(text, safe="/-_.~*") if is_url else text

    prefix, delimiter = arguments.get("prefix", ""), arguments.get("delimiter", "")
    children: list[tuple[str, Value]] = [
        ("Name", bucket),
        ("Prefix", encode(prefix)),
        ("Delimiter", encode(delimiter) if delimiter else None),
        ("MaxKeys", limit),
        ("EncodingType", "url" if is_url else None),
        ("IsTruncated", "true" if page.next_after is not None else "false"),
    ]
    if version == 1:
        children.append(("Marker", encode(arguments.get("marker", ""))))
        children.append(("NextMarker", None if page.next_after is None else encode(page.next_after)))
    else:
        children += [
            ("KeyCount", len(page.objects) + len(page.prefixes)),
            ("ContinuationToken", arguments.get("continuation-token")),
            ("NextContinuationToken", None if page.next_after is None else page.next_after.encode().hex()),
            ("StartAfter", encode(arguments["start-after"]) if "start-after" in arguments else None),
        ]
    has_owner = version == 1 or arguments.get("fetch-owner") == "true"
    children += [
        ("Contents", _contents(stored, encode(stored.key), owner if has_owner else "")) for stored in page.objects
    ]
    children += [("CommonPrefixes", [("Prefix", encode(common))]) for common in page.prefixes]
    return format_document("ListBucketResult", children)


def _contents(stored: Stored, key: str, owner: str) -> list[tuple[str, Value]]:
    return [
        ("Key", key),
        ("LastModified", format_time(stored.modified)),
        ("ETag", f'"{stored.etag}"'),
        ("Size", stored.size),
        ("Owner", _owner(owner) if owner else None),
        ("StorageClass", STORAGE_CLASS),
    ]


def _owner(owner: str) -> list[tuple[str, Value]]:
    return [("ID", owner), ("DisplayName", owner)]


def format_uploads(bucket: str, owner: str, prefix: str, uploads: list[Upload]) -> bytes:
    """The answer to ListMultipartUploads."""
    children: list[tuple[str, Value]] = [
        ("Bucket", bucket),
        ("KeyMarker", ""),
        ("UploadIdMarker", ""),
        ("Prefix", prefix),
        ("MaxUploads", MAX_KEYS),
        ("IsTruncated", "false"),
    ]
    for upload in uploads:
        parts: list[tuple[str, Value]] = [
            ("Key", upload.key),
            ("UploadId", upload.id),
            ("Initiator", _owner(owner)),
            ("Owner", _owner(owner)),
            ("StorageClass", STORAGE_CLASS),
            ("Initiated", format_time(upload.started)),
        ]
        children.append(("Upload", parts))
    return format_document("ListMultipartUploadsResult", children)


def format_parts(bucket: str, owner: str, upload: Upload, after: int, limit: int, parts: list[Part]) -> bytes:
    """A page of the parts numbered above `after`."""
    later = [part for part in parts if part.number > after]
    page = later[:limit]
    is_truncated = len(later) > len(page)
    children: list[tuple[str, Value]] = [
        ("Bucket", bucket),
        ("Key", upload.key),
        ("UploadId", upload.id),
        ("Initiator", _owner(owner)),
        ("Owner", _owner(owner)),
        ("StorageClass", STORAGE_CLASS),
        ("PartNumberMarker", after),
        ("NextPartNumberMarker", page[-1].number if is_truncated and page else None),
        ("MaxParts", limit),
        ("IsTruncated", "true" if is_truncated else "false"),
    ]
    for part in page:
        shown: list[tuple[str, Value]] = [
            ("PartNumber", part.number),
            ("LastModified", format_time(part.modified)),
            ("ETag", f'"{part.etag}"'),
            ("Size", part.size),
        ]
        children.append(("Part", shown))
    return format_document("ListPartsResult", children)


def _parse(body: bytes) -> ElementTree.Element:
    if b"<!DOCTYPE" in body[:4096] or b"<!ENTITY" in body:
        raise StoreError("MalformedXML", "the document must not have a document type declaration", 400)
    try:
        return ElementTree.fromstring(body)
    except ElementTree.ParseError as error:
        raise StoreError("MalformedXML", f"the document is not XML: {error}", 400) from error


def _name(element: ElementTree.Element) -> str:
    return element.tag.rpartition("}")[2]


def _text(element: ElementTree.Element, name: str) -> str:
    return next((child.text or "" for child in element if _name(child) == name), "")


def parse_delete(body: bytes) -> tuple[list[str], bool]:
    """The keys that a batch delete names, and whether it wants to hear of errors only.

    Raises:
        StoreError: 400, if the document is malformed or names more than 1,000 keys.
    """
    root = _parse(body)
    keys = [_text(child, "Key") for child in root if _name(child) == "Object"]
    if _name(root) != "Delete" or not keys or not all(keys) or len(keys) > MAX_KEYS:
        raise StoreError("MalformedXML", f"expected a Delete document with 1 to {MAX_KEYS} keys", 400)
    return keys, _text(root, "Quiet") == "true"


def parse_complete(body: bytes) -> list[tuple[int, str]]:
    """Number and ETag of each part that makes up the object, in the client's order.

    Raises:
        StoreError: 400, if the document is malformed.
    """
    root = _parse(body)
    parts = [(_text(child, "PartNumber"), _text(child, "ETag").strip('"')) for child in root if _name(child) == "Part"]
    if not parts or not all(number.isascii() and number.isdigit() for number, _ in parts):
        raise StoreError("MalformedXML", "expected a CompleteMultipartUpload document with parts", 400)
    return [(int(number), etag) for number, etag in parts]
