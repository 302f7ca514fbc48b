"""Counters, gauges and histograms in Prometheus' text form, one registry per process.

The hot path is an append to `answered`, counted later: a thousand at a time, or when somebody reads. Labels must come
from the application's own vocabulary (a handler's name, never a path): a client must not be able to make series.

Series of one process only: each frontend has a control socket of its own to read them from, and whoever reads adds up.
What lost: shared memory between the processes, which saves the reader an addition and costs everybody the locking.
"""

import asyncio
import gc
import math
import os
import time
from bisect import bisect_left, bisect_right
from collections.abc import Callable, Iterator, Sequence
from weakref import WeakSet

from framework.log import AccessLog, Answered, Tally

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"

# Seconds. From a constant answer (10 µs) to a long poll (30 s); 100 ms and 1 s are where people notice and leave.
LATENCY_BUCKETS_S = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)

Labels = tuple[str | int, ...]


class Counter:
    """A number that only grows, one for each combination of labels."""

    kind = "counter"

    def __init__(self, name: str, text: str, labels: Sequence[str] = ()) -> None:
        self.name = name
        self.text = text
        self.labels = tuple(labels)
        self.values: dict[Labels, float] = {} if labels else {(): 0}

    def inc(self, amount: float = 1, labels: Labels = ()) -> None:
        """Adds `amount`."""
        self.values[labels] = self.values.get(labels, 0) + amount

    def get(self, labels: Labels = ()) -> float:
        """The present value; 0 for labels never seen."""
        return self.values.get(labels, 0)

    def samples(self) -> Iterator[tuple[str, Labels, float]]:
        """(suffix of the name, label values, value) of each series."""
        for labels, value in self.values.items():
            yield "", labels, value


class Gauge(Counter):
    """A number that goes up and down; or one that `read` gives when it is asked for."""

    kind = "gauge"

    def __init__(
        self, name: str, text: str, labels: Sequence[str] = (), read: Callable[[], float] | None = None
    ) -> None:
        super().__init__(name, text, labels)
        self.read = read

    def set(self, value: float, labels: Labels = ()) -> None:
        """Makes `value` the present one."""
        self.values[labels] = value

    def samples(self) -> Iterator[tuple[str, Labels, float]]:
        """(suffix of the name, label values, value) of each series."""
        if self.read is not None:
            self.values[()] = self.read()
        yield from super().samples()


class ReadCounter(Gauge):
    """A counter that somebody else keeps (the kernel: CPU seconds), read when it is asked for."""

    kind = "counter"


class Histogram:
    """How many observations fell below each bound, their number and their sum."""

    kind = "histogram"

    def __init__(self, name: str, text: str, buckets: Sequence[float], labels: Sequence[str] = ()) -> None:
        self.name = name
        self.text = text
        self.labels = tuple(labels)
        self.buckets = tuple(sorted(buckets))
        self._bounds = (*map(format_value, self.buckets), "+Inf")
        # Per labels: a count for each bucket, one for what lies above the last, and the sum. Added up when read.
        self.series: dict[Labels, list[float]] = {}
        if not labels:
            self._begin(())

    def _begin(self, labels: Labels) -> list[float]:
        return self.series.setdefault(labels, [0] * (len(self.buckets) + 2))

    def observe(self, value: float, labels: Labels = ()) -> None:
        """Counts one observation."""
        series = self.series.get(labels)
        if series is None:
            series = self._begin(labels)
        series[bisect_left(self.buckets, value)] += 1
        series[-1] += value

    def observe_all(self, values: list[float], labels: Labels = ()) -> None:
        """Counts many observations, at a fraction of the cost of one by one."""
        series = self.series.get(labels)
        if series is None:
            series = self._begin(labels)
        series[-1] += sum(values)
        # Most answers belong into the first bucket, and sorting costs more than all the rest.
        first = self.buckets[0]
        above = [value for value in values if value > first] if max(values, default=first) > first else []
        series[0] += len(values) - len(above)
        above.sort()
        below = 0
        for at, bound in enumerate(self.buckets):
            position = bisect_right(above, bound, below)
            series[at] += position - below
            if position == len(above):
                break
            below = position
        else:
            series[-2] += len(above) - below

    def samples(self) -> Iterator[tuple[str, Labels, float]]:
        """(suffix, label values, value) of each series; the bound stands last among a bucket's label values."""
        for labels, series in self.series.items():
            total = 0.0
            for bound, count in zip(self._bounds, series, strict=False):
                total += count
                yield "_bucket", (*labels, bound), total
            yield "_sum", labels, series[-1]
            yield "_count", labels, total


class Registry:
    """The metrics of one process, in the order in which they were added."""

    def __init__(self) -> None:
        self._metrics: dict[str, Counter | Histogram] = {}

    def add[T: Counter | Histogram](self, metric: T) -> T:
        """The metric itself, now a part of `text()`.

        Raises:
            ValueError: there is one of that name.
        """
        if metric.name in self._metrics:
            raise ValueError(f"metric {metric.name}: exists already")
        self._metrics[metric.name] = metric
        return metric

    def text(self) -> str:
        """All series in Prometheus' text format 0.0.4."""
        lines = []
        for metric in self._metrics.values():
            lines.append(f"# HELP {metric.name} {metric.text}")
            lines.append(f"# TYPE {metric.name} {metric.kind}")
            for suffix, values, value in metric.samples():
                names = (*metric.labels, "le") if suffix == "_bucket" else metric.labels
                pairs = ",".join(f'{name}="{escape_label(str(v))}"' for name, v in zip(names, values, strict=True))
                series = f"{metric.name}{suffix}{{{pairs}}}" if pairs else f"{metric.name}{suffix}"
                lines.append(f"{series} {format_value(value)}")
        return "\n".join(lines) + "\n"


