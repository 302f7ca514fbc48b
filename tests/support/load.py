"""A bounded load of real HTTP requests, and an account of what became of each.

The account is the point: a request is *answered* (a whole response came), *refused* (a whole response with a 5xx
status) or *lost* (the connection ended or timed out first). The client never retries, so that nothing is hidden; it
speaks raw HTTP/1.1 over plain sockets, because a library's silent second attempt would hide just what these tests
look for.
"""

import asyncio
import itertools
import json
import time
import uuid
from collections import Counter
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field


class Lost(Exception):
    """No whole response arrived for a request that was sent."""


@dataclass(frozen=True, slots=True)
class Reply:
    """One whole response."""

    status: int
    headers: dict[str, str]
    body: bytes
    cookies: dict[str, str] = field(default_factory=dict)

    def json(self) -> object:
        return json.loads(self.body)


class Client:
    """One keep-alive connection to host:port; it connects when asked for something and not connected."""

    def __init__(self, host: str, port: int, timeout_s: float = 10.0) -> None:
        self.address = (host, port)
        self.timeout_s = timeout_s
        self.cookies: dict[str, str] = {}
        self._streams: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None

    async def request(
        self, method: str, target: str, headers: dict[str, str] | None = None, body: bytes = b""
    ) -> Reply:
        """The response to one request.

        Raises:
            Lost: the connection was refused, ended or idled for timeout_s before the response was whole.
        """
        try:
            async with asyncio.timeout(self.timeout_s):
                return await self._exchange(method, target, headers or {}, body)
        except (OSError, asyncio.IncompleteReadError, ValueError) as error:
            self.close()
            raise Lost(f"{method} {target}: {type(error).__name__} {error}") from error

    async def _exchange(self, method: str, target: str, headers: dict[str, str], body: bytes) -> Reply:
        if self._streams is None:
            self._streams = await asyncio.open_connection(*self.address)
        reader, writer = self._streams
        lines = [f"{method} {target} HTTP/1.1", f"Host: {self.address[0]}:{self.address[1]}"]
        lines += [f"{name}: {value}" for name, value in headers.items()]
        if self.cookies:
            lines.append("Cookie: " + "; ".join(f"{name}={value}" for name, value in self.cookies.items()))
        if body or method in ("POST", "PUT"):
            lines.append(f"Content-Length: {len(body)}")
        writer.write("\r\n".join([*lines, "", ""]).encode() + body)
        reply = await _read_reply(reader, method)
        self.cookies.update(reply.cookies)
        if reply.headers.get("connection", "").lower() == "close":
            self.close()
        return reply

    def close(self) -> None:
        if self._streams is not None:
            self._streams[1].close()
            self._streams = None


async def _read_reply(reader: asyncio.StreamReader, method: str) -> Reply:
    head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
    start, *lines = head.rstrip("\r\n").split("\r\n")
    headers: dict[str, str] = {}
    cookies: dict[str, str] = {}
    for line in lines:
        name, _, value = line.partition(":")
        headers[name.lower()] = value.strip()
        if name.lower() == "set-cookie":
            pair = value.strip().partition(";")[0].partition("=")
            cookies[pair[0]] = pair[2]
    status = int(start.split(" ", 2)[1])
    if method == "HEAD" or status in (204, 304):
        return Reply(status, headers, b"", cookies)
    if headers.get("transfer-encoding", "").lower() == "chunked":
        return Reply(status, headers, await _read_chunks(reader), cookies)
    return Reply(status, headers, await reader.readexactly(int(headers["content-length"])), cookies)


async def _read_chunks(reader: asyncio.StreamReader) -> bytes:
    body = bytearray()
    while size := int((await reader.readuntil(b"\r\n")).split(b";")[0], 16):
        body += (await reader.readexactly(size + 2))[:-2]
    while await reader.readuntil(b"\r\n") != b"\r\n":
        pass
    return bytes(body)


