"""The chat over several frontends: whoever hangs on whichever frontend gets every message once, in order."""

import json
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from urllib.parse import urlencode

import pytest

from tests.conformance.seed.launch import ENVIRONMENT, ROOT, fetch
from tests.support.front import free_port, wait_for_port


@pytest.fixture
def frontends(mysql_server, valkey_server):
    """Ports of three frontends on one database and one bus."""
    ports = [free_port() for _ in range(3)]
    command = [sys.executable, "-m", "tests.conformance.seed.chat"]
    places = [mysql_server.socket, valkey_server.socket]
    processes = [subprocess.Popen([*command, str(port), *places], env=ENVIRONMENT, cwd=ROOT) for port in ports]
    for port in ports:
        wait_for_port(port)
    yield ports
    for process in processes:
        process.kill()
        process.wait()


def post(port, path, cookie="", **fields):
    headers = {"Content-Type": "application/x-www-form-urlencoded", "Cookie": cookie}
    status, answered, _ = fetch(port, path, "POST", urlencode(fields), headers)
    assert status == 200
    return (answered["Set-Cookie"] or "").partition(";")[0]


def follow(port, count):
    """The first `count` messages that a client of this frontend gets, asking again with its cursor."""
    seen, cursor = [], 0
    while len(seen) < count:
        status, _, text = fetch(port, f"/updates?cursor={cursor}")
        assert status == 200
        seen += json.loads(text)["messages"]
        cursor = seen[-1]["id"]
    return [message["body"] for message in seen]


def test_item_105_message_reaches_all_on_whichever_frontend_they_wait(frontends):
    written, lock = [], threading.Lock()
    cookie = post(frontends[0], "/login", name="ann")

    def write(number):
        with lock:
            post(frontends[number % 3], "/new", cookie, body=f"message {number}")
            written.append(f"message {number}")

    with ThreadPoolExecutor(12) as pool:
        readers = [pool.submit(follow, port, 30) for port in frontends for _ in range(2)]
        for one in [pool.submit(write, number) for number in range(30)]:
            one.result(60)
        assert all(reader.result(60) == written for reader in readers)
