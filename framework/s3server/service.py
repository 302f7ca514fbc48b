"""The S3 application that a server is given: checks the signature, hands the work to a thread, sends the answer.

Bodies of uploads are written aside and hashed on a thread while they arrive, one piece at a time, so that the loop
never waits for the disk and memory stays constant whatever the size of the object.
"""

import asyncio
import errno
import logging
import secrets as random
import sqlite3
import time
from collections.abc import Awaitable, Coroutine, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, BinaryIO
from urllib.parse import parse_qsl, unquote

from framework.errors import FrameworkError
from framework.request import BodyReceiver, HTTPRequest
from framework.s3server import documents, operations
from framework.s3server.operations import Operation, Uploaded
from framework.s3server.payload import PayloadReader
from framework.s3server.replies import Reply
from framework.s3server.signatures import AccessError, SignedRequest, verify
from framework.s3server.store import Store, StoreError

logger = logging.getLogger("framework.general")

MAX_OBJECT_BYTES = 5 << 40  # S3's limit
MAX_DISCARD_BYTES = 1 << 20  # a refused upload of up to this size is read to its end, and the connection goes on
WORKERS = 8
SWEEP_EVERY_S = 3600.0


class S3Application:
    """Serves the buckets under `root_directory` to whoever signs with one of `secrets` (access key to secret key).

    Below `domain`, buckets are taken from the host name (`bucket.domain`); elsewhere from the path.
    """

    def __init__(self, root_directory: str | Path, secrets: Mapping[str, str], domain: str = "") -> None:
        if not secrets:
            raise FrameworkError("s3server: no keys: expected at least one access key with its secret key")
        self.store = Store(root_directory)
        self.secrets = dict(secrets)
        self.domain = domain.lower()
        self._threads = ThreadPoolExecutor(WORKERS, thread_name_prefix="s3")
        self._tasks: set[asyncio.Task[None]] = set()
        self._next_sweep = 0.0

    def __call__(self, request: HTTPRequest) -> Awaitable[None]:
        return self._serve(request)

    def body_receiver(self, request: HTTPRequest) -> BodyReceiver | None:
        """A receiver for the body of an object or a part; None for other requests, whose bodies are small documents."""
        if request.method != "PUT":
            request.connection.set_max_body_size(documents.MAX_DOCUMENT_BYTES)
            return None
        self._sweep_if_due()
        request.connection.set_max_body_size(MAX_OBJECT_BYTES)
        try:
            operation = self.authorize(request)
        except (AccessError, StoreError) as error:
            return _Refusal(request, refuse(request, error))
        if not operation.key or "x-amz-copy-source" in operation.signed.headers:
            request.connection.set_max_body_size(documents.MAX_DOCUMENT_BYTES)
            return None
        try:
            return _Upload(self, request, operation)
        except AccessError as error:  # a checksum that nobody can check
            return _Refusal(request, refuse(request, error))

    def authorize(self, request: HTTPRequest) -> Operation:
        """What the request asks for, once its signature is verified.

        Raises:
            AccessError: see `signatures.verify`.
            StoreError: 400, if target or query are malformed; 501 for a sub-resource that is not served.
        """
        try:
            path = unquote(request.path, errors="strict")
            query = parse_qsl(request.query, keep_blank_values=True, max_num_fields=100, errors="strict")
        except ValueError as error:
            raise StoreError("InvalidURI", "the target is not percent-encoded UTF-8", 400) from error
        headers = {name.lower(): value for name, value in request.headers.items()}
        of_host = operations.bucket_of_host(request.host, self.domain)
        signed = SignedRequest(request.method, path, query, headers, of_host)
        grant = verify(signed, self.secrets, time.time())
        bucket, key = operations.split_target(path, request.host, self.domain)
        operation = Operation(signed, grant, bucket, key)
        operations.check_supported(operation)
        return operation

    async def run(self, call: Any, *arguments: Any) -> Any:
        """The result of a blocking call, made on one of the service's threads."""
        return await asyncio.get_running_loop().run_in_executor(self._threads, call, *arguments)

    def spawn(self, work: Coroutine[Any, Any, None]) -> None:
        """Run work that nobody awaits; the loop itself holds only weak references to tasks."""
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def close(self) -> None:
        """End the threads once their work is done, and close the store."""
        self._threads.shutdown()
        self.store.close()

    async def _serve(self, request: HTTPRequest) -> None:
        try:
            operation = self.authorize(request)
            if request.body:
                checked = PayloadReader(operations.headers_of_body(operation), operation.grant)
                body = checked.feed(request.body)
                checked.close()
                operation = Operation(operation.signed, operation.grant, operation.bucket, operation.key, body)
            elif request.method == "PUT" and operation.key and "x-amz-copy-source" not in operation.signed.headers:
                await self.finish_upload(request, operation, await self.run(self.store.begin), None)
                return
            reply = await self.run(operations.perform, self.store, operation)
        except (AccessError, StoreError) as error:
            reply = refuse(request, error)
        except Exception as error:  # the request ends here
            reply = fail(request, error)
        await self.send(request, reply)

    async def finish_upload(
        self, request: HTTPRequest, operation: Operation, draft: Any, reader: PayloadReader | None
    ) -> None:
        """Check what arrived, store it and answer; without a reader the body is empty."""
        try:
            if reader is None:
                reader = PayloadReader(operation.signed.headers, operation.grant)
            reader.close()
            put = operations.put_part if "uploadId" in operation.arguments else operations.put_object
            uploaded = Uploaded(draft, reader.size, reader.md5.hexdigest())
            reply = await self.run(put, self.store, operation, uploaded)
        except (AccessError, StoreError) as error:
            reply = refuse(request, error)
            await self.run(draft.discard)
        except Exception as error:  # the request ends here
            reply = fail(request, error)
            await self.run(draft.discard)
        await self.send(request, reply)

    async def send(self, request: HTTPRequest, reply: Reply) -> None:
        """Put the answer on the wire, the bytes of an object straight from its file."""
        if reply.file is None:
            answer(request, reply)
            return
        with reply.file as file:
            if not request.connection.closed:
                await self._send_file(request, reply, file)

    async def _send_file(self, request: HTTPRequest, reply: Reply, file: BinaryIO) -> None:
        connection = request.connection
        try:
            connection.write(reply.format_head(request, random.token_hex(8)))
            if reply.count:
                await connection.send_file(file, reply.offset, reply.count)
            connection.finish()
        except OSError as error:
            logger.info("s3server: %s %s: %s", request.method, request.path, error)
            connection.abort()

    def _sweep_if_due(self) -> None:
        """Remove now and then what crashes have left; at the first upload after a start, too."""
        if time.monotonic() >= self._next_sweep:
            self._next_sweep = time.monotonic() + SWEEP_EVERY_S
            self.spawn(self._sweep())

    async def _sweep(self) -> None:
        try:
            removed = await self.run(self.store.sweep)
        except (OSError, sqlite3.Error) as error:
            logger.error("s3server: what crashes left could not be removed: %s", error)
            return
        if removed:
            logger.info("s3server: removed %d files that crashes had left", removed)