@dataclass
class Account:
    """What became of every request of a load."""

    statuses: Counter[tuple[str, int]] = field(default_factory=Counter)
    lost: list[str] = field(default_factory=list)
    refused: list[str] = field(default_factory=list)
    sent_ids: set[str] = field(default_factory=set)
    acknowledged_ids: set[str] = field(default_factory=set)
    slowest_s: float = 0.0

    @property
    def answered(self) -> int:
        return sum(self.statuses.values())

    def count(self, method: str, target: str, reply: Reply, seconds: float) -> None:
        self.statuses[method, reply.status] += 1
        self.slowest_s = max(self.slowest_s, seconds)
        if reply.status >= 500:
            self.refused.append(f"{method} {target}: {reply.status}")

    def __str__(self) -> str:
        counts = ", ".join(f"{method} {status}: {n}" for (method, status), n in sorted(self.statuses.items()))
        return (
            f"{self.answered} answered ({counts}), {len(self.lost)} lost {self.lost[:3]}, {len(self.refused)} refused"
            f" {self.refused[:3]}, {len(self.acknowledged_ids)} writes acknowledged, slowest {self.slowest_s:.2f} s"
        )


# Prepares the request that one worker sends next: method, target, headers, body and, of a write, its unique id.
Prepare = Callable[[Client], tuple[str, str, dict[str, str], bytes, str | None]]


class Load:
    """Workers that send requests one after another, half of them on fresh connections, until stopped.

    `sign_in` readies a client (cookies); `prepare` gives each request.
    """

    def __init__(
        self, host: str, port: int, sign_in: Callable[[Client], Awaitable[None]], prepare: Prepare, workers: int = 8
    ) -> None:
        self.address = (host, port)
        self.sign_in = sign_in
        self.prepare = prepare
        self.workers = workers
        self.account = Account()
        self._stopping = asyncio.Event()
        self._tasks: list[asyncio.Task[None]] = []

    async def __aenter__(self) -> "Load":
        clients = [Client(*self.address) for _ in range(self.workers)]
        await asyncio.gather(*(self.sign_in(client) for client in clients))
        self._tasks = [asyncio.create_task(self._work(client, n % 2 == 1)) for n, client in enumerate(clients)]
        return self

    async def __aexit__(self, *_exc: object) -> None:
        self._stopping.set()
        await asyncio.gather(*self._tasks)

    async def answers(self, count: int, timeout_s: float = 60.0) -> None:
        """Return once `count` more requests have been answered than at the call.

        Raises:
            TimeoutError: they were not within timeout_s.
        """
        goal = self.account.answered + count
        deadline = time.monotonic() + timeout_s
        while self.account.answered < goal:
            if time.monotonic() > deadline:
                raise TimeoutError(f"the load stalls: {self.account}")
            await asyncio.sleep(0.01)

    async def _work(self, client: Client, is_fresh_each_time: bool) -> None:
        account = self.account
        while not self._stopping.is_set():
            method, target, headers, body, write_id = self.prepare(client)
            if write_id:
                account.sent_ids.add(write_id)
            begun = time.monotonic()
            try:
                reply = await client.request(method, target, headers, body)
            except Lost as error:
                account.lost.append(str(error))
                await asyncio.sleep(0.02)  # a refused connection must not spin
                continue
            account.count(method, target, reply, time.monotonic() - begun)
            if write_id and 200 <= reply.status < 300:
                account.acknowledged_ids.add(write_id)
            if is_fresh_each_time:
                client.close()
        client.close()


def mixed_requests(get_targets: list[str], post_every: int = 3) -> Prepare:
    """GETs of the targets in turn; each `post_every`-th request posts an entry with an id of its own."""
    turn = itertools.count()

    def prepare(client: Client) -> tuple[str, str, dict[str, str], bytes, str | None]:
        n = next(turn)
        if n % post_every:
            return "GET", get_targets[n % len(get_targets)], {}, b"", None
        write_id = str(uuid.uuid4())
        body = json.dumps({"client_id": write_id, "text": f"load {write_id}"}).encode()
        headers = {
            "Accept": "application/json",
            "Content-Type": "application/json",
            "X-XSRFToken": client.cookies.get("_xsrf", ""),
        }
        return "POST", "/entries", headers, body, write_id

    return prepare
