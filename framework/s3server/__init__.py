"""An S3 store on local files: for tests, for development, and for a cell that has no other object store.

Speaks what today's clients need: signature versions 4 and 2 in header and URL, streamed and signed chunks, multipart
uploads, copies, ranges, conditions, batch deletes and both listings, in path and virtual-host style.

    signatures  who signed a request
    checksums   what a client says of its bytes
    payload     an upload's bytes, plain or chunked, checked while they arrive
    store       buckets and objects on disk
    documents   S3's XML
    replies     answers, conditions, ranges
    operations  what each request does
    service     the application that a server is given, and `start`
"""

from framework.s3server.service import S3Application, start
from framework.s3server.signatures import AccessError
from framework.s3server.store import Store, StoreError

__all__ = ["AccessError", "S3Application", "Store", "StoreError", "start"]
