"""What a process holds, so that a test can say what is left behind: descriptors, threads, objects, bytes of memory."""

import contextlib
import gc
import os
from dataclasses import dataclass


@dataclass
class Held:
    """A count of everything; `objects` are those that Python's collector knows, `rss_bytes` is the kernel's word."""

    descriptors: int
    threads: int
    objects: int
    rss_bytes: int

    @classmethod
    def now(cls):
        gc.collect()
        with open("/proc/self/statm") as file:
            pages = int(file.read().split()[1])
        descriptors, threads = (len(os.listdir(f"/proc/self/{name}")) for name in ("fd", "task"))
        return cls(descriptors, threads, len(gc.get_objects()), pages * os.sysconf("SC_PAGE_SIZE"))


@contextlib.contextmanager
def leaving_nothing(objects=500, rss_bytes=6_000_000):
    """Fails if the block leaves a descriptor, a thread, or more objects or memory than that.

    For thousands of repetitions behind a warm-up: the bounds must be far below one object for each.
    """
    before = Held.now()
    yield
    after = Held.now()
    assert after.descriptors <= before.descriptors, (before, after)
    assert after.threads <= before.threads, (before, after)
    assert after.objects - before.objects <= objects, (before, after)
    assert after.rss_bytes - before.rss_bytes <= rss_bytes, (before, after)
