"""The store as today's clients use it: boto3 against a real server; and what strangers get."""

import asyncio
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import boto3
import botocore.exceptions
import pytest
from botocore.config import Config

from framework import netutil
from framework.errors import FrameworkError
from framework.httpserver import HTTPServer
from framework.s3server import S3Application, start
from tests.support.load import Client, Reply

SECRETS = {"key": "a secret of the tests"}
SMALLEST_PART = 5 << 20


@pytest.fixture(scope="module")
def port(tmp_path_factory: pytest.TempPathFactory) -> Iterator[int]:
    """The port of an S3 server in a thread of its own."""
    sockets = netutil.bind_sockets(0, "127.0.0.1")
    started, loops = threading.Event(), []

    async def serve(root: Path) -> None:
        application = S3Application(root, SECRETS, domain="s3.test")
        server = HTTPServer(application)
        server.add_sockets(sockets)
        stopping = asyncio.Event()
        loops.append((asyncio.get_running_loop(), stopping))
        started.set()
        await stopping.wait()
        server.stop()
        await server.close_all_connections()
        application.close()

    thread = threading.Thread(target=lambda: asyncio.run(serve(tmp_path_factory.mktemp("s3"))))
    thread.start()
    started.wait()
    yield sockets[0].getsockname()[1]
    loop, stopping = loops[0]
    loop.call_soon_threadsafe(stopping.set)
    thread.join()


def _connect(port: int, secret: str = SECRETS["key"], signature: str = "s3v4") -> Any:
    return boto3.client(
        "s3",
        endpoint_url=f"http://127.0.0.1:{port}",
        aws_access_key_id="key",
        aws_secret_access_key=secret,
        region_name="us-east-1",
        config=Config(signature_version=signature, s3={"addressing_style": "path"}, retries={"max_attempts": 1}),
    )


@pytest.fixture
def s3(port: int, request: pytest.FixtureRequest) -> Iterator[Any]:
    client = _connect(port)
    client.create_bucket(Bucket="bucket")
    yield client
    for found in client.list_objects_v2(Bucket="bucket").get("Contents", []):
        client.delete_object(Bucket="bucket", Key=found["Key"])
    client.delete_bucket(Bucket="bucket")
    client.close()


def _code(caught: pytest.ExceptionInfo[botocore.exceptions.ClientError]) -> str:
    return str(caught.value.response["Error"]["Code"])


def test_item_133_put_get_head_delete(s3: Any) -> None:
    put = s3.put_object(
        Bucket="bucket", Key="a b/ü+%.txt", Body=b"hello", ContentType="text/plain", Metadata={"mark": "1"}
    )
    got = s3.get_object(Bucket="bucket", Key="a b/ü+%.txt")
    assert (got["Body"].read(), got["ContentType"], got["Metadata"]) == (b"hello", "text/plain", {"mark": "1"})
    assert got["ETag"] == put["ETag"] == '"5d41402abc4b2a76b9719d911017c592"'
    assert s3.head_object(Bucket="bucket", Key="a b/ü+%.txt")["ContentLength"] == 5
    s3.delete_object(Bucket="bucket", Key="a b/ü+%.txt")
    with pytest.raises(botocore.exceptions.ClientError) as caught:
        s3.get_object(Bucket="bucket", Key="a b/ü+%.txt")
    assert _code(caught) == "NoSuchKey"


def test_ranges_and_conditions(s3: Any) -> None:
    etag = s3.put_object(Bucket="bucket", Key="k", Body=b"0123456789")["ETag"]
    assert s3.get_object(Bucket="bucket", Key="k", Range="bytes=2-4")["Body"].read() == b"234"
    assert s3.get_object(Bucket="bucket", Key="k", Range="bytes=-3")["Body"].read() == b"789"
    for condition, code in (
        ({"IfMatch": '"other"'}, "412"),
        ({"IfNoneMatch": etag}, "304"),
        ({"Range": "bytes=99-"}, "InvalidRange"),
    ):
        with pytest.raises(botocore.exceptions.ClientError) as caught:
            s3.get_object(Bucket="bucket", Key="k", **condition)
        assert _code(caught) in (code, "PreconditionFailed")
    with pytest.raises(botocore.exceptions.ClientError) as caught:
        s3.put_object(Bucket="bucket", Key="k", Body=b"", IfNoneMatch="*")
    assert _code(caught) == "PreconditionFailed"


