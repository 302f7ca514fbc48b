import asyncio
import errno
import functools
import logging
import os
import select
import signal
import socket
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import pytest

from framework import ioloop
from framework.ioloop import IOLoop


@pytest.fixture(params=["asyncio", "uvloop"])
def loop(request):
    """A loop of its own for each test, the process's as long as the test lasts, on both kinds of asyncio loops."""
    impl = asyncio.new_event_loop() if request.param == "asyncio" else ioloop.new_event_loop()
    IOLoop.clear_instance()
    made = IOLoop(impl)
    IOLoop._process_loop = made
    yield made
    made.close()
    IOLoop.clear_instance()


def bounded(loop, seconds=5):
    """Runs the loop until it is stopped, for a time at most."""
    limit = loop.call_later(seconds, loop.stop)
    started = time.monotonic()
    loop.start()
    loop.remove_timeout(limit)
    assert time.monotonic() - started < seconds, "the loop was not stopped"


# -- which loop


def test_instance_is_the_loop_that_runs(loop):
    seen = []
    loop.add_callback(lambda: (seen.append(IOLoop.instance()), loop.stop()))
    bounded(loop)
    assert seen == [loop]
    assert IOLoop.instance() is loop


def test_instance_from_another_thread_is_the_process_loop(loop):
    with ThreadPoolExecutor(1) as pool:
        assert pool.submit(IOLoop.instance).result() is loop


def test_instance_inside_asyncio_run_is_that_loop():
    async def main():
        assert IOLoop.current().asyncio_loop is asyncio.get_running_loop()
        assert IOLoop.current() is IOLoop.current()

    asyncio.run(main())


def test_initialized_is_false_before_the_first_use():
    IOLoop.clear_instance()
    assert not IOLoop.initialized()
    IOLoop.instance()
    assert IOLoop.initialized()
    IOLoop.instance().close()
    assert not IOLoop.initialized()


def test_current_without_instance_raises_where_there_is_none():
    IOLoop.clear_instance()
    with pytest.raises(RuntimeError):
        IOLoop.current(instance=False)


def test_made_current_in_a_thread_stays_there(loop):
    other = IOLoop(asyncio.new_event_loop())

    def inside():
        other.make_current()
        return IOLoop.current()

    with ThreadPoolExecutor(1) as pool:
        assert pool.submit(inside).result() is other
    assert IOLoop.current() is loop
    other.close()


# -- running


def test_stop_before_start_returns_at_once(loop):
    loop.stop()
    loop.start()
    loop.add_callback(loop.stop)
    bounded(loop)


def test_running_is_true_inside(loop):
    seen = []
    loop.add_callback(lambda: (seen.append(loop.running()), loop.stop()))
    bounded(loop)
    assert seen == [True]
    assert not loop.running()


def test_run_sync_returns_what_a_coroutine_returns(loop):
    async def answer():
        await asyncio.sleep(0)
        return 42

    assert loop.run_sync(answer) == 42
    assert loop.run_sync(lambda: 43) == 43


def test_run_sync_raises_after_the_time(loop):
    with pytest.raises(TimeoutError):
        loop.run_sync(lambda: asyncio.get_running_loop().create_future(), timeout=0.01)


# -- callbacks


def test_callbacks_run_in_order_with_their_arguments(loop):
    seen = []
    loop.add_callback(seen.append, 1)
    loop.add_callback(lambda **kwargs: seen.append(kwargs), a=2)
    loop.add_callback(loop.stop)
    bounded(loop)
    assert seen == [1, {"a": 2}]


def test_callback_added_by_a_callback_waits_for_the_next_round(loop):
    seen = []

    def first():
        loop.add_callback(lambda: (seen.append("inner"), loop.stop()))
        seen.append("outer")

    loop.add_callback(first)
    bounded(loop)
    assert seen == ["outer", "inner"]


def test_callbacks_from_a_thread_wake_the_loop(loop):
    caller = []
    thread = threading.Thread(
        target=lambda: loop.add_callback(lambda: (caller.append(threading.current_thread()), loop.stop()))
    )
    loop.add_callback(thread.start)
    bounded(loop)
    thread.join()
    assert caller == [threading.main_thread()]


def test_callback_from_a_signal_handler_wakes_the_loop(loop):
    previous = signal.signal(signal.SIGUSR1, lambda *_: loop.add_callback_from_signal(loop.stop))
    try:
        loop.add_callback(os.kill, os.getpid(), signal.SIGUSR1)
        bounded(loop)
    finally:
        signal.signal(signal.SIGUSR1, previous)


# -- timeouts