def escape_label(text: str) -> str:
    """A label's value as it stands between quotes."""
    return text.replace("\\", r"\\").replace("\n", r"\n").replace('"', r"\"")


def format_value(value: float) -> str:
    """A number without a useless ".0"."""
    return str(int(value)) if value == int(value) else repr(value)


def read_request_start(value: bytes) -> float:
    """Seconds since the epoch that `X-Request-Start` states; infinite if it states no time.

    nginx sends `t=` and seconds with milliseconds; other proxies send milliseconds or microseconds.
    """
    text = value.strip().removeprefix(b"t=")
    # float() would also take "nan", "inf", "1_0" and "1e9"; and one of hundreds of digits would never get smaller.
    if len(value) > 32 or not text.replace(b".", b"", 1).isdigit():
        return math.inf
    started_s = float(text)
    while started_s > 1e11:  # seconds reach this in the year 5138
        started_s /= 1000
    return started_s


registry = Registry()

requests = registry.add(Counter("http_requests_total", "Requests answered.", ("route", "status")))
request_seconds = registry.add(
    Histogram(
        "http_request_duration_seconds", "From the complete request to its answer.", LATENCY_BUCKETS_S, ("route",)
    )
)
queue_seconds = registry.add(
    Histogram("http_request_queue_seconds", "From the proxy (X-Request-Start) to the handler.", LATENCY_BUCKETS_S)
)
refusals = registry.add(Counter("http_refusals_total", "Requests the parser or a limit refused.", ("status",)))
connections = registry.add(Gauge("http_connections", "Open connections."))


class Traffic:
    """Bytes of HTTP that this process has read and written; a websocket's frames are not HTTP's."""

    __slots__ = ("received_bytes", "sent_bytes")

    def __init__(self) -> None:
        self.received_bytes = self.sent_bytes = 0


traffic = Traffic()
registry.add(ReadCounter("http_received_bytes_total", "Bytes read.", read=lambda: traffic.received_bytes))
registry.add(ReadCounter("http_sent_bytes_total", "Bytes written.", read=lambda: traffic.sent_bytes))
loop_lag_seconds = registry.add(Histogram("loop_lag_seconds", "How late the loop comes to a timer.", LATENCY_BUCKETS_S))


def record_request(route: str, status: int, seconds: float) -> None:
    """Counts one answered request. `route` is the name of the handler's class: the application's words, not a path."""
    values = requests.values
    key = (route, status)
    values[key] = values.get(key, 0) + 1
    request_seconds.observe(seconds, (route,))


# Answers that are not counted yet. A request costs an append, as its line in the access log.
answered: list[Answered] = []
MOST_ANSWERED = 1000


# Logs whose lines are counted when they are written, and not in `answered`.
_logs: WeakSet[AccessLog] = WeakSet()


def count_flushed(access_log: AccessLog) -> None:
    """Has the lines of that log counted, whenever they are written and whenever somebody reads."""
    access_log.count = count_tally
    _logs.add(access_log)


def count_answered() -> None:
    """Counts what stands in `answered`, and empties it, and what logs have not written yet."""
    tally = Tally()
    for (route, status, _, _, _), began, finished, trace in answered:
        try:
            tally.seconds[route, status].append(finished - began)
        except KeyError:
            tally.seconds[route, status] = [finished - began]
        if trace is not None:
            tally.starts.append((trace[1], began))
    answered.clear()
    count_tally(tally)
    for log in list(_logs):
        log.flush()


def count_tally(tally: Tally) -> None:
    """Counts answered requests."""
    offset = time.time() - time.perf_counter()
    waited: list[float] = []
    # Under load, when it matters, many requests start in the same millisecond; by turns, for nginx has several workers.
    known: dict[bytes, float] = {}
    for start, began in tally.starts:
        started_s = known.get(start)
        if started_s is None:
            started_s = known[start] = read_request_start(start)
        seconds = began + offset - started_s
        # More than a day is somebody's broken clock, and would spoil the sum for good.
        if -86400 < seconds < 86400:
            waited.append(seconds if seconds > 0 else 0.0)
    queue_seconds.observe_all(waited)
    for (route, status), times in tally.seconds.items():
        requests.inc(len(times), (route, status))
        request_seconds.observe_all(times, (route,))


def read_all() -> str:
    """All series of this process, up to the last answer, in Prometheus' text form."""
    count_answered()
    return registry.text()


def resident_bytes() -> float:
    """Bytes of memory that the process occupies."""
    with open("/proc/self/statm", "rb") as file:
        return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")


_started_s = time.time()
registry.add(Gauge("process_resident_memory_bytes", "Memory occupied.", read=resident_bytes))
registry.add(ReadCounter("process_cpu_seconds_total", "CPU time, user and system.", read=time.process_time))
registry.add(Gauge("process_open_fds", "Open descriptors.", read=lambda: len(os.listdir("/proc/self/fd"))))
registry.add(Gauge("process_start_time_seconds", "Since the epoch.", read=lambda: _started_s))
registry.add(
    ReadCounter(
        "python_gc_collections_total",
        "Runs of the garbage collector.",
        read=lambda: sum(generation["collections"] for generation in gc.get_stats()),
    )
)


def watch_loop(loop: asyncio.AbstractEventLoop, period_s: float = 0.5) -> Callable[[], None]:
    """A function that ends the watch. Until then the loop's lag is observed once a period."""
    timer: list[asyncio.TimerHandle] = []

    def observe(due_s: float) -> None:
        loop_lag_seconds.observe(max(0.0, loop.time() - due_s))
        begin()

    def begin() -> None:
        due_s = loop.time() + period_s
        timer[:] = [loop.call_at(due_s, observe, due_s)]

    begin()
    return lambda: timer[0].cancel()
