"""Wake-ups between frontends, by way of Valkey (or Redis): "something is new under this name".

    bus = Bus("/run/bus/valkey.sock")          # or "host:port", or "" for this process alone
    await bus.start()
    with bus.subscribe("entries", waiter.wake):
        …
    bus.publish("entries")

A wake-up carries nothing and may be lost; who is woken asks the database what is new. After a lost connection every
subscriber is woken, since nobody knows what was missed. Publishing never blocks and never raises: while the bus is
away, subscribers of this process are woken directly and all others when they look by themselves.

The protocol is the little of RESP2 that SUBSCRIBE and PUBLISH need; a client library would be larger than this.
"""

import asyncio
import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from framework.errors import FrameworkError

logger = logging.getLogger("framework.general")

FIRST_PAUSE_S = 0.05
LONGEST_PAUSE_S = 2.0
MAX_UNSENT_BYTES = 1 << 20  # wake-ups that a hung bus has not taken; more are dropped
PING_EVERY_S = 5.0


class BusError(FrameworkError):
    """The bus said something that is not its protocol."""


class Bus:
    """One connection to the bus, kept alive, and this process's subscribers.

    `address` is the path of a unix socket, `host:port`, or "" for no bus at all: then wake-ups stay in the process.
    """

    def __init__(self, address: str = "", password: str = "") -> None:
        self.address = address
        self._password = password
        self._subscribers: dict[str, set[Callable[[], object]]] = {}
        self._writer: asyncio.StreamWriter | None = None
        self._task: asyncio.Task[None] | None = None
        self.is_connected = False
        self.reconnects = 0

    def __repr__(self) -> str:
        state = "connected" if self.is_connected else "away" if self.address else "in this process only"
        return f"<Bus {self.address} {state}, {len(self._subscribers)} channels>"

    async def start(self) -> None:
        """Connect, and keep connected until `close`. Returns after the first attempt, whether it succeeded or not."""
        if not self.address:
            return
        attempted = asyncio.Event()
        self._task = asyncio.get_running_loop().create_task(self._keep_connected(attempted))
        await attempted.wait()

    async def close(self) -> None:
        """Disconnect for good."""
        task, self._task = self._task, None
        if task is not None:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)

    @contextmanager
    def subscribe(self, channel: str, wake: Callable[[], object]) -> Iterator[None]:
        """Have `wake` called on every wake-up of the channel while the block lasts."""
        self.add(channel, wake)
        try:
            yield
        finally:
            self.remove(channel, wake)

    def add(self, channel: str, wake: Callable[[], object]) -> None:
        """Have `wake` called on every wake-up of the channel."""
        subscribers = self._subscribers.get(channel)
        if subscribers is None:
            subscribers = self._subscribers[channel] = set()
            self._send("SUBSCRIBE", channel)
        subscribers.add(wake)

    def remove(self, channel: str, wake: Callable[[], object]) -> None:
        """Undo `add`."""
        subscribers = self._subscribers.get(channel)
        if subscribers is None:
            return
        subscribers.discard(wake)
        if not subscribers:
            del self._subscribers[channel]
            self._send("UNSUBSCRIBE", channel)

    def publish(self, channel: str) -> None:
        """Wake all subscribers of the channel, in this process and in all others."""
        if not self._send("PUBLISH", channel, "1"):
            self._wake(channel)

    def _wake(self, channel: str) -> None:
        for wake in list(self._subscribers.get(channel, ())):
            try:
                wake()
            except Exception:  # a callback ends here
                logger.exception("bus: a subscriber of %s failed", channel)

    def _send(self, *words: str) -> bool:
        """Whether the command is on its way."""
        writer = self._writer
        if writer is None or writer.transport.is_closing():
            return False
        if writer.transport.get_write_buffer_size() > MAX_UNSENT_BYTES:
            return False
        writer.write(format_command(*words))
        return True

    async def _keep_connected(self, attempted: asyncio.Event) -> None:
        pause_s = FIRST_PAUSE_S
        while True:
            try:
                reader = await self._connect()
                pause_s = FIRST_PAUSE_S
                attempted.set()
                await self._listen(reader)
            except (OSError, EOFError, BusError, ValueError) as error:
                if self.is_connected or not attempted.is_set():
                    logger.warning("bus: %s: %s: connecting again", self.address, error or type(error).__name__)
            finally:
                self._disconnect()
                attempted.set()
            await asyncio.sleep(pause_s)
            pause_s = min(pause_s * 2, LONGEST_PAUSE_S)

    async def _connect(self) -> asyncio.StreamReader:
        async with asyncio.timeout(LONGEST_PAUSE_S):
            if self.address.startswith("/"):
                reader, writer = await asyncio.open_unix_connection(self.address)
            else:
                host, _, port = self.address.rpartition(":")
                reader, writer = await asyncio.open_connection(host.strip("[]"), int(port))
        # Once subscribed, a connection may say PUBLISH only in RESP3; so we ask for that.
        hello = ["HELLO", "3", *(["AUTH", "default", self._password] if self._password else [])]
        self._writer = writer
        self._send(*hello)
        if self._subscribers:
            self._send("SUBSCRIBE", *self._subscribers)
        self._send("PING")
        return reader

    async def _listen(self, reader: asyncio.StreamReader) -> None:
        """Read replies until the connection ends. A bus that is silent is asked whether it lives."""
        asked = True
        while True:
            try:
                async with asyncio.timeout(PING_EVERY_S):
                    reply = await read_reply(reader)
            except TimeoutError:
                if asked:
                    raise
                asked = True
                self._send("PING")
                continue
            asked = False
            if reply == "PONG" and not self.is_connected:
                self.is_connected = True
                self.reconnects += 1
                for channel in list(self._subscribers):
                    self._wake(channel)  # who knows what was missed
            elif isinstance(reply, list) and len(reply) == 3 and reply[0] == "message":
                self._wake(str(reply[1]))

    def _disconnect(self) -> None:
        writer, self._writer = self._writer, None
        self.is_connected = False
        if writer is not None:
            writer.transport.abort()


def format_command(*words: str) -> bytes:
    """A command in the protocol of Valkey: an array of bulk strings."""
    parts = [b"*%d\r\n" % len(words)]
    for word in words:
        data = word.encode()
        parts.append(b"$%d\r\n%s\r\n" % (len(data), data))
    return b"".join(parts)


Reply = str | int | None | list["Reply"]


async def read_reply(reader: asyncio.StreamReader) -> Reply:
    """One reply: text, a number, None or a list of these; a map comes as the list of its keys and values.

    Raises:
        BusError: if the server reports an error or does not speak the protocol.
        EOFError: if the connection ends.
    """
    line = await reader.readuntil(b"\r\n")
    kind, rest = line[:1], line[1:-2].decode()
    match kind:
        case b"+" | b"," | b"(":
            return rest
        case b":":
            return int(rest)
        case b"-" | b"!":
            raise BusError(rest)
        case b"_":
            return None
        case b"#":
            return int(rest == "t")
        case b"$" | b"=":
            return None if rest == "-1" else (await reader.readexactly(int(rest) + 2))[:-2].decode("utf-8", "replace")
        case b"*" | b">" | b"~" | b"%":
            count = int(rest) * (2 if kind == b"%" else 1)
            return [await read_reply(reader) for _ in range(count)] if count >= 0 else None
    raise BusError(f"not a reply: {line[:40]!r}")