def test_timeouts_fire_in_the_order_of_their_deadlines(loop):
    seen = []
    loop.add_timeout(timedelta(milliseconds=20), lambda: (seen.append("timedelta"), loop.stop()))
    loop.add_timeout(loop.time() + 0.01, seen.append, "deadline")
    loop.add_timeout(time.time() - 60, seen.append, "past")
    bounded(loop)
    assert seen == ["past", "deadline", "timedelta"]


def test_removed_timeout_does_not_fire(loop):
    seen = []
    loop.remove_timeout(loop.add_timeout(loop.time(), seen.append, "removed"))
    last = loop.call_later(0.01, loop.stop)
    bounded(loop)
    loop.remove_timeout(last)
    assert seen == []


# -- descriptors


def test_handler_gets_what_was_given_and_the_events(loop):
    left, right = socket.socketpair()
    with left, right:
        seen = []

        def ready(source, events):
            seen.append((source, events))
            loop.remove_handler(left)
            loop.stop()

        loop.add_handler(left, ready, IOLoop.READ)
        right.send(b"x")
        bounded(loop)
        assert seen == [(left, IOLoop.READ)]


def test_update_handler_changes_the_events(loop):
    left, right = socket.socketpair()
    with left, right:
        seen = []

        def ready(fd, events):
            seen.append(events)
            loop.remove_handler(fd)
            loop.stop()

        loop.add_handler(left.fileno(), ready, IOLoop.READ)
        loop.update_handler(left.fileno(), IOLoop.WRITE)
        bounded(loop)
        assert seen == [IOLoop.WRITE]


def test_error_is_reported_without_being_asked_for(loop):
    reader, writer = os.pipe()
    seen = []

    def broken(fd, events):
        seen.append(events)
        loop.remove_handler(fd)
        loop.stop()

    loop.add_handler(writer, broken, IOLoop.NONE)
    os.close(reader)
    bounded(loop)
    os.close(writer)
    assert seen[0] & IOLoop.ERROR


def test_second_handler_for_one_descriptor_is_refused(loop):
    left, right = socket.socketpair()
    with left, right:
        loop.add_handler(left, print, IOLoop.READ)
        with pytest.raises(ValueError, match="has a handler already"):
            loop.add_handler(left.fileno(), print, IOLoop.READ)
        loop.remove_handler(left)


def test_remove_handler_forgives(loop):
    left, right = socket.socketpair()
    loop.remove_handler(left)
    fd = left.fileno()
    loop.add_handler(fd, print, IOLoop.READ)
    left.close()
    right.close()
    loop.remove_handler(fd)
    with pytest.raises(KeyError):
        loop.update_handler(fd, IOLoop.READ)


def test_handler_removed_by_another_of_the_same_round_is_not_called(loop):
    pairs = [socket.socketpair() for _ in range(2)]
    seen = []

    def ready(fd, events):
        seen.append(fd)
        for left, _ in pairs:
            loop.remove_handler(left)
        loop.stop()

    for left, right in pairs:
        loop.add_handler(left.fileno(), ready, IOLoop.READ)
        right.send(b"x")
    bounded(loop)
    assert len(seen) == 1
    for left, right in pairs:
        left.close()
        right.close()


def test_close_with_all_fds_closes_them():
    loop = IOLoop(asyncio.new_event_loop())
    left, right = socket.socketpair()
    loop.add_handler(left, print, IOLoop.READ)
    loop.close(all_fds=True)
    assert left.fileno() == -1
    right.close()


def test_item_132_raw_socket_server_in_the_seeds_manner(loop):
    """Accepts with nothing but a non-blocking socket, a handler and functools.partial."""
    served = []

    def handle_connection(connection, address):
        served.append(address)
        connection.sendall(b"hello")
        connection.close()

    def connection_ready(sock, fd, events):
        while True:
            try:
                connection, address = sock.accept()
            except OSError as e:
                if e.args[0] not in (errno.EWOULDBLOCK, errno.EAGAIN):
                    raise
                return
            connection.setblocking(0)
            handle_connection(connection, address)

    sock = socket.socket(socket.AF_INET, socket.SOCK_STREAM, 0)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    sock.setblocking(0)
    sock.bind(("127.0.0.1", 0))
    sock.listen(128)
    io_loop = ioloop.IOLoop.instance()
    callback = functools.partial(connection_ready, sock)
    io_loop.add_handler(sock.fileno(), callback, io_loop.READ)

    def client():
        with socket.create_connection(sock.getsockname(), timeout=5) as connection:
            data = connection.recv(100)
        io_loop.add_callback(io_loop.stop)
        return data

    with ThreadPoolExecutor(1) as pool:
        answer = pool.submit(client)
        bounded(io_loop)
        assert answer.result() == b"hello"
    assert len(served) == 1
    io_loop.remove_handler(sock.fileno())
    sock.close()