def answer(request: HTTPRequest, reply: Reply) -> None:
    """Put an answer without a file on the wire."""
    if not request.connection.closed:
        head = reply.format_head(request, random.token_hex(8))
        request.connection.answer(head if request.method == "HEAD" else head + reply.body)


def refuse(request: HTTPRequest, error: AccessError | StoreError) -> Reply:
    """The error document of a refused request."""
    return Reply(error.status, documents.format_error(error.code, str(error), request.path, ""))


def fail(request: HTTPRequest, error: Exception) -> Reply:
    """The error document of a failure that is not the client's; a full disk is 503, so that clients retry."""
    is_full = isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
    if is_full or (isinstance(error, sqlite3.OperationalError) and error.sqlite_errorcode in _FULL):
        logger.error("s3server: the disk is full: make room under the root directory")
        return Reply(
            503, documents.format_error("SlowDown", "the disk is full", request.path, ""), {"Retry-After": "30"}
        )
    logger.error("s3server: %s %s failed", request.method, request.path, exc_info=error)
    return Reply(500, documents.format_error("InternalError", "the server failed; its log says why", request.path, ""))


# SQLite calls it a failed write where the disk refuses to let a file grow.
_FULL = (sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR_WRITE)


class _Upload:
    """Takes the body of an object or a part while it arrives."""

    def __init__(self, service: S3Application, request: HTTPRequest, operation: Operation) -> None:
        self._service = service
        self._request = request
        self._operation = operation
        self._reader = PayloadReader(operation.signed.headers, operation.grant)
        self._draft = service.store.begin()
        self._error: Exception | None = None
        self._is_busy = False
        self._is_lost = False

    def data_received(self, chunk: bytes) -> Awaitable[None] | None:
        return self._take(chunk) if self._error is None else None

    async def _take(self, chunk: bytes) -> None:
        self._is_busy = True
        try:
            await self._service.run(self._write, chunk)
        except Exception as error:  # answered when the body is complete
            self._error = error
        finally:
            self._is_busy = False
        if self._is_lost:
            await self._service.run(self._draft.discard)

    def _write(self, chunk: bytes) -> None:
        piece = self._reader.feed(chunk)
        if piece:
            self._draft.write(piece)

    def body_complete(self) -> None:
        self._service.spawn(self._finish())

    async def _finish(self) -> None:
        # Its traceback knows us, and the piece that failed: a cycle that would wait for the collector.
        error, self._error = self._error, None
        if error is None:
            await self._service.finish_upload(self._request, self._operation, self._draft, self._reader)
            return
        await self._service.run(self._draft.discard)
        if isinstance(error, AccessError | StoreError):
            await self._service.send(self._request, refuse(self._request, error))
        else:
            await self._service.send(self._request, fail(self._request, error))

    def connection_lost(self) -> None:
        self._is_lost = True
        self._error = None
        if not self._is_busy:
            self._service.spawn(self._service.run(self._draft.discard))


