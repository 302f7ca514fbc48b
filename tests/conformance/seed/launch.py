"""Programs of the seed's kind, run as a user would: a file of their own, started by Python, ended at the end."""

import contextlib
import http.client
import os
import subprocess
import sys
import textwrap
from pathlib import Path

ROOT = Path(__file__).parents[3]
ENVIRONMENT = {**os.environ, "PYTHONPATH": str(ROOT), "PYTHONUNBUFFERED": "1"}


@contextlib.contextmanager
def program(folder, text, *arguments, **environment):
    """The running program; `text` is its source."""
    path = folder / "program.py"
    path.write_text(textwrap.dedent(text))
    with subprocess.Popen(
        [sys.executable, str(path), *map(str, arguments)],
        env={**ENVIRONMENT, **environment},
        cwd=folder,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        try:
            yield process
        finally:
            process.kill()


def run(folder, text, *arguments, **environment):
    """What a program that ends by itself has printed."""
    with program(folder, text, *arguments, **environment) as process:
        output, _ = process.communicate(timeout=60)
    assert process.returncode == 0, output
    return output


def fetch(port, target="/", method="GET", body=None, headers=None):
    """Status, headers and body text of one request on a connection of its own."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
    with contextlib.closing(connection):
        connection.request(method, target, body=body, headers=headers or {})
        response = connection.getresponse()
        return response.status, response.headers, response.read().decode()
