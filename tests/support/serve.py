"""A small server in a process of its own, so that its memory and its time are its own: `python -m tests.support.serve`.

Arguments are limits as name=value, and nofile=N for the limit of descriptors. It prints its port, then serves /
(12 bytes), /big (1 MB) and /wait (never answered), and counts body bytes.
"""

import asyncio
import contextlib
import os
import resource
import subprocess
import sys

import uvloop

from framework.httpserver import HTTPServer
from tests.support.rawhttp import listening_socket

SMALL = b"HTTP/1.1 200 OK\r\nContent-Length: 12\r\n\r\nHello, world"
BIG = b"HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\n" + b"x" * 1_000_000


def answer(request):
    if request.path == "/big":
        request.connection.answer(BIG)
    elif request.path != "/wait":
        request.connection.answer(SMALL)


async def serve(limits):
    listener = listening_socket()
    server = HTTPServer(answer, **limits)
    server.add_socket(listener)
    print(listener.getsockname()[1], flush=True)
    await asyncio.Event().wait()


class Process:
    """The server as its tests see it: where it listens, how much memory and processor time it has taken."""

    def __init__(self, popen):
        self.popen = popen
        self.port = int(popen.stdout.readline())

    @property
    def rss_bytes(self):
        with open(f"/proc/{self.popen.pid}/statm") as file:
            return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")

    @property
    def cpu_s(self):
        with open(f"/proc/{self.popen.pid}/schedstat") as file:
            return int(file.read().split()[0]) / 1e9

    @property
    def descriptors(self):
        return len(os.listdir(f"/proc/{self.popen.pid}/fd"))


@contextlib.contextmanager
def server_process(**options):
    """A running server process, ended at the end."""
    arguments = [f"{name}={value}" for name, value in options.items()]
    command = [sys.executable, "-m", "tests.support.serve", *arguments]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as popen:
        try:
            yield Process(popen)
        finally:
            popen.kill()


def main():
    options = dict(argument.split("=") for argument in sys.argv[1:])
    descriptors = options.pop("nofile", None)
    if descriptors is not None:
        resource.setrlimit(resource.RLIMIT_NOFILE, (int(descriptors), int(descriptors)))
    limits = {name: float(value) if "." in value else int(value) for name, value in options.items()}
    uvloop.run(serve(limits))


if __name__ == "__main__":
    main()
