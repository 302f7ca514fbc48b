"""Ways for a request to fail at our own services: the S3 server, foreign applications, sign-in. See `failing_fetches`.

Besides the answer, what must hold afterwards: no draft of an upload is left, every close() was called.
"""

import asyncio
import contextlib
import json
import os
import tempfile
from functools import partial
from pathlib import Path
from urllib.parse import urlencode

import pycurl
from botocore.auth import S3SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials
from joserfc import jws

from framework.asgi import ASGIContainer
from framework.auth import OpenIDConnectMixin
from framework.httpclient import AsyncHTTPClient
from framework.s3server import S3Application
from framework.testing import serving
from framework.web import Application, RequestHandler
from framework.wsgi import WSGIContainer
from tests.load.failing_fetches import CONCURRENCY
from tests.support.providers import Browser, Lies, make_provider
from tests.support.s3 import ACCESS_KEY, SECRETS, run_process

BODY = bytes(200_000)


# ---- the S3 server


def signed(method, url, body=b"", secret=SECRETS[ACCESS_KEY], **headers):
    """The headers of a request, signed as boto3 does."""
    request = AWSRequest(method, url, {name.replace("_", "-"): value for name, value in headers.items()}, body)
    S3SigV4Auth(Credentials(ACCESS_KEY, secret), "s3", "us-east-1").add_auth(request)
    return dict(request.headers.items())


async def ask_store(client, port, method, path, body=b"", **options):
    """Status and code of the answer to a signed request."""
    url = f"http://127.0.0.1:{port}{path}"
    headers = signed(method, url, body, **options)
    answer = await client.fetch(
        url,
        method=method,
        body=body if method == "PUT" else None,
        headers=headers,
        raise_error=False,
        prepare_curl_callback=lambda curl: curl.setopt(pycurl.PATH_AS_IS, 1),
    )
    return f"{answer.code} {answer.body.decode()}"


@contextlib.asynccontextmanager
async def at_store(method, path, body=b"", **options):
    """Requests to a store in this process, in which nothing is left."""
    client = AsyncHTTPClient(force_instance=True, max_clients=CONCURRENCY)
    with tempfile.TemporaryDirectory() as folder:
        store = S3Application(folder, SECRETS)
        async with serving(store) as port:
            await ask_store(client, port, "PUT", "/bucket")
            yield partial(ask_store, client, port, method, path, body, **options)
        client.close()
        store.close()
        assert not has_files(Path(folder))


def has_files(root):
    """Whether there are objects, parts or drafts."""
    return any(path.is_file() for folder in ("files", "drafts") for path in (root / folder).rglob("*"))


