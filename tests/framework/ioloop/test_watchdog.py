import asyncio
import threading
import time

from framework.ioloop.watchdog import Watchdog


def test_each_blockade_is_reported_once():
    reports = []
    reported = threading.Event()

    def report(thread):
        reports.append(thread)
        reported.set()

    async def main():
        watchdog = Watchdog(asyncio.get_running_loop(), 0.02, report)
        watchdog.start()
        for _ in range(2):
            await asyncio.sleep(0.03)
            assert reported.wait(5)  # blocks the loop
            reported.clear()
        time.sleep(0)
        watchdog.stop()

    asyncio.run(main())
    assert reports == [threading.get_ident()] * 2
