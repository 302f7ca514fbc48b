"""The examples that stand in the docstrings of the seed's low-level modules, run as programs of their own."""

import os
import signal
import socket
import subprocess

import pytest

from tests.conformance.seed.launch import fetch, program, run
from tests.support.front import free_port, wait_for_port

RAW_SERVER = """
import sys
import framework.httpserver
import framework.ioloop

def handle_request(request):
   message = "You requested %s\\n" % request.uri
   request.write("HTTP/1.1 200 OK\\r\\nContent-Length: %d\\r\\n\\r\\n%s" % (
                 len(message), message))
   request.finish()

http_server = framework.httpserver.HTTPServer(handle_request)
http_server.listen(int(sys.argv[1]))
framework.ioloop.IOLoop.instance().start()
"""

PRE_FORK = """
import os, sys
import framework.httpserver
import framework.ioloop
import framework.web

class MainHandler(framework.web.RequestHandler):
    def get(self):
        self.write(str(os.getpid()))

server = framework.httpserver.HTTPServer(framework.web.Application([(r"/", MainHandler)]))
server.bind(int(sys.argv[1]))
server.start(2)
framework.ioloop.IOLoop.instance().start()
"""

TLS = """
import sys
import framework.httpserver
import framework.ioloop
import framework.web

class MainHandler(framework.web.RequestHandler):
    def get(self):
        self.write(self.request.protocol)

application = framework.web.Application([(r"/", MainHandler)])
http_server = framework.httpserver.HTTPServer(application, ssl_options={
    "certfile": "mydomain.crt",
    "keyfile": "mydomain.key",
})
http_server.listen(int(sys.argv[1]))
framework.ioloop.IOLoop.instance().start()
"""

CLIENT = """
from framework import ioloop
from framework import iostream
import socket, sys

def send_request():
    stream.write(b"GET / HTTP/1.0\\r\\nHost: friendfeed.com\\r\\n\\r\\n")
    stream.read_until(b"\\r\\n\\r\\n", on_headers)

def on_headers(data):
    headers = {}
    for line in data.split(b"\\r\\n"):
       parts = line.split(b":")
       if len(parts) == 2:
           headers[parts[0].strip()] = parts[1].strip()
    stream.read_bytes(int(headers[b"Content-Length"]), on_body)

def on_body(data):
    print(data.decode())
    stream.close()
    ioloop.IOLoop.instance().stop()

s = socket.socket(socket.AF_INET, socket.SOCK_STREAM, 0)
stream = iostream.IOStream(s)
stream.connect(("127.0.0.1", int(sys.argv[1])), send_request)
ioloop.IOLoop.instance().start()
"""

ACCEPT = """
import errno
import functools
import socket, sys
from framework import ioloop

def handle_connection(connection, address):
    connection.sendall(b"hello from the loop")
    connection.close()

def connection_ready(sock, fd, events):
    while True:
        try:
            connection, address = sock.accept()
        except socket.error as e:
            if e.args[0] not in (errno.EWOULDBLOCK, errno.EAGAIN):
                raise
            return
        connection.setblocking(0)
        handle_connection(connection, address)

sock = socket.socket(socket.AF_INET, socket.SOCK_STREAM, 0)
sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
sock.setblocking(0)
sock.bind(("", int(sys.argv[1])))
sock.listen(128)

io_loop = ioloop.IOLoop.instance()
callback = functools.partial(connection_ready, sock)
io_loop.add_handler(sock.fileno(), callback, io_loop.READ)
io_loop.start()
"""

TIMERS = """
import threading, time
from framework.ioloop import IOLoop, PeriodicCallback

seen = []
loop = IOLoop.instance()

def tick():
    seen.append("tick")
    if seen.count("tick") == 3:
        periodic.stop()
        loop.stop()

periodic = PeriodicCallback(tick, 10)
periodic.start()
loop.add_timeout(time.time() + 0.001, lambda: seen.append("timeout"))
removed = loop.add_timeout(time.time() + 0.001, lambda: seen.append("removed"))
loop.remove_timeout(removed)
threading.Thread(target=lambda: loop.add_callback(lambda: seen.append("thread"))).start()
loop.start()
print(sorted(seen))
"""


@pytest.fixture
def serve(tmp_path):
    """Starts a server program; its port."""
    stack = []

    def serve(text):
        port = free_port()
        running = program(tmp_path, text, port)
        process = running.__enter__()
        stack.append((running, process))
        wait_for_port(port)
        return port

    yield serve
    for running, process in stack:
        process.send_signal(signal.SIGTERM)
        process.wait(30)
        running.__exit__(None, None, None)


def test_item_130_raw_callback_server(serve):
    port = serve(RAW_SERVER)
    assert fetch(port, "/a?b=c")[2] == "You requested /a?b=c\n"
    with socket.create_connection(("127.0.0.1", port)) as client, client.makefile("rb") as stream:
        for _ in range(2):
            client.sendall(b"GET /kept HTTP/1.1\r\nHost: a\r\n\r\n")
            head = [line for line in iter(stream.readline, b"\r\n")]
            assert head[0] == b"HTTP/1.1 200 OK\r\n"
            assert stream.readline() == b"You requested /kept\n"


def test_item_130_pre_fork(serve):
    port = serve(PRE_FORK)
    pids = set()
    while len(pids) < 2:
        pids.add(fetch(port)[2])
    assert all(os.path.exists(f"/proc/{pid}") for pid in pids)


def test_item_130_tls(serve, tmp_path):
    command = "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 1 -subj /CN=localhost"
    files = ["-keyout", "mydomain.key", "-out", "mydomain.crt"]
    subprocess.run([*command.split(), *files], cwd=tmp_path, check=True, capture_output=True)
    port = serve(TLS)
    command = ["curl", "-s", "--cacert", "mydomain.crt", "--connect-to", f"localhost:443:127.0.0.1:{port}"]
    done = subprocess.run([*command, "https://localhost/"], cwd=tmp_path, capture_output=True, text=True)
    assert done.stdout == "https"


def test_item_131_simple_and_broken_client(serve, tmp_path):
    port = serve(RAW_SERVER)
    (tmp_path / "client").mkdir()
    assert run(tmp_path / "client", CLIENT, port) == "You requested /\n\n"


def test_item_132_raw_socket_accept(serve):
    port = serve(ACCEPT)
    with socket.create_connection(("127.0.0.1", port)) as client, client.makefile("rb") as stream:
        assert stream.read() == b"hello from the loop"


def test_item_132_timeouts_threads_and_periodic_callbacks(tmp_path):
    assert run(tmp_path, TIMERS) == "['thread', 'tick', 'tick', 'tick', 'timeout']\n"


@pytest.mark.parametrize(
    "field", ["X-Folded: one\r\n two", "X-Folded: one\r\n\ttwo", "X Odd: 1", "X-Odd : 1", "no colon", ": empty"]
)
def test_item_127_multi_line_and_malformed_headers_are_refused(serve, field):
    port = serve(RAW_SERVER)
    with socket.create_connection(("127.0.0.1", port)) as client, client.makefile("rb") as stream:
        client.sendall(
            f"GET / HTTP/1.1\r\nHost: a\r\n{field}\r\n\r\nGET /smuggled HTTP/1.1\r\nHost: a\r\n\r\n".encode()
        )
        answer = stream.read()
    assert answer.startswith(b"HTTP/1.1 400 ")
    assert answer.count(b"HTTP/1.1") == 1