@contextlib.asynccontextmanager
async def upload_cut():
    """Uploads whose client goes away in the middle."""
    with tempfile.TemporaryDirectory() as folder:
        store = S3Application(folder, SECRETS)
        async with serving(store) as port:
            client = AsyncHTTPClient(force_instance=True)
            await ask_store(client, port, "PUT", "/bucket")
            client.close()

            async def fail():
                headers = signed("PUT", f"http://127.0.0.1:{port}/bucket/key", BODY)
                lines = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
                _, writer = await asyncio.open_connection("127.0.0.1", port)
                lines += f"Host: 127.0.0.1:{port}\r\nContent-Length: {len(BODY)}\r\n"
                head = f"PUT /bucket/key HTTP/1.1\r\n{lines}\r\n"
                writer.write(head.encode() + BODY[: len(BODY) // 2])
                await writer.drain()
                writer.transport.abort()
                return "gone"

            yield fail
        store.close()
        assert not has_files(Path(folder))


@contextlib.asynccontextmanager
async def disk_full():
    """Uploads to a store in a process of its own, whose files can't grow."""
    client = AsyncHTTPClient(force_instance=True, max_clients=CONCURRENCY)
    # The C library would keep some buffers of each thread for later; which look like a leak from here.
    thrift = {"MALLOC_ARENA_MAX": "1", "MALLOC_TRIM_THRESHOLD_": "100000", "MALLOC_MMAP_THRESHOLD_": "50000"}
    with tempfile.TemporaryDirectory() as folder, run_process(Path(folder), 100_000, **thrift) as (process, port):
        await ask_store(client, port, "PUT", "/bucket")
        fail = partial(ask_store, client, port, "PUT", "/bucket/key", BODY)
        fail.pid = process.pid
        yield fail
        client.close()
        assert not has_files(Path(folder))


# ---- WSGI and ASGI


class Pieces:
    """A body that counts how often it was begun and not closed."""

    open = 0

    def __init__(self, pieces):
        Pieces.open += 1
        self._pieces = iter(pieces)

    def __iter__(self):
        return self._pieces

    def close(self):
        Pieces.open -= 1


def failing_pieces():
    yield b"one"
    raise LookupError("half way")


def endless_pieces():
    while True:
        yield bytes(100_000)


def wsgi_application(environ, start_response):
    if environ["PATH_INFO"] == "/raises":
        raise LookupError("at once")
    start_response("200 OK", [("Content-Length", "9")] if environ["PATH_INFO"] == "/short" else [])
    pieces = {"/half": failing_pieces, "/short": lambda: [b"short", b""], "/endless": endless_pieces}
    return Pieces(pieces[environ["PATH_INFO"]]())


async def asgi_application(scope, receive, send):
    assert scope["type"] == "http"
    if scope["path"] == "/raises":
        raise LookupError("at once")
    length = [(b"content-length", b"9")] if scope["path"] == "/short" else []
    await send({"type": "http.response.start", "status": 200, "headers": length})
    if scope["path"] == "/endless":
        while True:
            await send({"type": "http.response.body", "body": bytes(100_000), "more_body": True})
    await send({"type": "http.response.body", "body": b"short", "more_body": True})
    if scope["path"] == "/half":
        raise LookupError("half way")
    await send({"type": "http.response.body", "body": b""})


@contextlib.asynccontextmanager
async def at_foreign(container_class, application, path):
    """Requests to a foreign application that fails."""
    container = container_class(application)
    client = AsyncHTTPClient(force_instance=True, max_clients=CONCURRENCY)
    async with serving(container) as port:

        async def fail():
            answer = await client.fetch(f"http://127.0.0.1:{port}{path}", raise_error=False)
            return f"{answer.code} {answer.reason} {answer.body.decode()}"

        yield fail
        client.close()
    await container.shut_down()
    assert Pieces.open == 0


@contextlib.asynccontextmanager
async def left_alone(container_class, application):
    """Requests whose client leaves in the middle of an answer without end."""
    container = container_class(application)
    async with serving(container) as port:

        async def fail():
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            writer.write(b"GET /endless HTTP/1.1\r\nHost: h\r\n\r\n")
            await reader.readexactly(50_000)
            writer.transport.abort()
            return "gone"

        yield fail
    await container.shut_down()
    assert Pieces.open == 0


# ---- sign-in


class SignIn(OpenIDConnectMixin, RequestHandler):
    async def get(self):
        if self.get_argument("code", None):
            self.write({"user": await self.get_authenticated_user()})
        else:
            await self.authorize_redirect()


@contextlib.asynccontextmanager
async def signing_in(prepare, change=lambda url: url):
    """Visitors who come back from a provider that lies, or with an answer that was changed on the way."""
    lies, address = Lies(), ""
    prepare(lies)
    async with serving(make_provider(lies, lambda: address)) as port:
        address = f"http://127.0.0.1:{port}"
        settings = {"issuer": address, "client_id": "squall", "client_secret": "s"}
        site = Application(
            [("/sign-in", SignIn)], cookie_secret="x", openid_connect=settings, log_function=lambda handler: None
        )
        async with serving(site) as at:
            gate = asyncio.Lock()  # the provider remembers one visitor's nonce

            async def fail():
                browser = Browser()
                try:
                    async with gate:
                        back, _ = await browser.open(
                            f"http://127.0.0.1:{at}/sign-in", until=f"http://127.0.0.1:{at}/sign-in?"
                        )
                        _, page = await browser.open(change(back))
                    return f"{page.code} {json.loads(page.body)}"
                finally:
                    browser.close()

            yield fail


def forge(lies):
    lies.sign = lambda header, claims: jws.serialize_compact(header, json.dumps(claims), lies.other_key)


def forget_the_state(url):
    arguments = {"code": "c", "state": os.urandom(16).hex()}
    return f"{url.partition('?')[0]}?{urlencode(arguments)}"


NOBODY = r"200 \{'user': None\}"
KINDS = {
    "s3: wrong secret": ("403 .*SignatureDoesNotMatch", partial(at_store, "PUT", "/bucket/key", BODY, secret="wrong")),
    "s3: wrong digest": (
        "400 .*BadDigest",
        partial(at_store, "PUT", "/bucket/key", BODY, Content_MD5="AAAAAAAAAAAAAAAAAAAAAA=="),
    ),
    "s3: out of the bucket": ("400 ", partial(at_store, "GET", "/bucket/../../../etc/passwd")),
    "s3: no such bucket": ("404 .*NoSuchBucket", partial(at_store, "PUT", "/other/key", BODY)),
    "s3: no such upload": ("404 .*NoSuchUpload", partial(at_store, "PUT", "/bucket/k?partNumber=1&uploadId=x", BODY)),
    "s3: upload cut": ("gone", upload_cut),
    "s3: disk full": ("503 .*the disk is full", disk_full),
    "wsgi: exception": ("500", partial(at_foreign, WSGIContainer, wsgi_application, "/raises")),
    "wsgi: exception half way": ("599", partial(at_foreign, WSGIContainer, wsgi_application, "/half")),
    "wsgi: too short": ("599", partial(at_foreign, WSGIContainer, wsgi_application, "/short")),
    "wsgi: client leaves": ("gone", partial(left_alone, WSGIContainer, wsgi_application)),
    "asgi: exception": ("500", partial(at_foreign, ASGIContainer, asgi_application, "/raises")),
    "asgi: exception half way": ("599", partial(at_foreign, ASGIContainer, asgi_application, "/half")),
    "asgi: too short": ("599", partial(at_foreign, ASGIContainer, asgi_application, "/short")),
    "asgi: client leaves": ("gone", partial(left_alone, ASGIContainer, asgi_application)),
    "sign-in: forged token": (NOBODY, partial(signing_in, forge)),
    "sign-in: another's answer": (NOBODY, partial(signing_in, lambda lies: None, forget_the_state)),
    "sign-in: provider broken": (
        NOBODY,
        partial(signing_in, lambda lies: setattr(lies, "raw_token_answer", (500, "no"))),
    ),
}
