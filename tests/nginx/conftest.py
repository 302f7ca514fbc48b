"""nginx as the image configures it, with two slots."""

import os
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.support.front import Front, draw, free_port, wait_for_port


@pytest.fixture
def front(tmp_path: Path) -> Iterator[Front]:
    """nginx with two slots, both still empty."""
    port = free_port()
    drawn = draw(tmp_path, NGINX_LISTEN=f"127.0.0.1:{port}", SLOTS="2", TRUSTED_PROXIES="127.0.0.2")
    assert drawn.returncode == 0, drawn.stderr
    # Root's workers would run as nobody, who may not enter a test's folder.
    user = "user root;" if os.getuid() == 0 else ""
    command = ["nginx", "-c", str(tmp_path / "source/nginx.conf"), "-g", f"daemon off; {user}"]
    with subprocess.Popen(command, stderr=subprocess.DEVNULL) as process, ExitStack() as stack:
        stack.callback(process.terminate)
        wait_for_port(port)
        yield Front(tmp_path, port, stack)