# -- exceptions


def test_exception_of_a_callback_is_logged_and_the_loop_goes_on(loop, caplog):
    loop.add_callback(lambda: 1 / 0)
    loop.add_callback(loop.stop)
    bounded(loop)
    assert "ZeroDivisionError" in caplog.text


def test_handle_callback_exception_can_be_overridden():
    seen = []

    class Mine(IOLoop):
        def handle_callback_exception(self, callback):
            seen.append(callback)

    loop = Mine(asyncio.new_event_loop())

    def broken():
        raise OSError

    loop.add_callback(broken)
    loop.add_callback(loop.stop)
    bounded(loop)
    loop.close()
    assert seen == [broken]


@pytest.mark.parametrize("way", ["callback", "timeout", "descriptor later", "coroutine", "future", "nested", "thread"])
def test_exception_reaches_whoever_asked_for_the_callback(loop, way):
    seen = []

    def handler(error):
        seen.append(error.args)
        loop.stop()
        return True

    def broken(*_):
        raise OSError("mine")

    async def broken_coroutine():
        await asyncio.sleep(0)
        raise OSError("mine")

    with ThreadPoolExecutor(1) as pool:

        def begin():
            with ioloop.catching(handler):
                if way == "callback":
                    loop.add_callback(broken)
                elif way == "timeout":
                    loop.call_later(0, broken)
                elif way == "descriptor later":
                    loop.asyncio_loop.call_soon(loop.add_callback, broken)
                elif way == "coroutine":
                    loop.add_callback(broken_coroutine)
                elif way == "future":
                    future = loop.asyncio_loop.create_future()
                    loop.add_future(future, broken)
                    future.set_result(None)
                elif way == "nested":
                    loop.add_callback(lambda: loop.add_callback(broken))
                else:
                    loop.add_future(pool.submit(int), broken)

        loop.add_callback(begin)
        bounded(loop)
    assert seen == [("mine",)]


def test_exceptions_of_two_requests_do_not_mix(loop):
    seen = []

    def broken(name):
        raise OSError(name)

    for name in ("a", "b"):
        with ioloop.catching(lambda error, name=name: seen.append((name, *error.args)) or True):
            loop.add_callback(broken, name)
    loop.call_later(0.001, loop.stop)
    bounded(loop)
    assert seen == [("a", "a"), ("b", "b")]


def test_spawned_callback_belongs_to_nobody(loop, caplog):
    with ioloop.catching(lambda error: pytest.fail("not mine")):
        loop.spawn_callback(lambda: 1 / 0)
    loop.add_callback(loop.stop)
    bounded(loop)
    assert "ZeroDivisionError" in caplog.text


def test_unhandled_by_the_handler_is_logged(loop, caplog):
    with ioloop.catching(lambda error: False):
        loop.add_callback(lambda: 1 / 0)
    loop.add_callback(loop.stop)
    bounded(loop)
    assert "ZeroDivisionError" in caplog.text


# -- the watchdog


def block_until(condition):
    """Holds the thread in plain Python, as a slow handler would, until something is seen."""
    limit = time.monotonic() + 5
    while not condition():
        assert time.monotonic() < limit


def test_blocked_loop_is_logged_with_its_stack(loop, caplog):
    caplog.set_level(logging.WARNING, "framework.general")
    loop.set_blocking_log_threshold(0.02)
    loop.add_callback(block_until, lambda: caplog.records)
    loop.add_callback(loop.stop)
    bounded(loop)
    loop.set_blocking_log_threshold(None)
    assert "loop blocked for 0.02 seconds" in caplog.text
    assert "in block_until" in caplog.text
    assert len(caplog.records) == 1


def test_blocked_loop_is_signalled_where_it_hangs(loop):
    frames = []
    previous = signal.getsignal(signal.SIGALRM)
    loop.set_blocking_signal_threshold(0.02, lambda number, frame: frames.append(frame.f_code.co_name))
    try:
        loop.add_callback(block_until, lambda: frames)
        loop.add_callback(loop.stop)
        bounded(loop)
    finally:
        loop.set_blocking_signal_threshold(None, None)
        signal.signal(signal.SIGALRM, previous)
    assert frames


def test_idle_loop_does_not_wake_the_watchdog(loop, caplog):
    loop.set_blocking_log_threshold(0.01)
    loop.call_later(0.06, loop.stop)
    bounded(loop)
    assert not caplog.records


def test_events_are_epolls():
    assert (IOLoop.READ, IOLoop.WRITE) == (select.EPOLLIN, select.EPOLLOUT)
    assert IOLoop.ERROR == select.EPOLLERR | select.EPOLLHUP
