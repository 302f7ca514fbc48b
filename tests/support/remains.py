"""What a process holds, so that a test can say what is left behind: descriptors, threads, objects, bytes of memory."""

import contextlib
import ctypes
import gc
import os
from dataclasses import dataclass, replace


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
        _give_back()
        return replace(cls.by("self"), objects=len(gc.get_objects()))

    @classmethod
    def by(cls, pid):
        """What another process holds; nobody can count its objects."""
        with open(f"/proc/{pid}/statm") as file:
            pages = int(file.read().split()[1])
        descriptors, threads = (len(os.listdir(f"/proc/{pid}/{name}")) for name in ("fd", "task"))
        return cls(descriptors, threads, 0, pages * os.sysconf("SC_PAGE_SIZE"))


def _give_back():
    """Have the C library give back what it keeps for later: megabytes, of any size, that nobody holds."""
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
    if trim is not None:  # glibc
        trim(0)


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
