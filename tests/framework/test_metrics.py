import asyncio
import time

import pytest

from framework import metrics, netutil
from framework.httpserver import HTTPServer
from framework.log import Tally
from framework.web import Application, RequestHandler


def test_counter_in_text_form():
    registry = metrics.Registry()
    counter = registry.add(metrics.Counter("wishes_total", "Wishes granted.", ("who",)))
    counter.inc(2, ('a "b"\\\n',))
    counter.inc(0.5, ("c",))
    assert registry.text() == (
        "# HELP wishes_total Wishes granted.\n"
        "# TYPE wishes_total counter\n"
        'wishes_total{who="a \\"b\\"\\\\\\n"} 2\n'
        'wishes_total{who="c"} 0.5\n'
    )


def test_histogram_buckets_are_cumulative_and_include_their_bound():
    registry = metrics.Registry()
    histogram = registry.add(metrics.Histogram("t_seconds", "Times.", (0.1, 1), ("route",)))
    for value in (0.1, 0.5, 1, 7):
        histogram.observe(value, ("/",))
    assert registry.text().splitlines()[2:] == [
        't_seconds_bucket{route="/",le="0.1"} 1',
        't_seconds_bucket{route="/",le="1"} 3',
        't_seconds_bucket{route="/",le="+Inf"} 4',
        't_seconds_sum{route="/"} 8.6',
        't_seconds_count{route="/"} 4',
    ]


def test_series_without_labels_exist_from_the_start():
    registry = metrics.Registry()
    registry.add(metrics.Counter("a_total", "A."))
    registry.add(metrics.Histogram("b", "B.", (1,)))
    assert "a_total 0\n" in registry.text()
    assert 'b_bucket{le="+Inf"} 0\n' in registry.text()


def test_gauge_is_read_when_asked_for():
    registry = metrics.Registry()
    registry.add(metrics.Gauge("depth", "Depth.", read=lambda: 3))
    assert "# TYPE depth gauge\ndepth 3\n" in registry.text()


def test_a_name_is_taken_once():
    registry = metrics.Registry()
    registry.add(metrics.Counter("a", "A."))
    with pytest.raises(ValueError, match="metric a: exists"):
        registry.add(metrics.Gauge("a", "A."))


@pytest.mark.parametrize(
    "value, waited",
    [
        (b"t=1700000000.000", 0.5),
        (b"1700000000", 0.5),
        (b"1700000000000", 0.5),
        (b"t=1700000000000000", 0.5),
        (b"t=1700000001", 0.0),  # the proxy's clock is ahead
        (b"t=1600000000", None),
        (b"t=nan", None),
        (b"1e9", None),
        (b"-5", None),
        (b"", None),
        (b".", None),
        (b"t=1_700_000_000", None),
    ],
)
def test_request_start(value, waited, monkeypatch):
    assert queue_times([value], monkeypatch) == ([] if waited is None else [pytest.approx(waited)])


def test_a_start_of_hundreds_of_digits_ends(monkeypatch):
    assert queue_times([b"9" * 400], monkeypatch) == []


def test_starts_of_one_batch(monkeypatch):
    starts = [b"t=1700000000.000"] * 2 + [b"", b"t=1700000000.400", b"t=1700000000.000"]
    assert queue_times(starts, monkeypatch) == pytest.approx([0.5, 0.5, 0.1, 0.5])


def queue_times(starts, monkeypatch):
    """Seconds that are observed of requests with these X-Request-Start that began at 1700000000.5."""
    seen = []
    monkeypatch.setattr(metrics.queue_seconds, "observe_all", seen.extend)
    tally = Tally()
    began = time.perf_counter() - time.time() + 1700000000.5
    tally.starts = [(start, began) for start in starts]
    metrics.count_tally(tally)
    return [round(seconds, 3) for seconds in seen]


def test_many_observations_are_the_same_as_one_by_one():
    values = [0.0001, 0.0005, 0.0006, 0.003, 0.0004, 31.0, 30.0, 0.25]
    one_by_one = metrics.Histogram("one", "One.", metrics.LATENCY_BUCKETS_S)
    together = metrics.Histogram("one", "One.", metrics.LATENCY_BUCKETS_S)
    for value in values:
        one_by_one.observe(value)
    together.observe_all(values[:3])
    together.observe_all(values[3:])
    counted, expected = list(together.samples()), list(one_by_one.samples())
    assert [sample[:2] for sample in counted] == [sample[:2] for sample in expected]
    assert [sample[2] for sample in counted] == pytest.approx([sample[2] for sample in expected])


