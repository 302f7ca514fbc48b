"""Posting, reading and following the feed, as forms and as JSON."""

import asyncio
import uuid
from collections.abc import Callable
from typing import Any
from xml.etree import ElementTree

import pytest

from app.application import FeedApplication
from framework.testing import Client
from tests.app.conftest import Scenario

Run = Callable[[Scenario], None]


async def signed_in(application: FeedApplication, name: str = "Ada") -> Client:
    client = Client(application)
    await client.fetch_async("/login")
    answer = await client.fetch_async("/login", "POST", body={"name": name, "_xsrf": client.cookies["_xsrf"]})
    assert answer.status == 303 and answer.headers["Location"] == "/"
    return client


async def post(client: Client, path: str, text: str, client_id: str = "") -> dict[str, object]:
    fields = {"text": text, "client_id": client_id or str(uuid.uuid4()), "_xsrf": client.cookies["_xsrf"]}
    answer = await client.fetch_async(path, "POST", body=fields, headers={"Accept": "application/json"})
    return {"status": answer.status, **answer.json()}


def test_entry_is_shown_to_everyone_and_escaped(run: Run) -> None:
    async def scenario(application: FeedApplication) -> None:
        ada = await signed_in(application)
        posted = await post(ada, "/entries", "<script>alert(1)</script> http://example.com/?a=1&b=2")
        page = (await Client(application).fetch_async("/")).text
        assert posted["status"] == 201
        assert "<script>alert" not in page and "&lt;script&gt;alert(1)&lt;/script&gt;" in page
        assert '<a href="http://example.com/?a=1&amp;b=2">' in page
        assert (await ada.fetch_async(f"/entry/{posted['id']}")).status == 200

    run(scenario)


def test_form_without_scripts_is_answered_with_a_redirect(run: Run) -> None:
    async def scenario(application: FeedApplication) -> None:
        ada = await signed_in(application)
        fields = {"text": "plain form", "client_id": str(uuid.uuid4()), "_xsrf": ada.cookies["_xsrf"]}
        answer = await ada.fetch_async("/entries", "POST", body=fields)
        assert (answer.status, answer.headers["Location"]) == (303, "/")

    run(scenario)


def test_same_client_id_posts_once(run: Run) -> None:
    async def scenario(application: FeedApplication) -> None:
        ada, bob = await signed_in(application), await signed_in(application, "Bob")
        client_id = str(uuid.uuid4())
        answers = await asyncio.gather(*(post(ada, "/entries", "once", client_id) for _ in range(5)))
        assert len({answer["id"] for answer in answers}) == 1
        assert sorted(answer["status"] for answer in answers) == [200, 200, 200, 200, 201]
        assert (await post(bob, "/entries", "another's", client_id))["status"] == 201
        assert len(await application.feed.entries()) == 2

    run(scenario)


def test_comments_and_likes(run: Run) -> None:
    async def scenario(application: FeedApplication) -> None:
        ada = await signed_in(application)
        entry = (await post(ada, "/entries", "entry"))["id"]
        assert (await post(ada, f"/entry/{entry}/comments", "a comment"))["status"] == 201
        assert (await post(ada, "/entry/999/comments", "a comment"))["status"] == 404
        for like, count in (("1", 1), ("1", 1), ("0", 0)):
            fields = {"like": like, "_xsrf": ada.cookies["_xsrf"]}
            answer = await ada.fetch_async(
                f"/entry/{entry}/like", "POST", body=fields, headers={"Accept": "application/json"}
            )
            assert answer.status in (200, 201)
            row = await application.feed.entry(int(str(entry)))
            assert row is not None and (row.likes, row.comments) == (count, 1)

    run(scenario)


@pytest.mark.parametrize(
    ("text", "client_id"),
    [("", "12345678"), ("   ", "12345678"), ("x" * 4001, "12345678"), ("x", "short"), ("x", "a" * 65)],
)
def test_wrong_fields_are_400(run: Run, text: str, client_id: str) -> None:
    async def scenario(application: FeedApplication) -> None:
        ada = await signed_in(application)
        assert (await post(ada, "/entries", text, client_id))["status"] == 400

    run(scenario)


def test_json_body_is_taken_and_broken_json_is_400(run: Run) -> None:
    async def scenario(application: FeedApplication) -> None:
        ada = await signed_in(application)
        headers = {
            "Content-Type": "application/json",
            "Accept": "application/json",
            "X-XSRFToken": ada.cookies["_xsrf"],
        }
        for body, status in (
            ('{"text": "é", "client_id": "12345678"}', 201),
            ("{", 400),
            ("[]", 400),
            ('{"text": 5}', 400),
        ):
            answer = await ada.fetch_async("/entries", "POST", body=body, headers=headers)
            assert answer.status == status

    run(scenario)


def test_posting_needs_a_user_and_a_token(run: Run) -> None:
    async def scenario(application: FeedApplication) -> None:
        stranger = Client(application)
        await stranger.fetch_async("/login")
        assert (await post(stranger, "/entries", "x"))["status"] == 403
        ada = await signed_in(application)
        answer = await ada.fetch_async("/entries", "POST", body={"text": "x", "client_id": "12345678"})
        assert answer.status == 403

    run(scenario)


