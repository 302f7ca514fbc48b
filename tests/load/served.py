"""What is served under load: the application of the benchmarks, as a frontend serves it, and what it has not."""

import asyncio
import gc
import sys
import time
from typing import Any

from framework.events import EventStream
from framework.web import RequestHandler
from tests.benchmarks.peers.applications import address, squall


class Collector:
    """What Python's garbage collector has done so far."""

    def __init__(self) -> None:
        self.collected = 0
        self.runs = 0
        self.seconds = 0.0
        self._began = 0.0
        self._is_asked = False
        gc.callbacks.append(self._watch)

    def collect(self) -> None:
        """Look now; that is no run of the collector's own."""
        self._is_asked = True
        self.collected += gc.collect()
        self._is_asked = False

    def _watch(self, phase: str, info: dict[str, int]) -> None:
        if self._is_asked:
            return
        if phase == "start":
            self._began = time.perf_counter()
        else:
            self.seconds += time.perf_counter() - self._began
            self.runs += 1
            self.collected += info["collected"]


class GarbageHandler(RequestHandler):
    """Says what the collector has found so far, and now: objects in cycles that nobody uses."""

    def initialize(self, collector: Collector) -> None:  # type: ignore[override]
        self._collector = collector

    def get(self) -> None:
        collector = self._collector
        collector.collect()
        self.write({"collected": collector.collected, "runs": collector.runs, "seconds": collector.seconds})


class FailingHandler(RequestHandler):
    """Fails."""

    async def get(self) -> None:
        await asyncio.sleep(0)
        raise LookupError("nothing")


class EventsHandler(RequestHandler):
    """Sends an event each millisecond."""

    async def get(self) -> None:
        async with EventStream(self) as stream:
            while True:
                await stream.send("news")
                await asyncio.sleep(0.001)


def make_application() -> Any:
    """The application."""
    application = squall.make_application()
    garbage = ("/garbage", GarbageHandler, {"collector": Collector()})
    application.add_handlers(".*$", [garbage, ("/fails", FailingHandler), ("/events", EventsHandler)])
    return application


if __name__ == "__main__":
    sys.exit(squall.main(address.parse(), "tests.load.served:make_application"))