def test_record_request_counts_by_route_and_status():
    before = metrics.requests.get(("/test-metrics", 200))
    metrics.record_request("/test-metrics", 200, 0.01)
    assert metrics.requests.get(("/test-metrics", 200)) == before + 1
    assert 'http_requests_total{route="/test-metrics",status="200"}' in metrics.registry.text()
    assert 'http_request_duration_seconds_bucket{route="/test-metrics",le="0.01"}' in metrics.registry.text()


def test_answered_requests_are_counted_together():
    metrics.count_answered()
    waits = metrics.queue_seconds.series[()][:]
    now = time.perf_counter()
    for seconds, trace in ((0.0004, None), (0.002, (b"r", b"yesterday")), (99.0, (b"", b""))):
        metrics.answered.append((("Batch", 200, "GET", "/", "192.0.2.1"), now - seconds, now, trace))
    metrics.count_answered()
    assert metrics.requests.get(("Batch", 200)) == 3
    series = metrics.request_seconds.series[("Batch",)]
    assert (series[0], series[2], series[-2]) == (1, 1, 1) and series[-1] == pytest.approx(99.0024)
    assert metrics.queue_seconds.series[()] == waits


def test_observing_many_is_observing_each():
    one, many = (metrics.Histogram("h", "", (1, 2, 5)) for _ in range(2))
    values = [0.5, 1, 1.5, 2, 2, 7, 0, 5, 9]
    for value in values:
        one.observe(value)
    many.observe_all(values[:4])
    many.observe_all(values[4:])
    many.observe_all([])
    assert one.series == many.series


def test_process_is_described():
    text = metrics.registry.text()
    values = dict(line.split(" ") for line in text.splitlines() if line.startswith("process_"))
    assert float(values["process_resident_memory_bytes"]) > 1e6
    assert float(values["process_cpu_seconds_total"]) > 0
    assert float(values["process_open_fds"]) > 2


def test_watch_loop_observes_lag():
    async def main():
        before = sum(metrics.loop_lag_seconds.series[()][:-1])
        stop = metrics.watch_loop(asyncio.get_running_loop(), 0.001)
        while sum(metrics.loop_lag_seconds.series[()][:-1]) < before + 2:
            await asyncio.sleep(0.001)
        stop()

    asyncio.run(asyncio.wait_for(main(), 5))


class Counted(RequestHandler):
    def get(self):
        self.write("hi")


def test_what_is_answered_and_refused_is_counted(tmp_path):
    async def ask(data):
        reader, writer = await asyncio.open_unix_connection(str(tmp_path / "s"))
        writer.write(data)
        answer = await reader.read()
        writer.close()
        return answer

    async def main():
        server = HTTPServer(Application([("/", Counted)], log_function=lambda handler: None))
        server.add_socket(netutil.bind_unix_socket(tmp_path / "s"))
        started = time.time() - 2
        head = f"Host: x\r\nConnection: close\r\nX-Request-Start: t={started:.3f}\r\n\r\n"
        assert b"hi" in await ask(f"GET / HTTP/1.1\r\n{head}".encode())
        assert b" 404 " in await ask(f"GET /none HTTP/1.1\r\n{head}".encode())
        assert b" 400 " in await ask(b"GET / HTTP/1.1\r\nHost : x\r\n\r\n")
        server.stop()
        await server.close_all_connections()

    metrics.count_answered()
    before = metrics.queue_seconds.series[()][-1], metrics.refusals.get((400,)), metrics.requests.get(("Counted", 200))
    asyncio.run(asyncio.wait_for(main(), 10))
    assert 'http_requests_total{route="ErrorHandler",status="404"}' in metrics.read_all()
    assert not metrics.answered
    assert metrics.queue_seconds.series[()][-1] - before[0] >= 3.9  # two requests, two seconds each
    assert metrics.refusals.get((400,)) == before[1] + 1
    assert metrics.requests.get(("Counted", 200)) == before[2] + 1
