"""What the tests of the client speak to: nginx with TLS and HTTP/2, tinyproxy, an authority."""

import asyncio
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from framework.httpclient import AsyncHTTPClient
from tests.support.certificates import Authority
from tests.support.front import free_port, wait_for_port

NGINX = """
daemon off; pid {folder}/pid; error_log {folder}/error.log; worker_processes 1; {user}
events {{ worker_connections 64; }}
http {{
    access_log {folder}/access.log; client_body_temp_path {folder}; proxy_temp_path {folder};
    fastcgi_temp_path {folder}; uwsgi_temp_path {folder}; scgi_temp_path {folder};
    server {{
        listen 127.0.0.1:{port} ssl http2;
        ssl_certificate {chain}; ssl_certificate_key {key};
        root {folder}/html; client_max_body_size 100m;
        location /hello {{ return 200 "$server_protocol $connection"; }}
        location /secret {{ auth_basic realm; auth_basic_user_file {folder}/users; try_files /secret.txt =404; }}
        location /kept {{ dav_methods PUT; client_body_timeout 5s; }}
        location /slow {{ limit_rate 1000; }}
        location /big {{ gzip on; gzip_types *; }}
    }}
}}
"""


@pytest.fixture(scope="session")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("certificates"))


@pytest.fixture(scope="session")
def nginx(tmp_path_factory: pytest.TempPathFactory, authority: Authority) -> Iterator[str]:
    """The URL of an nginx that speaks HTTP/2 over TLS."""
    folder = tmp_path_factory.mktemp("nginx")
    (folder / "html").mkdir()
    (folder / "html/secret.txt").write_text("for you only")
    (folder / "html/big").write_bytes(bytes(8 << 20))
    (folder / "html/slow").write_bytes(bytes(1 << 20))
    (folder / "users").write_text("me:{PLAIN}pass wörd%20\n")
    chain, key = authority.issue("localhost")
    port = free_port()
    user = "user root;" if os.getuid() == 0 else ""
    (folder / "conf").write_text(NGINX.format(folder=folder, port=port, chain=chain, key=key, user=user))
    with subprocess.Popen(["nginx", "-c", str(folder / "conf")], stderr=subprocess.DEVNULL) as process:
        wait_for_port(port)
        yield f"https://localhost:{port}"
        process.terminate()


def start_proxy(folder: Path, *lines: str) -> tuple[subprocess.Popen[bytes], int]:
    port = free_port()
    config = folder / f"tinyproxy-{port}.conf"
    config.write_text("\n".join([f"Port {port}", "Listen 127.0.0.1", "Timeout 10", "MaxClients 20", *lines]) + "\n")
    process = subprocess.Popen(["tinyproxy", "-d", "-c", str(config)], stdout=subprocess.DEVNULL)
    wait_for_port(port)
    return process, port


@pytest.fixture(scope="session")
def proxy(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, object]]:
    """Fields of a request through a tinyproxy that lets everybody in."""
    process, port = start_proxy(tmp_path_factory.mktemp("proxy"))
    yield {"proxy_host": "127.0.0.1", "proxy_port": port}
    process.terminate()
    process.wait()


@pytest.fixture(scope="session")
def guarded_proxy(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, object]]:
    """Fields of a request through a tinyproxy that asks for a password; the password is not among them."""
    process, port = start_proxy(tmp_path_factory.mktemp("proxy"), "BasicAuth me secret")
    yield {"proxy_host": "127.0.0.1", "proxy_port": port}
    process.terminate()
    process.wait()


def run_with_client(use, **options):
    """What `use(client)` returns."""

    async def run():
        client = AsyncHTTPClient(force_instance=True, **options)
        try:
            return await use(client)
        finally:
            client.close()

    return asyncio.run(run())
