"""Both sides of nginx + frontend agree on where every request ends: the corpus, sent through a real nginx.

nginx is the reference: what it refuses must be refused here, too. Where we are the stricter one, it passes on only what
we take, in its own words, so a frontend behind it must see as many requests as nginx has counted.
"""

import asyncio
import contextlib
import json
import shutil
import subprocess
from pathlib import Path

from framework.httpserver import HTTPServer
from framework.netutil import bind_unix_socket

HERE = Path(__file__).parent
EXPECTED = json.loads((HERE / "expected.json").read_text())["accept"]
# What nginx refuses on principle, and not because it is malformed: TRACE is a 405; OPTIONS * is in RFC 9110 §9.3.7, and
# every other server's business.
BY_POLICY = {"method-trace", "target-asterisk-options"}
CONFIGURATION = """
daemon off; master_process off; pid {folder}/pid; error_log {folder}/errors;
events {{ worker_connections 1024; }}
http {{
    access_log off; keepalive_timeout 1s; lingering_timeout 100ms; lingering_time 200ms; proxy_ignore_client_abort on;
    client_body_temp_path {folder}/a; proxy_temp_path {folder}/b; fastcgi_temp_path {folder}/c;
    uwsgi_temp_path {folder}/d; scgi_temp_path {folder}/e;
    large_client_header_buffers 4 32k;
    upstream frontend {{ server unix:{folder}/frontend; keepalive 8; }}
    server {{
        listen unix:{folder}/nginx; server_name example.com;
        location / {{
            proxy_pass http://frontend; proxy_http_version 1.1;
            proxy_set_header Connection ""; proxy_set_header Host $host; proxy_set_header X-Case $http_x_case;
        }}
    }}
}}
"""


@contextlib.asynccontextmanager
async def nginx_before(folder, application):
    """A running nginx on `folder`/nginx, with a server of ours behind it."""
    (folder / "conf").write_text(CONFIGURATION.format(folder=folder))
    server = HTTPServer(application)
    server.add_socket(bind_unix_socket(str(folder / "frontend"), mode=0o666))
    nginx = subprocess.Popen(
        [shutil.which("nginx") or "/usr/sbin/nginx", "-p", str(folder), "-c", str(folder / "conf")]
    )
    try:
        while not (folder / "nginx").exists() and nginx.poll() is None:
            await asyncio.sleep(0.01)
        yield
    finally:
        nginx.terminate()
        nginx.wait()
        server.stop()
        await server.close_all_connections()


async def ask(folder, data):
    """Statuses of all answers to `data`."""
    for _ in range(100):
        with contextlib.suppress(ConnectionRefusedError):
            reader, writer = await asyncio.open_unix_connection(str(folder / "nginx"))
            break
        await asyncio.sleep(0.01)
    writer.write(data)
    writer.write_eof()
    answers = b""
    with contextlib.suppress(ConnectionResetError):  # nginx does not always wait for what it refuses
        while piece := await asyncio.wait_for(reader.read(65536), 20):
            answers += piece
    writer.close()
    lines = [line for line in answers.split(b"\r\n") if line.startswith(b"HTTP/1.1 ")]
    return [int(line[9:12]) for line in lines if line[9:12] != b"100"]


def test_nginx_takes_what_we_take_and_sees_the_same_requests(tmp_path):
    seen = []

    def application(request):
        seen.append(request.body)
        request.connection.answer(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")

    async def main():
        async with nginx_before(tmp_path, application):
            for name, requests in EXPECTED.items():
                seen.clear()
                statuses = await ask(tmp_path, (HERE / "accept" / f"{name}.http").read_bytes())
                if name not in BY_POLICY:
                    assert statuses == [200] * len(requests), name
                    assert seen == [body.encode("latin-1") for _, _, body in requests], name

    asyncio.run(main())


def test_nothing_is_smuggled_past_nginx(tmp_path):
    """A refused request never leaves anything behind that is taken for another one: each answer has its request."""
    seen = []

    def application(request):
        seen.append(request.path)
        request.connection.answer(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")

    async def main():
        async with nginx_before(tmp_path, application):
            for path in sorted((HERE / "reject").glob("*.http")):
                seen.clear()
                data = path.read_bytes()
                statuses = await ask(tmp_path, data)
                # nginx still speaks HTTP/0.9: one request, an answer without a status line, and the end.
                is_http_0_9 = b"HTTP/" not in data.split(b"\r\n")[0] and len(seen) == 1
                assert len(seen) == statuses.count(200) or is_http_0_9, path.stem

    asyncio.run(main())
