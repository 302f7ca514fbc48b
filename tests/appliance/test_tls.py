"""TLS and HTTP/2, where certificates are given: the image's own nginx before the stack's frontends."""

import http.client
import io
import socket
import ssl
import subprocess
import tarfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.compose import Stack, find_free_port, wait_for


def make_certificate(folder: Path) -> bytes:
    """A tar file with fullchain.pem and privkey.pem, readable by the group that all services share."""
    command = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"]
    command += ["-days", "2", "-subj", "/CN=localhost", "-addext", "subjectAltName=IP:127.0.0.1"]
    command += ["-keyout", str(folder / "privkey.pem"), "-out", str(folder / "fullchain.pem")]
    subprocess.run(command, check=True, capture_output=True)
    archive = io.BytesIO()
    with tarfile.open(fileobj=archive, mode="w") as tar:
        for name in ("fullchain.pem", "privkey.pem"):
            member = tar.gettarinfo(folder / name, arcname=name)
            member.uid, member.gid, member.mode = 0, 10000, 0o640
            tar.addfile(member, io.BytesIO((folder / name).read_bytes()))
    return archive.getvalue()


@pytest.fixture(scope="module")
def tls_port(stack: Stack, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[int, Path]]:
    """Port of an nginx with a certificate, and the certificate."""
    folder = tmp_path_factory.mktemp("tls")
    port = find_free_port()
    container = stack.engine.containers.create(
        stack.container("nginx").image,
        environment={
            "SLOTS": "2",
            "NGINX_LISTEN": f"127.0.0.1:{find_free_port()}",
            "NGINX_TLS_LISTEN": f"127.0.0.1:{port}",
        },
        network_mode="host",
        volumes={f"{stack.project}_frontends": {"bind": "/run/frontends", "mode": "rw"}},
        tmpfs={"/run/nginx": "uid=10002,gid=10000,mode=0750"},
    )
    try:
        container.put_archive("/etc/squall/tls", make_certificate(folder))
        container.start()
        certificate = folder / "fullchain.pem"
        wait_for(lambda: answers(port, certificate), f"an nginx on port {port}", timeout_s=20)
        yield port, certificate
    finally:
        container.remove(force=True)


def answers(port: int, certificate: Path) -> bool:
    """Whether somebody with that certificate is there.

    A connection alone proves nothing: while nobody listens on an ephemeral port, a socket may be connected to itself.
    """
    context = ssl.create_default_context(cafile=str(certificate))
    try:
        with (
            socket.create_connection(("127.0.0.1", port), 2) as plain,
            context.wrap_socket(plain, server_hostname="127.0.0.1"),
        ):
            return True
    except OSError:
        return False


def test_page_over_tls(tls_port: tuple[int, Path]) -> None:
    port, certificate = tls_port
    context = ssl.create_default_context(cafile=str(certificate))
    connection = http.client.HTTPSConnection("127.0.0.1", port, context=context, timeout=10)
    try:
        connection.request("GET", "/test/echo", headers={"X-Scheme": "http"})
        response = connection.getresponse()
        assert response.status == 200
        assert b'"protocol": "https"' in response.read()
    finally:
        connection.close()


def test_http2_is_offered(tls_port: tuple[int, Path]) -> None:
    port, certificate = tls_port
    context = ssl.create_default_context(cafile=str(certificate))
    context.set_alpn_protocols(["h2", "http/1.1"])
    with (
        socket.create_connection(("127.0.0.1", port), 10) as plain,
        context.wrap_socket(plain, server_hostname="127.0.0.1") as secured,
    ):
        assert secured.selected_alpn_protocol() == "h2"
        assert secured.version() == "TLSv1.3"


@pytest.mark.filterwarnings("ignore:ssl.TLSVersion.TLSv1:DeprecationWarning")
def test_old_tls_is_refused(tls_port: tuple[int, Path]) -> None:
    port, certificate = tls_port
    context = ssl.create_default_context(cafile=str(certificate))
    context.minimum_version = ssl.TLSVersion.TLSv1
    context.maximum_version = ssl.TLSVersion.TLSv1_1
    context.set_ciphers("ALL:@SECLEVEL=0")
    with socket.create_connection(("127.0.0.1", port), 10) as plain, pytest.raises((ssl.SSLError, ConnectionError)):
        context.wrap_socket(plain, server_hostname="127.0.0.1")