def test_updates_answer_what_follows_and_wait_otherwise(run: Run) -> None:
    async def scenario(application: FeedApplication) -> None:
        ada = await signed_in(application)
        await post(ada, "/entries", "one")
        await post(ada, "/entries", "two")
        seen: list[dict[str, Any]] = []
        while len(seen) < 2:  # an answer is what is known by then; the page asks for the rest
            seen += (await ada.fetch_async(f"/updates?since={seen[-1]['seq'] if seen else 0}")).json()["events"]
        assert [event["entry"]["text"] for event in seen] == ["one", "two"]
        waiting = asyncio.create_task(ada.fetch_async(f"/updates?since={seen[-1]['seq']}"))
        while not application.updates.waiting:
            await asyncio.sleep(0)
        await post(ada, "/entries", "three")
        news = (await waiting).json()
        assert [event["entry"]["text"] for event in news["events"]] == ["three"]
        assert news["sequence"] == seen[-1]["seq"] + 1

    run(scenario)


def test_older_pages(run: Run) -> None:
    async def scenario(application: FeedApplication) -> None:
        ada = await signed_in(application)
        for n in range(31):
            await post(ada, "/entries", f"entry number {n:02}")
        first = (await ada.fetch_async("/")).text
        assert "entry number 30" in first and "entry number 00" not in first and 'rel="next"' in first
        older = (await ada.fetch_async("/?before=2")).text
        assert "entry number 00" in older and "entry number 30" not in older

    run(scenario)


@pytest.mark.parametrize("path", ["/nothing", "/entry/0", "/entry/99999999999999999999", "/?before=x"])
def test_not_found(run: Run, path: str) -> None:
    async def scenario(application: FeedApplication) -> None:
        answer = await Client(application).fetch_async(path)
        assert answer.status == 404 and "Not found" in answer.text

    run(scenario)


def test_hello_and_about(run: Run) -> None:
    async def scenario(application: FeedApplication) -> None:
        hello = await Client(application).fetch_async("/hello")
        assert (hello.body, hello.headers.get("Set-Cookie")) == (b"Hello, world", None)
        assert "About" in (await Client(application).fetch_async("/about")).text

    run(scenario)


@pytest.mark.parametrize(
    "body",
    [
        b'{"text": "half \\ud800", "client_id": "client-1"}',
        b'{"text": "nul \\u0000", "client_id": "client-1"}',
        b"[" * 100_000,
        b'{"text": ["x"], "client_id": "client-1"}',
    ],
)
def test_json_that_no_page_could_show_is_refused(run: Run, body: bytes) -> None:
    async def scenario(application: FeedApplication) -> None:
        ada = await signed_in(application)
        headers = {"Content-Type": "application/json", "X-XSRFToken": ada.cookies["_xsrf"]}
        assert (await ada.fetch_async("/entries", "POST", body=body, headers=headers)).status == 400

    run(scenario)


def test_atom_feed_is_xml_with_the_newest_entry_first(run: Run) -> None:
    async def scenario(application: FeedApplication) -> None:
        ada = await signed_in(application, "Ada & <Bob>")
        for text in ("older", "newer: <b> & http://example.com/?a=1&b=2"):
            await post(ada, "/entries", text)
        answer = await Client(application).fetch_async("/feed.atom")
        assert answer.headers["Content-Type"] == "application/atom+xml; charset=utf-8"
        root = ElementTree.fromstring(answer.text.encode())
        atom = {"a": "http://www.w3.org/2005/Atom"}
        assert [e.text for e in root.findall("a:entry/a:title", atom)][1] == "older"
        assert root.findtext("a:entry/a:author/a:name", None, atom) == "Ada & <Bob>"
        content = root.findtext("a:entry/a:content", None, atom)
        assert content and '&lt;b&gt; &amp; <a href="http://example.com/?a=1&amp;b=2">' in content

    run(scenario)


def test_pages_are_private(run: Run) -> None:
    async def scenario(application: FeedApplication) -> None:
        assert (await Client(application).fetch_async("/")).headers["Cache-Control"] == "private, no-cache"

    run(scenario)


def test_user_who_came_after_the_backup_writes_under_the_same_name(run: Run) -> None:
    async def scenario(application: FeedApplication) -> None:
        ada = await signed_in(application)
        await application.pool.execute("UPDATE users SET name = 'Somebody else'")
        for n in range(2):
            assert (await post(ada, "/entries", f"still Ada {n}"))["status"] == 201
        await application.pool.execute("DELETE FROM entries")
        await application.pool.execute("DELETE FROM users")
        entry = (await post(ada, "/entries", "Ada again"))["id"]
        assert (await post(ada, f"/entry/{entry}/comments", "and here"))["status"] == 201
        rows = await application.pool.query("SELECT u.name FROM users u")
        assert [row.name for row in rows] == ["Ada"]

    run(scenario)
