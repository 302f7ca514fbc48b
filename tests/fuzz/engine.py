"""A small coverage-guided fuzzer: mutates inputs, and keeps those that reach a line of the framework first.

Coverage comes from sys.monitoring, which costs nothing for a line that it has reported once. Where atheris is installed
(`pip install atheris`), `--atheris` has that mutate instead, which sees branches and comparisons.
"""

import argparse
import math
import random
import sys
import tempfile
import time
import zlib
from pathlib import Path

FRAMEWORK = str(Path(__file__).parents[2] / "framework")
_TOOL = 4
_MAX_BYTES = 2048
_wants_atheris = False


class Coverage:
    """Counts the lines of the framework that were reached so far."""

    def __init__(self):
        self.lines = 0
        monitoring = sys.monitoring
        monitoring.use_tool_id(_TOOL, "fuzz")
        monitoring.register_callback(_TOOL, monitoring.events.LINE, self._reached)
        monitoring.set_events(_TOOL, monitoring.events.LINE)

    def _reached(self, code, line):
        if code.co_filename.startswith(FRAMEWORK):
            self.lines += 1
        return sys.monitoring.DISABLE

    def close(self):
        sys.monitoring.set_events(_TOOL, 0)
        sys.monitoring.free_tool_id(_TOOL)


def mutate(data, corpus, tokens, generator):
    """`data` with one to four changes: bytes, repeats, pieces of other inputs, tokens of the grammar."""
    data = bytearray(data)
    for _ in range(generator.randint(1, 4)):
        position = generator.randint(0, len(data))
        end = min(len(data), position + generator.choice((1, 1, 2, 4, 16)))
        change = generator.randint(0, 6)
        if change == 0:
            data[position:position] = generator.choice(tokens)
        elif change == 1:
            data[position:end] = generator.choice(tokens)
        elif change == 2:
            del data[position:end]
        elif change == 3 and position < len(data):
            data[position] ^= 1 << generator.randint(0, 7)
        elif change == 4:
            data[position:position] = data[position:end] * generator.randint(1, 8)
        elif change == 5:
            other = generator.choice(corpus)
            start = generator.randint(0, len(other))
            data[position:position] = other[start : start + generator.randint(1, 60)]
        else:
            data[position:position] = bytes([generator.randint(0, 255)])
    return bytes(data[:_MAX_BYTES])


def fuzz(check, corpus, tokens, seconds, seed=0):
    """Number of inputs tried. `check(data, generator)` raises if something is wrong; the input is then printed."""
    generator = random.Random(seed)
    corpus = [data for data in corpus if len(data) <= _MAX_BYTES]
    if _wants_atheris:
        _fuzz_with_atheris(check, corpus, tokens, seconds, seed)
    coverage = Coverage()
    tried = 0
    try:
        for data in corpus:
            check(data, generator)
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            data = mutate(generator.choice(corpus), corpus, tokens, generator)
            before = coverage.lines
            start = time.process_time()
            try:
                check(data, generator)
            except BaseException:
                print("failing input:", data, file=sys.stderr)
                raise
            assert time.process_time() - start < 2, f"slow input: {data!r}"
            tried += 1
            if coverage.lines > before:
                corpus.append(data)
    finally:
        coverage.close()
    return tried


def _fuzz_with_atheris(check, corpus, tokens, seconds, seed):
    """As fuzz, but the process ends with it; libFuzzer prints the number of inputs, and 77 is its word for a fault."""
    import atheris

    def check_one(data):
        # The cuts must be the same when the same input is tried again.
        check(data, random.Random(zlib.crc32(data)))

    with tempfile.TemporaryDirectory(prefix="fuzz") as folder:
        place = Path(folder)
        (place / "corpus").mkdir()
        for number, data in enumerate(corpus):
            (place / "corpus" / str(number)).write_bytes(data)
        words = ("".join(f"\\x{byte:02x}" for byte in token) for token in tokens)
        (place / "tokens").write_text("".join(f'"{word}"\n' for word in words if word))
        atheris.instrument_all()
        options = {"max_total_time": math.ceil(seconds), "max_len": _MAX_BYTES, "timeout": 5, "seed": seed or 1}
        options |= {"dict": place / "tokens", "artifact_prefix": "/tmp/fuzz-", "verbosity": 1, "print_final_stats": 1}
        arguments = [f"-{name}={value}" for name, value in options.items()]
        atheris.Setup([sys.argv[0], *arguments, str(place / "corpus")], check_one)
        atheris.Fuzz()


def cut_at_random(data, generator):
    """`data` in up to five pieces."""
    cuts = sorted(generator.randint(0, len(data)) for _ in range(generator.randint(1, 4)))
    return [data[start:end] for start, end in zip([0, *cuts], [*cuts, len(data)], strict=True)]


def main(run):
    """The command line of a fuzz target: `run(seconds, seed)` returns the number of inputs tried."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--seed", type=int, default=random.randrange(1 << 32))
    parser.add_argument("--atheris", action="store_true", help="let atheris mutate")
    options = parser.parse_args()
    global _wants_atheris
    _wants_atheris = options.atheris
    print(f"seed {options.seed}: {run(options.seconds, options.seed)} inputs, no fault")
