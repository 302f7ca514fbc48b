"""S3's XML, out of values and into values."""

from xml.etree import ElementTree

import pytest

from framework.s3server import documents
from framework.s3server.store import Listing, StoreError


def test_names_are_escaped_and_control_characters_replaced() -> None:
    text = documents.format_document("D", [("A", "<&>"), ("B", "\x01"), ("C", None), ("E", [("F", 1)])]).decode()
    assert "<A>&lt;&amp;&gt;</A><B>\ufffd</B><E><F>1</F></E></D>" in text


def test_carriage_return_in_a_key_is_not_read_as_a_line_feed() -> None:
    document = documents.format_document("D", [("A", "a\rb\nc\uffff")])
    assert ElementTree.fromstring(document)[0].text == "a\rb\nc\ufffd"


def test_listing_versions_differ_in_how_they_go_on() -> None:
    page = Listing([], ["a b/"], "a b/")
    first = documents.format_listing(1, "bucket", "me", {"encoding-type": "url", "delimiter": "/"}, 1, page).decode()
    assert "<NextMarker>a%20b/</NextMarker>" in first and "<Prefix>a%20b/</Prefix>" in first
    second = documents.format_listing(2, "bucket", "me", {}, 1, page).decode()
    assert (
        f"<NextContinuationToken>{b'a b/'.hex()}</NextContinuationToken>" in second
        and "<KeyCount>1</KeyCount>" in second
    )


def test_parse_delete_and_complete() -> None:
    delete = b"<Delete xmlns='x'><Quiet>true</Quiet><Object><Key>a</Key></Object></Delete>"
    assert documents.parse_delete(delete) == (["a"], True)
    complete = b'<C><Part><ETag>"e"</ETag><PartNumber>1</PartNumber></Part></C>'
    assert documents.parse_complete(complete) == [(1, "e")]


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"<Delete>",
        b"<Delete/>",
        b"<Delete><Object><Key></Key></Object></Delete>",
        b'<!DOCTYPE x [<!ENTITY a "aaaa">]><Delete><Object><Key>&a;</Key></Object></Delete>',
        b"<Delete>" + b"<Object><Key>k</Key></Object>" * 1001 + b"</Delete>",
    ],
)
def test_malformed_documents_are_400(body: bytes) -> None:
    with pytest.raises(StoreError) as caught:
        documents.parse_delete(body)
    assert (caught.value.code, caught.value.status) == ("MalformedXML", 400)


def test_format_time_and_error() -> None:
    assert documents.format_time(0.5) == "1970-01-01T00:00:00.500Z"
    assert b"<Code>NoSuchKey</Code><Message>gone</Message>" in documents.format_error("NoSuchKey", "gone", "/k", "1")
