"""A 5 GB object up to the S3 server and down again: what the server's memory does meanwhile.

    python -m tests.load.large_object [--gigabytes 5]

Needs twice as much room below --folder. Ends with exit 1 if the server grew by more than 50 MB, or a byte is wrong.
"""

import argparse
import io
import sys
import tempfile
import threading
import time
from pathlib import Path
from typing import Any

import boto3
from botocore.config import Config

from tests.support.s3 import ACCESS_KEY, SECRETS, run_process

MOST_GROWTH_BYTES = 50_000_000
BLOCK = bytes(range(256)) * 4096


class Source(io.RawIOBase):
    """A file of that many bytes, made while it is read."""

    def __init__(self, size: int) -> None:
        self.size, self.position = size, 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        base = {io.SEEK_SET: 0, io.SEEK_CUR: self.position, io.SEEK_END: self.size}[whence]
        self.position = base + offset
        return self.position

    def tell(self) -> int:
        return self.position

    def readinto(self, buffer: Any) -> int:
        count = min(len(buffer), self.size - self.position, len(BLOCK))
        start = self.position % 256
        buffer[:count] = (BLOCK + BLOCK[:256])[start : start + count]
        self.position += count
        return count


def watch(pid: int, is_over: threading.Event, peaks: list[int]) -> None:
    """Note the resident memory of the process every tenth of a second, in bytes."""
    while not is_over.wait(0.1):
        peaks.append(read_rss(pid))


def read_rss(pid: int) -> int:
    """Resident memory of a process, in bytes."""
    return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * 4096


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.load.large_object")
    parser.add_argument("--gigabytes", type=float, default=5)
    parser.add_argument("--folder", default=None, help="on the disk to be tried; a temporary one without")
    options = parser.parse_args()
    size = int(options.gigabytes * 1e9)
    with tempfile.TemporaryDirectory(dir=options.folder) as folder, run_process(Path(folder)) as (process, port):
        config = Config(s3={"addressing_style": "path", "payload_signing_enabled": False}, read_timeout=600)
        s3 = boto3.client(
            "s3",
            endpoint_url=f"http://127.0.0.1:{port}",
            aws_access_key_id=ACCESS_KEY,
            aws_secret_access_key=SECRETS[ACCESS_KEY],
            region_name="us-east-1",
            config=config,
        )
        s3.create_bucket(Bucket="bucket")
        before, peaks, is_over = read_rss(process.pid), [0], threading.Event()
        watching = threading.Thread(target=watch, args=(process.pid, is_over, peaks))
        watching.start()
        began = time.monotonic()
        s3.put_object(Bucket="bucket", Key="large", Body=io.BufferedReader(Source(size), 1 << 20), ContentLength=size)
        up_s, began = time.monotonic() - began, time.monotonic()
        found, is_right = 0, True
        for chunk in s3.get_object(Bucket="bucket", Key="large")["Body"].iter_chunks(1 << 20):
            start = found % 256
            is_right = is_right and chunk == (BLOCK + BLOCK[:256])[start : start + len(chunk)]
            found += len(chunk)
        down_s = time.monotonic() - began
        is_over.set()
        watching.join()
    growth = max(peaks) - before
    print(f"up {size / up_s / 1e6:.0f} MB/s, down {size / down_s / 1e6:.0f} MB/s")
    print(f"memory of the server: {before / 1e6:.0f} MB before, at most {max(peaks) / 1e6:.0f} MB meanwhile")
    if found != size or not is_right or growth > MOST_GROWTH_BYTES:
        sys.exit(f"large_object: {found} of {size} bytes, right: {is_right}, grown by {growth / 1e6:.0f} MB")


if __name__ == "__main__":
    main()