def test_listings(s3: Any) -> None:
    for key in ("a", "dir/1", "dir/2", "z"):
        s3.put_object(Bucket="bucket", Key=key, Body=b"")
    page = s3.list_objects_v2(Bucket="bucket", Delimiter="/", MaxKeys=2)
    assert ([o["Key"] for o in page["Contents"]], [p["Prefix"] for p in page["CommonPrefixes"]]) == (["a"], ["dir/"])
    rest = s3.list_objects_v2(Bucket="bucket", Delimiter="/", ContinuationToken=page["NextContinuationToken"])
    assert [o["Key"] for o in rest["Contents"]] == ["z"]
    assert [o["Key"] for o in s3.list_objects(Bucket="bucket", Prefix="dir/")["Contents"]] == ["dir/1", "dir/2"]
    assert [bucket["Name"] for bucket in s3.list_buckets()["Buckets"]] == ["bucket"]


def test_copy_and_batch_delete(s3: Any) -> None:
    s3.put_object(Bucket="bucket", Key="from", Body=b"data", ContentType="text/plain")
    s3.copy_object(Bucket="bucket", Key="to", CopySource={"Bucket": "bucket", "Key": "from"})
    assert s3.get_object(Bucket="bucket", Key="to")["ContentType"] == "text/plain"
    deleted = s3.delete_objects(Bucket="bucket", Delete={"Objects": [{"Key": "from"}, {"Key": "to"}, {"Key": "none"}]})
    assert len(deleted["Deleted"]) == 3
    assert "Contents" not in s3.list_objects_v2(Bucket="bucket")


def test_multipart_upload(s3: Any) -> None:
    upload = s3.create_multipart_upload(Bucket="bucket", Key="big")["UploadId"]
    pieces = [b"a" * SMALLEST_PART, b"tail"]
    parts = []
    for number, piece in enumerate(pieces, 1):
        etag = s3.upload_part(Bucket="bucket", Key="big", UploadId=upload, PartNumber=number, Body=piece)["ETag"]
        parts.append({"PartNumber": number, "ETag": etag})
    listed = s3.list_parts(Bucket="bucket", Key="big", UploadId=upload)["Parts"]
    assert [part["Size"] for part in listed] == [SMALLEST_PART, 4]
    done = s3.complete_multipart_upload(Bucket="bucket", Key="big", UploadId=upload, MultipartUpload={"Parts": parts})
    assert done["ETag"].endswith('-2"')
    assert s3.get_object(Bucket="bucket", Key="big")["Body"].read() == b"".join(pieces)
    aborted = s3.create_multipart_upload(Bucket="bucket", Key="big")["UploadId"]
    s3.abort_multipart_upload(Bucket="bucket", Key="big", UploadId=aborted)
    assert "Uploads" not in s3.list_multipart_uploads(Bucket="bucket")


