"""Ten thousand failures of each kind: what their users see, and what is left of them.

    python -m tests.load.failures [--count 10000] [--only KIND ...]

Peers that are dead, slow, rude or lie, bad input, full disks, wrong credentials, expired certificates: of the HTTP
client, of the S3 server, of WSGI and ASGI applications, of sign-in. Descriptors, threads, objects and memory are
counted after a warm-up and at the end. Exit 1 if anything is left, or a failure did not say what it must. Everything
is on loopback.
"""

import argparse
import asyncio
import logging
import re
import sys
import time
from dataclasses import dataclass

from tests.load import failing_fetches, failing_requests
from tests.load.failing_fetches import CONCURRENCY
from tests.support.remains import Held

KINDS = {**failing_fetches.KINDS, **failing_requests.KINDS}
MOST_OBJECTS = 2000  # caches of threads and of the library fill as they like; far below one for each failure
MOST_RSS_BYTES = 6_000_000
SETTLE_S = 10.0  # lingering connections take two seconds, the resolver's threads a moment
STEADY_S = 0.3


@dataclass(frozen=True)
class Account:
    """One kind of failure, `count` times: a sentence that one of its users saw, and what the process held."""

    kind: str
    count: int
    seconds: float
    sentence: str
    before: Held
    after: Held

    def find_remains(self, most_rss_bytes=MOST_RSS_BYTES):
        """What is left, in words; empty if nothing is."""
        before, after = self.before, self.after
        left = []
        bounds = {"descriptors": 0, "threads": 0, "objects": MOST_OBJECTS, "rss_bytes": most_rss_bytes}
        for name, most in bounds.items():
            more = getattr(after, name) - getattr(before, name)
            if more > most:
                left.append(f"{more} {name}")
        return ", ".join(left)

    def __str__(self):
        before, after = self.before, self.after
        grown = (after.rss_bytes - before.rss_bytes) / 1e6
        counts = [
            f"descriptors {before.descriptors}→{after.descriptors}",
            f"threads {before.threads}→{after.threads}",
            f"objects {after.objects - before.objects:+}",
            f"memory {grown:+.1f} MB",
        ]
        return f"{self.kind:32} {self.count:6} in {self.seconds:6.1f} s  {'  '.join(counts)}  {self.sentence[:110]!r}"


async def repeat(fail, pattern, count):
    """Fail `count` times, CONCURRENCY at once; the last sentence. Each must match the pattern."""
    left, sentence = count, ""

    async def run():
        nonlocal left, sentence
        while left > 0:
            left -= 1
            sentence = await fail()
            assert pattern.search(sentence), sentence

    await asyncio.gather(*[run() for _ in range(CONCURRENCY)])
    return sentence


async def settle(hold, wanted=None):
    """What is held once it is no more than wanted (without that: once it is steady), or SETTLE_S have passed."""
    until, steady_since, last = time.monotonic() + SETTLE_S, time.monotonic(), None
    while True:
        held, now = hold(), time.monotonic()
        counts = held.descriptors, held.threads
        if counts != last:
            steady_since, last = now, counts
        is_steady = now - steady_since >= STEADY_S
        is_enough = is_steady if wanted is None else all(map(int.__le__, counts, (wanted.descriptors, wanted.threads)))
        if is_enough or now > until:
            return held
        await asyncio.sleep(0.05)


async def account_for(kind, count):
    """The account of `count` failures of one kind, behind a warm-up of a tenth."""
    text, make = KINDS[kind]
    pattern = re.compile(text, re.DOTALL)
    async with make() as fail:
        pid = getattr(fail, "pid", None)
        hold = Held.now if pid is None else lambda: Held.by(pid)
        await repeat(fail, pattern, max(count // 10, CONCURRENCY))
        before = await settle(hold)
        began = time.monotonic()
        sentence = await repeat(fail, pattern, count)
        seconds = time.monotonic() - began
        after = await settle(hold, before)
    return Account(kind, count, seconds, " ".join(sentence.split()), before, after)


def run(kind, count):
    """As account_for, on a loop of its own. Nothing is logged: a line for each failure would be what is measured."""
    logging.disable(logging.CRITICAL)
    try:
        return asyncio.run(account_for(kind, count))
    finally:
        logging.disable(logging.NOTSET)


def main():
    parser = argparse.ArgumentParser(prog="python -m tests.load.failures")
    parser.add_argument("--count", type=int, default=10_000)
    parser.add_argument("--only", nargs="*", choices=KINDS, default=list(KINDS), metavar="KIND")
    options = parser.parse_args()
    is_good = True
    for kind in options.only:
        try:
            account = run(kind, options.count)
        except AssertionError as error:
            print(f"{kind:32} {error}", flush=True)
            is_good = False
            continue
        remains = account.find_remains()
        print(account, f"  LEFT: {remains}" if remains else "", flush=True)
        is_good = is_good and not remains
    sys.exit(0 if is_good else 1)


if __name__ == "__main__":
    main()
