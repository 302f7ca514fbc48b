"""What else boto3 asks of a store: bucket in the host's name, pages of odd keys, parts by copy, metadata, overrides."""

import asyncio
import datetime
import re
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import boto3
import botocore.auth
import botocore.crt.auth
import botocore.exceptions
import pytest
from botocore.config import Config

from tests.support.load import Client
from tests.support.s3 import ACCESS_KEY, DOMAIN, SECRETS

PART = 5 << 20
ODD_KEYS = ["a b", "a+b", "a%20b", "a&b=c", "a<b>", "ä/ö", "x//y", "x/", "~", "日本", "a\tb", "quote\"'", "line\nend"]


def connect(port: int, host: str = "127.0.0.1", style: str = "path", signature: str = "s3v4", **keys: str) -> Any:
    config = Config(signature_version=signature, s3={"addressing_style": style}, retries={"max_attempts": 0})
    keys = {"aws_access_key_id": ACCESS_KEY, "aws_secret_access_key": SECRETS[ACCESS_KEY], **keys}
    return boto3.client("s3", endpoint_url=f"http://{host}:{port}", region_name="us-east-1", config=config, **keys)


@pytest.fixture
def s3(port: int) -> Iterator[Any]:
    client = connect(port)
    client.create_bucket(Bucket="boto")
    yield client
    for found in client.list_objects_v2(Bucket="boto").get("Contents", []):
        client.delete_object(Bucket="boto", Key=found["Key"])
    client.delete_bucket(Bucket="boto")
    client.close()


def code_of(call: Any, **arguments: Any) -> str:
    with pytest.raises(botocore.exceptions.ClientError) as caught:
        call(**arguments)
    return str(caught.value.response["Error"]["Code"])


