"""An S3 server of ours: in a thread, or in a process of its own that can be killed or kept from writing.

python -m tests.support.s3 ROOT [MOST_FILE_BYTES]     prints its port, and serves until it is ended
"""

import asyncio
import os
import resource
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from framework import netutil
from framework.httpserver import HTTPServer
from framework.s3server import S3Application

ACCESS_KEY = "key"
SECRETS = {ACCESS_KEY: "a secret of the tests"}
DOMAIN = "s3.test"
REPOSITORY = Path(__file__).parents[2]


@contextmanager
def serve(root: Path) -> Iterator[int]:
    """The port of a server in a thread of its own."""
    sockets = netutil.bind_sockets(0, "127.0.0.1")
    started, loops = threading.Event(), []

    async def run() -> None:
        application = S3Application(root, SECRETS, domain=DOMAIN)
        server = HTTPServer(application)
        server.add_sockets(sockets)
        stopping = asyncio.Event()
        loops.append((asyncio.get_running_loop(), stopping))
        started.set()
        await stopping.wait()
        server.stop()
        await server.close_all_connections()
        application.close()

    thread = threading.Thread(target=lambda: asyncio.run(run()))
    thread.start()
    started.wait()
    try:
        yield sockets[0].getsockname()[1]
    finally:
        loop, stopping = loops[0]
        loop.call_soon_threadsafe(stopping.set)
        thread.join()


@contextmanager
def run_process(root: Path, most_file_bytes: int = 0, **variables: str) -> Iterator[tuple[subprocess.Popen[str], int]]:
    """A server in a process of its own, and its port; `variables` are added to its environment.

    If it is given, no file of it grows beyond `most_file_bytes`.
    """
    command = [sys.executable, "-m", "tests.support.s3", str(root), str(most_file_bytes)]
    environment = {**os.environ, "PYTHONPATH": str(REPOSITORY), **variables}
    process = subprocess.Popen(command, cwd=REPOSITORY, env=environment, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    try:
        yield process, int(process.stdout.readline())
    finally:
        process.kill()
        process.wait()
        process.stdout.close()


def main() -> None:
    root, most_file_bytes = Path(sys.argv[1]), int(sys.argv[2]) if len(sys.argv) > 2 else 0

    async def run() -> None:
        sockets = netutil.bind_sockets(0, "127.0.0.1")
        HTTPServer(S3Application(root, SECRETS, domain=DOMAIN)).add_sockets(sockets)
        if most_file_bytes:  # from now on, as a disk that has just run full
            signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
            resource.setrlimit(resource.RLIMIT_FSIZE, (most_file_bytes, most_file_bytes))
        print(sockets[0].getsockname()[1], flush=True)
        await asyncio.Event().wait()

    asyncio.run(run())


if __name__ == "__main__":
    main()
