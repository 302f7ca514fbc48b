"""The jobs: what is asked, by which loads, and what the body must be."""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from tests.benchmarks.peers import content
from tests.benchmarks.servers import Answer, Server, ServerError

HTTP_LOADS = ("ab", "ab-k", "wrk25", "wrk256", "browser", "pipelined")


@dataclass(frozen=True)
class Job:
    """One job. `check` gets the body and says what is wrong with it, or nothing."""

    name: str
    title: str
    target: str
    check: Callable[[bytes], str]
    loads: Sequence[str] = ("wrk25",)
    headers: Mapping[str, str] = field(default_factory=dict)
    needs_login: bool = False
    needs_database: bool = False
    is_post: bool = False
    # How many times as many rounds as others a load has, each time by fresh processes: where the targets are narrow,
    # the median must hang on neither one round nor one process.
    round_factors: Mapping[str, int] = field(default_factory=dict)


def _is_hello(body: bytes) -> str:
    return "" if body == content.HELLO.encode() else f"expected {content.HELLO!r}, got {body[:80]!r}"


def _is_page(body: bytes) -> str:
    from tests.benchmarks.peers.applications.jinja import render_page

    return _compare(body, render_page(content.USER, "es"))


def _is_row(body: bytes) -> str:
    try:
        found = json.loads(body)
    except ValueError as error:
        return f"no JSON: {error}"
    expected = dict(zip(content.COLUMNS, make_row(content.ROW_ID), strict=True))
    return "" if found == expected else f"expected {expected}, got {found}"


def _is_rows(body: bytes) -> str:
    from tests.benchmarks.peers.applications.jinja import render_rows

    return _compare(body, render_rows([dict(zip(content.COLUMNS, make_row(n), strict=True)) for n in range(1, 21)]))


def _compare(body: bytes, expected: str) -> str:
    found = body.decode()
    if found == expected:
        return ""
    where = next(
        (n for n, (a, b) in enumerate(zip(found, expected, strict=False)) if a != b), min(len(found), len(expected))
    )
    return f"differs at character {where}: expected {expected[where : where + 40]!r}, got {found[where : where + 40]!r}"


def _is_big(body: bytes) -> str:
    return "" if body == make_big() else f"expected {content.BIG_BYTES} known bytes, got {len(body)}"


def _is_length(body: bytes) -> str:
    return "" if body == str(content.POST_BYTES).encode() else f"expected {content.POST_BYTES}, got {body[:40]!r}"


def make_row(number: int) -> tuple[int, str, str, int]:
    """A row of the table, by its id."""
    return (number, f"Entry {number} & more", f"author {number % 5}", number * 3)


def make_big() -> bytes:
    """The content of the static file."""
    return bytes(range(256)) * (content.BIG_BYTES // 256)


JOBS = {
    job.name: job
    for job in (
        Job("hello", "“Hello, world”", "/", _is_hello, HTTP_LOADS, round_factors={"wrk25": 2, "browser": 2}),
        Job(
            "page",
            "a page: template with inheritance, signed session cookie, translation",
            "/page",
            _is_page,
            headers={"Accept-Language": "es-MX,es;q=0.9,en;q=0.5"},
            needs_login=True,
        ),
        Job("row", "one row from MySQL as JSON", "/row", _is_row, needs_database=True),
        Job("rows", "20 rows from MySQL as HTML", "/rows", _is_rows, needs_database=True),
        Job("post", "a POST of 64 KB", "/post", _is_length, is_post=True),
        Job("static", "a static file of 1 MB", f"/static/{content.BIG_FILE}", _is_big),
        Job("routes", "1,000 routes against one, another target each time", "/number999/1", _is_hello, ("numbered",)),
        Job("echo", "a websocket's echo, 25 connections", "/", _is_hello, ("echo",)),
        Job("fan-out", "one event to 5,000 waiting long polls", "/", _is_hello, ("fan-out",)),
        Job("crowd", "one event to 10,000 waiting long polls", "/", _is_hello, ("crowd",)),
    )
}


def prepare_files(folder: Path) -> Path:
    """The static file in the folder, and the file to POST, whose path comes back."""
    (folder / content.BIG_FILE).write_bytes(make_big())
    body = folder / "post.bin"
    body.write_bytes(b"p" * content.POST_BYTES)
    return body


def prepare_headers(job: Job, server: Server, prefix: str) -> dict[str, str]:
    """The headers that each request of the job needs: a session's cookie, if it needs one.

    Raises:
        ServerError: the server gives none.
    """
    headers = dict(job.headers)
    if job.needs_login:
        answer = server.ask(f"{prefix}/login")
        cookies = [value.partition(";")[0] for name, value in answer.headers if name.lower() == "set-cookie"]
        if not cookies:
            raise ServerError(f"{server.command.name}: /login: {answer.status}, no cookie")
        headers["Cookie"] = "; ".join(cookies)
    return headers


def verify(job: Job, server: Server, prefix: str, headers: Mapping[str, str]) -> Answer:
    """The answer, if it is what the job wants.

    Raises:
        ServerError: it is not.
    """
    body = b"p" * content.POST_BYTES if job.is_post else None
    answer = server.ask((prefix if job.needs_login else "") + job.target, "POST" if body else "GET", headers, body)
    wrong = f"status {answer.status}: {answer.body[-300:]!r}" if answer.status != 200 else job.check(answer.body)
    if wrong:
        raise ServerError(f"{server.command.name}: {job.name}: {wrong}")
    return answer