def test_unknown_sub_resource_leaves_the_object_alone(s3: Any) -> None:
    s3.put_object(Bucket="bucket", Key="k", Body=b"data")
    for call in (
        lambda: s3.put_object_tagging(Bucket="bucket", Key="k", Tagging={"TagSet": [{"Key": "a", "Value": "b"}]}),
        lambda: s3.put_object_acl(Bucket="bucket", Key="k", ACL="private"),
        lambda: s3.delete_object_tagging(Bucket="bucket", Key="k"),
        lambda: s3.get_object_attributes(Bucket="bucket", Key="k", ObjectAttributes=["ETag"]),
        lambda: s3.delete_bucket_policy(Bucket="bucket"),
        lambda: s3.put_bucket_versioning(Bucket="bucket", VersioningConfiguration={"Status": "Enabled"}),
    ):
        with pytest.raises(botocore.exceptions.ClientError) as caught:
            call()
        assert _code(caught) == "NotImplemented"
    with pytest.raises(botocore.exceptions.ClientError) as caught:
        s3.delete_object(Bucket="bucket", Key="k", VersionId="older")
    assert _code(caught) == "NoSuchVersion"
    assert s3.get_object(Bucket="bucket", Key="k")["Body"].read() == b"data"
    s3.delete_object(Bucket="bucket", Key="k", VersionId="null")


def test_bucket_without_objects_survives_the_deletion_of_its_policy(s3: Any) -> None:
    with pytest.raises(botocore.exceptions.ClientError):
        s3.delete_bucket_policy(Bucket="bucket")
    s3.head_bucket(Bucket="bucket")


def test_headers_of_a_download_are_those_that_s3_names(s3: Any, port: int) -> None:
    s3.put_object(Bucket="bucket", Key="k", Body=b"data")
    params = {"Bucket": "bucket", "Key": "k", "ResponseContentType": "text/x"}
    assert _get(port, s3.generate_presigned_url("get_object", params).partition(f":{port}")[2]).status == 200
    broken = {"Bucket": "bucket", "Key": "k", "ResponseContentType": "a\r\nX: y"}
    assert _get(port, s3.generate_presigned_url("get_object", broken).partition(f":{port}")[2]).status == 400


def test_presigned_url(s3: Any, port: int) -> None:
    s3.put_object(Bucket="bucket", Key="k", Body=b"data")
    url = s3.generate_presigned_url("get_object", Params={"Bucket": "bucket", "Key": "k"}, ExpiresIn=60)
    assert _get(port, url.partition(f":{port}")[2]).body == b"data"
    assert _get(port, url.partition(f":{port}")[2] + "0").status == 403


def test_signature_version_2(port: int, s3: Any) -> None:
    old = _connect(port, signature="s3")
    old.put_object(Bucket="bucket", Key="k", Body=b"old")
    assert old.get_object(Bucket="bucket", Key="k")["Body"].read() == b"old"
    old.close()


@pytest.mark.usefixtures("s3")
def test_wrong_secret_is_refused(port: int) -> None:
    stranger = _connect(port, secret="wrong")
    for call in (stranger.list_buckets, lambda: stranger.put_object(Bucket="bucket", Key="k", Body=b"x" * 100_000)):
        with pytest.raises(botocore.exceptions.ClientError) as caught:
            call()
        assert _code(caught) == "SignatureDoesNotMatch"
    stranger.close()


@pytest.mark.parametrize(
    "target", ["/", "/bucket", "/bucket/../../etc/passwd", "/%2e%2e/x", "/bucket/%ff", "/BUCKET!/x"]
)
def test_unsigned_requests_are_refused(port: int, target: str) -> None:
    assert _get(port, target).status in (400, 403)


def test_large_object_streams_both_ways(s3: Any) -> None:
    size = 24 << 20
    s3.put_object(Bucket="bucket", Key="large", Body=b"x" * size)
    got = s3.get_object(Bucket="bucket", Key="large")["Body"]
    assert sum(len(chunk) for chunk in got.iter_chunks(1 << 20)) == size


def test_start_without_keys_says_so(tmp_path: Path) -> None:
    with pytest.raises(FrameworkError, match="no keys"):
        start(0, str(tmp_path))


def _get(port: int, target: str) -> Reply:
    async def ask() -> Reply:
        client = Client("127.0.0.1", port)
        try:
            return await client.request("GET", target)
        finally:
            client.close()

    return asyncio.run(ask())