class _Refusal:
    """Says no. At once, if the client asks before it sends its body, or announces a large one: nobody wants that.

    A small body is read to its end first, so that the connection can go on; one of unknown length until it is large.
    After an early answer the server throws away what still arrives, for a while: see `Limits.max_linger_s`.
    """

    def __init__(self, request: HTTPRequest, reply: Reply) -> None:
        self._request = request
        self._reply = reply
        self._is_answered = False
        self._received = 0
        length = request.find_header(b"content-length")
        if request.find_header(b"expect") is not None or (length is not None and int(length) > MAX_DISCARD_BYTES):
            self._answer_early()

    def _answer_early(self) -> None:
        self._is_answered = True
        self._request.connection.keep_alive = False
        answer(self._request, self._reply)

    def data_received(self, chunk: bytes) -> Awaitable[None] | None:
        self._received += len(chunk)
        if self._received > MAX_DISCARD_BYTES and not self._is_answered:
            self._answer_early()
        return None

    def body_complete(self) -> None:
        if not self._is_answered:
            answer(self._request, self._reply)

    def connection_lost(self) -> None:
        pass


def start(
    port: int, root_directory: str = "/tmp/s3", bucket_depth: int = 0, secrets: Mapping[str, str] | None = None
) -> None:
    """Serve the store on loopback and run the loop, as the seed does; `secrets` maps access key to secret key.

    `bucket_depth` is accepted for code of 2011: directories are always spread, whatever it says.

    Raises:
        FrameworkError: if there are no secrets.
    """
    from framework.httpserver import HTTPServer
    from framework.ioloop import IOLoop

    HTTPServer(S3Application(root_directory, secrets or {})).listen(port, "127.0.0.1")
    IOLoop.instance().start()