def test_bucket_in_the_name_of_the_host(port: int, s3: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    look_up = socket.getaddrinfo

    def look_up_here(host: str, *arguments: Any, **options: Any) -> Any:
        return look_up("127.0.0.1" if str(host).endswith(DOMAIN) else host, *arguments, **options)

    monkeypatch.setattr(socket, "getaddrinfo", look_up_here)
    client = connect(port, DOMAIN, "virtual")
    client.put_object(Bucket="boto", Key="a/b c", Body=b"by host")
    assert s3.get_object(Bucket="boto", Key="a/b c")["Body"].read() == b"by host"
    assert [found["Key"] for found in client.list_objects_v2(Bucket="boto")["Contents"]] == ["a/b c"]
    url = client.generate_presigned_url("get_object", {"Bucket": "boto", "Key": "a/b c"})
    assert url.startswith(f"http://boto.{DOMAIN}:")
    client.close()


@pytest.mark.parametrize("operation", ["list_objects", "list_objects_v2"])
@pytest.mark.parametrize("size", [1, 2, 5, 1000])
def test_pages_of_odd_keys(s3: Any, operation: str, size: int) -> None:
    for key in ODD_KEYS:
        s3.put_object(Bucket="boto", Key=key, Body=key.encode())
    every = sorted(ODD_KEYS, key=lambda key: key.encode())
    pages = s3.get_paginator(operation).paginate(Bucket="boto", PaginationConfig={"PageSize": size})
    assert [found["Key"] for page in pages for found in page.get("Contents", [])] == every
    pages = s3.get_paginator(operation).paginate(Bucket="boto", Delimiter="/", PaginationConfig={"PageSize": size})
    found, folders = [], []
    for page in pages:
        found += [one["Key"] for one in page.get("Contents", [])]
        folders += [one["Prefix"] for one in page.get("CommonPrefixes", [])]
    assert found == [key for key in every if "/" not in key]
    assert folders == ["x/", "ä/"]
    for key in ODD_KEYS:
        assert s3.get_object(Bucket="boto", Key=key)["Body"].read() == key.encode()


def test_parts_by_copy_and_out_of_order(s3: Any) -> None:
    s3.put_object(Bucket="boto", Key="source ä", Body=b"x" * PART + b"0123456789")
    upload = s3.create_multipart_upload(Bucket="boto", Key="made", ContentType="text/x", Metadata={"by": "parts"})
    place = {"Bucket": "boto", "Key": "made", "UploadId": upload["UploadId"]}
    source = {"Bucket": "boto", "Key": "source ä"}
    second = s3.upload_part_copy(**place, PartNumber=2, CopySource=source, CopySourceRange=f"bytes={PART}-{PART + 4}")
    first = s3.upload_part_copy(**place, PartNumber=1, CopySource=source, CopySourceRange=f"bytes=0-{PART - 1}")
    replaced = s3.upload_part(**place, PartNumber=2, Body=b"abc")
    parts = [{"PartNumber": 1, "ETag": first["CopyPartResult"]["ETag"]}, {"PartNumber": 2, "ETag": replaced["ETag"]}]
    assert second["CopyPartResult"]["ETag"] != replaced["ETag"]
    assert code_of(s3.complete_multipart_upload, **place, MultipartUpload={"Parts": parts[::-1]}) == "InvalidPartOrder"
    s3.complete_multipart_upload(**place, MultipartUpload={"Parts": parts})
    made = s3.get_object(Bucket="boto", Key="made")
    assert (made["Body"].read(), made["ContentType"], made["Metadata"]) == (
        b"x" * PART + b"abc",
        "text/x",
        {"by": "parts"},
    )
    assert s3.list_multipart_uploads(Bucket="boto").get("Uploads", []) == []


def test_transfer_manager(s3: Any, tmp_path: Path) -> None:
    source = tmp_path / "source"
    source.write_bytes(bytes(range(256)) * 40_000 * 2 + b"tail")
    s3.upload_file(str(source), "boto", "big", ExtraArgs={"ContentType": "application/x-big", "Metadata": {"a": "b"}})
    s3.download_file("boto", "big", str(tmp_path / "back"))
    assert (tmp_path / "back").read_bytes() == source.read_bytes()
    head = s3.head_object(Bucket="boto", Key="big")
    assert (head["ContentType"], head["Metadata"], head["ETag"][-3:]) == ("application/x-big", {"a": "b"}, '-3"')


def test_metadata_is_kept_by_a_copy_or_replaced(s3: Any) -> None:
    kept = {"ContentType": "text/plain", "CacheControl": "no-cache", "ContentDisposition": "inline; filename=a"}
    s3.put_object(Bucket="boto", Key="from", Body=b"data", Metadata={"who": "ann"}, ContentEncoding="br", **kept)
    source = {"Bucket": "boto", "Key": "from"}
    s3.copy_object(Bucket="boto", Key="same", CopySource=source)
    s3.copy_object(
        Bucket="boto",
        Key="new",
        CopySource=source,
        MetadataDirective="REPLACE",
        Metadata={"who": "bob"},
        ContentType="a/b",
    )
    same, new = s3.head_object(Bucket="boto", Key="same"), s3.head_object(Bucket="boto", Key="new")
    assert {name: same[name] for name in kept} == kept
    assert (same["Metadata"], same["ContentEncoding"], new["Metadata"]) == ({"who": "ann"}, "br", {"who": "bob"})
    assert new["ContentType"] == "a/b" and "CacheControl" not in new
    assert code_of(s3.copy_object, Bucket="boto", Key="x", CopySource=source, CopySourceIfMatch='"0"') in (
        "PreconditionFailed",
        "412",
    )


def test_conditions_of_time_and_overrides(s3: Any) -> None:
    s3.put_object(Bucket="boto", Key="k", Body=b"data")
    hour = datetime.timedelta(hours=1)
    now = datetime.datetime.now(datetime.UTC)
    assert code_of(s3.get_object, Bucket="boto", Key="k", IfModifiedSince=now + hour) in ("304", "NotModified")
    assert code_of(s3.head_object, Bucket="boto", Key="k", IfUnmodifiedSince=now - hour) == "412"
    assert s3.get_object(Bucket="boto", Key="k", IfModifiedSince=now - hour)["Body"].read() == b"data"
    answer = s3.get_object(Bucket="boto", Key="k", ResponseContentType="x/y", ResponseContentDisposition="attachment")
    assert (answer["ContentType"], answer["ContentDisposition"]) == ("x/y", "attachment")
    assert answer["Body"].read() == b"data"


@pytest.mark.parametrize("signature", ["s3", "s3v4"])
def test_presigned_upload_and_what_it_does_not_allow(port: int, s3: Any, signature: str) -> None:
    signer = connect(port, signature=signature)
    url = signer.generate_presigned_url("put_object", {"Bucket": "boto", "Key": "k"}, ExpiresIn=60)
    signer.close()
    path = url.partition(f":{port}")[2]
    longer = re.sub(r"Expires=([0-9]+)", r"Expires=\g<1>0", path)
    assert longer != path

    async def scenario() -> list[int]:
        client = Client("127.0.0.1", port)
        codes = []
        for method, target in (
            ("GET", path),  # signed for PUT
            ("PUT", path.replace("/k?", "/other?")),
            ("PUT", longer),
            ("PUT", path),
        ):
            codes.append((await client.request(method, target, {}, b"data" if method == "PUT" else b"")).status)
        client.close()
        return codes

    assert asyncio.run(scenario()) == [403, 403, 403, 200]
    assert s3.get_object(Bucket="boto", Key="k")["Body"].read() == b"data"


@pytest.mark.usefixtures("s3")
def test_clock_that_is_wrong_is_said(port: int, monkeypatch: pytest.MonkeyPatch) -> None:
    late = datetime.datetime.now(datetime.UTC) - datetime.timedelta(minutes=20)
    for signer in (botocore.auth, botocore.crt.auth):
        monkeypatch.setattr(signer, "get_current_datetime", lambda *_, **__: late)
    client = connect(port)
    assert code_of(client.list_buckets) == "RequestTimeTooSkewed"
    client.close()


def test_unknown_key_is_refused(port: int) -> None:
    client = connect(port, aws_access_key_id="nobody")
    assert code_of(client.list_buckets) == "InvalidAccessKeyId"
    client.close()
