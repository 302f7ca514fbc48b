"""The feed, its forms, and what its scripts ask for."""

import re
import uuid
from typing import Any

from app.feed import MAX_TEXT_CHARS, PAGE_SIZE
from app.pages import Page, User, needs_database
from framework import slots
from framework.escape import json_decode
from framework.web import HTTPError, RequestHandler, authenticated

LONGEST_WAIT_S = 25.0  # below the minute after which proxies and phones give up
# Forms are cleaned by get_argument; JSON can spell all of these, and neither UTF-8 nor Atom's XML can hold them.
_NO_TEXT = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\ud800-\udfff\ufffe\uffff]")
_CLIENT_ID = re.compile(r"[A-Za-z0-9._-]{8,64}", re.ASCII)


class HelloHandler(RequestHandler):
    """The least that a page can be; `make bench` measures it."""

    def get(self) -> None:
        self.write("Hello, world")

    def give_xsrf_cookie(self) -> None:
        """No form here, so no token."""


class HomeHandler(Page):
    """The feed, the newest entries first."""

    @needs_database
    async def get(self) -> None:
        before = _parse_id(self.get_argument("before", "0"))
        # The number comes first: an entry that is written in between is shown twice by neither, for pages know the ids.
        sequence = await self.app.feed.last_sequence()
        entries = await self.app.feed.entries(before)
        ids = [entry.id for entry in entries]
        comments = await self.app.feed.comments(ids)
        liked = await self.app.feed.liked_by(self.current_user.id, ids) if self.current_user else set()
        older = ids[-1] if len(ids) == PAGE_SIZE else None
        self.render("home.html", entries=entries, comments=comments, liked=liked, older=older, sequence=sequence,
                    is_first_page=not before, client_id=uuid.uuid4())  # fmt: skip


class EntryHandler(Page):
    """One entry by itself."""

    @needs_database
    async def get(self, entry_id: str) -> None:
        sequence = await self.app.feed.last_sequence()
        entry = await self.app.feed.entry(_parse_id(entry_id))
        if entry is None:
            raise HTTPError(404)
        comments = await self.app.feed.comments([entry.id])
        liked = await self.app.feed.liked_by(self.current_user.id, [entry.id]) if self.current_user else set()
        self.render("entry.html", entry=entry, comments=comments, liked=liked, sequence=sequence)


class AtomHandler(Page):
    """The latest entries for feed readers (RFC 4287)."""

    @needs_database
    async def get(self) -> None:
        entries = await self.app.feed.entries()
        self.set_header("Content-Type", "application/atom+xml; charset=utf-8")
        site = f"{self.request.protocol}://{self.request.host}"
        self.render("feed.xml", entries=entries, site=site, updated=entries[0].created if entries else None)

    def give_xsrf_cookie(self) -> None:
        """Feed readers send no forms."""


class _Post(Page):
    """A form that is sent as a form, or as JSON."""

    def fields(self) -> dict[str, str]:
        """The fields `text` and `client_id`.

        Raises:
            HTTPError: 400, if they are missing, too long or not text.
        """
        content_type = self.request.find_header(b"content-type") or b""
        if content_type.startswith(b"application/json"):
            try:
                given: Any = json_decode(self.request.body)
            except (ValueError, RecursionError) as error:  # [[[[…
                raise HTTPError(400, "the body is not JSON") from error
        else:
            given = {name: self.get_body_argument(name, "") for name in ("text", "client_id")}
        text, client_id = (given.get(name) for name in ("text", "client_id")) if isinstance(given, dict) else ("", "")
        if not isinstance(text, str) or not text.strip() or len(text) > MAX_TEXT_CHARS:
            raise HTTPError(400, "text: expected 1 to %d characters", MAX_TEXT_CHARS)
        if _NO_TEXT.search(text):
            raise HTTPError(400, "text: expected no control characters and no halves of characters")
        if not isinstance(client_id, str) or not _CLIENT_ID.fullmatch(client_id):
            raise HTTPError(400, "client_id: expected 8 to 64 letters, digits, . _ or -")
        return {"text": text.strip().replace("\r\n", "\n"), "client_id": client_id}

    async def author_id(self) -> int:
        """The id of the user who writes.

        A cookie may be older than the database: after a backup is restored, a user who came later is gone, and his id
        may have gone to somebody else. He is known again by his name, and what he writes is not lost.
        """
        user: User = self.current_user
        if not await self.app.feed.is_user(user.id, user.name):
            user = User(*await self.app.feed.sign_in(user.name))
            self.remember_user(user)
        return user.id

    def answer(self, location: str, **facts: Any) -> None:
        """JSON for scripts, a redirect for forms."""
        if self.wants_json:
            self.set_status(201 if facts.get("is_new", True) else 200)
            self.finish(facts)
        else:
            self.redirect(location, status=303)


class EntriesHandler(_Post):
    @authenticated
    @needs_database
    async def post(self) -> None:
        fields = self.fields()
        posted = await self.app.feed.post_entry(await self.author_id(), fields["client_id"], fields["text"])
        if posted.is_new:
            self.app.updates.announce()
        self.answer("/", id=posted.id, is_new=posted.is_new)


class CommentsHandler(_Post):
    @authenticated
    @needs_database
    async def post(self, entry_id: str) -> None:
        fields, entry = self.fields(), _parse_id(entry_id)
        posted = await self.app.feed.post_comment(await self.author_id(), fields["client_id"], entry, fields["text"])
        if posted is None:
            raise HTTPError(404)
        if posted.is_new:
            self.app.updates.announce()
        self.answer(f"/entry/{entry}", id=posted.id, is_new=posted.is_new)


class LikesHandler(_Post):
    @authenticated
    @needs_database
    async def post(self, entry_id: str) -> None:
        entry = _parse_id(entry_id)
        is_liked = self.get_body_argument("like", "1") != "0"
        if not await self.app.feed.set_like(await self.author_id(), entry, is_liked):
            raise HTTPError(404)
        self.app.updates.announce()
        self.answer(f"/entry/{entry}", is_liked=is_liked)


class UpdatesHandler(Page):
    """Long poll: `since` is the last number that the page has seen; answers what follows, or nothing after a while.

    `is_reset` says that the page knows of things that a restored backup does not, and had better be loaded again.
    """

    async def get(self) -> None:
        since = _parse_id(self.get_argument("since"))
        wait_s = 0.0 if slots.is_releasing() else LONGEST_WAIT_S
        forget = slots.on_release(self.app.updates.send_away)
        try:
            events = await self.app.updates.after(since, wait_s)
        finally:
            forget()
        self.set_header("Cache-Control", "no-store")
        if events is None:
            self.finish({"sequence": self.app.updates.latest, "events": [], "is_reset": True})
        else:
            self.finish({"sequence": events[-1]["seq"] if events else since, "events": events})


class AboutHandler(Page):
    def get(self) -> None:
        self.render("about.html")


class NotFoundHandler(Page):
    """Any other address."""

    def get(self) -> None:
        raise HTTPError(404)

    post = put = patch = delete = get


def _parse_id(text: str) -> int:
    """Raises: HTTPError: 404, if it is no number that a row can have."""
    if not (text.isascii() and text.isdigit() and len(text) < 19):
        raise HTTPError(404)
    return int(text)
