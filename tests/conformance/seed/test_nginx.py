"""The seed's own nginx configuration before four frontends, each a process on a port of its own.

The configuration is the printed one but for the ports, the folders and the two things that today's nginx refuses: the
directive `proxy_redirect false` is `off`, and no user named nginx exists on every machine.
"""

import contextlib
import gzip
import http.client
import subprocess

import pytest

from tests.conformance.seed.launch import fetch, program
from tests.support.front import free_port, wait_for_port

CONFIGURATION = """
worker_processes 1;
daemon off;
error_log %(folder)s/error.log;
pid %(folder)s/nginx.pid;
events {
    worker_connections 1024;
    use epoll;
}
http {
    client_body_temp_path %(folder)s/body;
    proxy_temp_path %(folder)s/proxy;
    fastcgi_temp_path %(folder)s/fastcgi;
    uwsgi_temp_path %(folder)s/uwsgi;
    scgi_temp_path %(folder)s/scgi;
    upstream frontends {
%(servers)s
    }
    include /etc/nginx/mime.types;
    default_type application/octet-stream;
    access_log %(folder)s/access.log;
    keepalive_timeout 65;
    proxy_read_timeout %(read_timeout)s;
    sendfile on;
    tcp_nopush on;
    tcp_nodelay on;
    gzip on;
    gzip_min_length 1000;
    gzip_proxied any;
    gzip_types text/plain text/css text/xml application/x-javascript application/xml
        application/atom+xml text/javascript;
    proxy_next_upstream error;
    server {
        listen 127.0.0.1:%(port)d;
        client_max_body_size 50M;
        location ^~ /static/ {
            root %(folder)s/www;
            if ($query_string) {
                expires max;
            }
        }
        location = /favicon.ico {
            rewrite (.*) /static/favicon.ico;
        }
        location = /robots.txt {
            rewrite (.*) /static/robots.txt;
        }
        location / {
            proxy_pass_header Server;
            proxy_set_header Host $http_host;
            proxy_redirect off;
            proxy_set_header X-Real-IP $remote_addr;
            proxy_set_header X-Scheme $scheme;
            proxy_pass http://frontends;
        }
    }
}
"""

FRONTEND = """
import sys
import framework.httpserver
import framework.ioloop
import framework.web

class Main(framework.web.RequestHandler):
    def get(self):
        self.write({"port": sys.argv[1], "ip": self.request.remote_ip, "scheme": self.request.protocol,
                    "host": self.request.host})

    def post(self):
        self.write(str(len(self.request.body)))

class Long(framework.web.RequestHandler):
    def get(self):
        self.set_header("Content-Type", "text/plain")
        self.write("x" * 5000)

class Slow(framework.web.RequestHandler):
    asked = 0

    @framework.web.asynchronous
    def get(self):
        Slow.asked += 1
        framework.ioloop.IOLoop.instance().call_later(2, self.finish, "slow")

class Asked(framework.web.RequestHandler):
    def get(self):
        self.write(str(Slow.asked))

application = framework.web.Application([(r"/", Main), (r"/long", Long), (r"/slow", Slow), (r"/asked", Asked)])
server = framework.httpserver.HTTPServer(application, xheaders=True, max_body_bytes=60_000_000)
server.listen(int(sys.argv[1]), "127.0.0.1")
framework.ioloop.IOLoop.instance().start()
"""


@pytest.fixture(scope="module")
def frontends(tmp_path_factory):
    """Ports of four frontends, and their processes."""
    with contextlib.ExitStack() as stack:
        started = {}
        for _ in range(4):
            port = free_port()
            started[port] = stack.enter_context(program(tmp_path_factory.mktemp("frontend"), FRONTEND, port))
        for port in started:
            wait_for_port(port)
        yield started


@contextlib.contextmanager
def nginx(folder, ports, read_timeout="200"):
    """The port of an nginx before the frontends on `ports`."""
    port = free_port()
    static = folder / "www" / "static"
    static.mkdir(parents=True)
    for name in ("favicon.ico", "robots.txt", "foo.css"):
        (static / name).write_text(name)
    folder.chmod(0o755)
    servers = "\n".join(f"        server 127.0.0.1:{one};" for one in ports)
    values = {"folder": folder, "servers": servers, "port": port, "read_timeout": read_timeout}
    # The worker may be another user, who has no business in the folder of a test.
    (folder / "nginx.conf").write_text("user root;\n" + CONFIGURATION % values)
    with subprocess.Popen(["/usr/sbin/nginx", "-c", str(folder / "nginx.conf"), "-p", str(folder)]) as process:
        try:
            wait_for_port(port)
            yield port
        finally:
            process.terminate()


@pytest.fixture(scope="module")
def port(frontends, tmp_path_factory):
    with nginx(tmp_path_factory.mktemp("nginx"), frontends) as port:
        yield port


def ask(port, target="/", **options):
    status, _, text = fetch(port, target, **options)
    assert status == 200, text
    return text


def test_item_115_117_requests_are_spread_over_the_frontends(port, frontends):
    answers = [ask(port) for _ in range(40)]
    assert {name for name in map(str, frontends) if any(name in answer for answer in answers)} == set(
        map(str, frontends)
    )


def test_item_116_121_client_scheme_and_host_arrive_and_can_not_be_spoofed(port):
    headers = {"X-Real-IP": "192.0.2.1", "X-Scheme": "https", "Host": f"squall.example:{port}"}
    answer = ask(port, headers=headers)
    assert '"ip": "127.0.0.1", "scheme": "http"' in answer
    assert f'"host": "squall.example:{port}"' in answer


def test_item_121_server_header_passes(port):
    assert fetch(port)[1]["Server"].startswith("Squall/")


@pytest.mark.parametrize("target", ["/favicon.ico", "/robots.txt"])
def test_item_118_icon_and_robots_come_from_the_static_folder(port, target):
    assert ask(port, target) == target[1:]


def test_item_076_address_with_a_version_is_kept_for_ever(port):
    assert "Expires" not in fetch(port, "/static/foo.css")[1]
    assert "2037" in fetch(port, "/static/foo.css?v=aae54")[1]["Expires"]


@pytest.mark.parametrize(("megabytes", "status"), [(49, 200), (51, 413)])
def test_item_118_upload_of_up_to_50_megabytes(port, megabytes, status):
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    with contextlib.closing(connection):
        connection.putrequest("POST", "/")
        connection.putheader("Content-Length", str(megabytes * 1024 * 1024))
        connection.endheaders()
        with contextlib.suppress(ConnectionError):  # refused while it is sent
            for _ in range(megabytes if status == 200 else 1):
                connection.send(b"x" * 1024 * 1024)
        response = connection.getresponse()
        assert response.status == status
        if status == 200:
            assert response.read() == b"%d" % (megabytes * 1024 * 1024)


def test_item_119_long_text_is_compressed(port):
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
    with contextlib.closing(connection):
        connection.request("GET", "/long", headers={"Accept-Encoding": "gzip"})
        response = connection.getresponse()
        assert response.headers["Content-Encoding"] == "gzip"
        assert gzip.decompress(response.read()) == b"x" * 5000


def test_item_120_request_that_times_out_is_not_tried_elsewhere(frontends, tmp_path):
    before = sum(int(ask(one, "/asked")) for one in frontends)
    with nginx(tmp_path, frontends, read_timeout="1") as port:
        assert fetch(port, "/slow")[0] == 504
    assert sum(int(ask(one, "/asked")) for one in frontends) == before + 1


def test_item_121_long_poll_survives(port):
    assert ask(port, "/slow") == "slow"


def test_item_120_killed_frontend_is_passed_over(tmp_path):
    with contextlib.ExitStack() as stack:
        started = {}
        for number in range(2):
            (tmp_path / str(number)).mkdir()
            one = free_port()
            started[one] = stack.enter_context(program(tmp_path / str(number), FRONTEND, one))
            wait_for_port(one)
        (tmp_path / "nginx").mkdir()
        port = stack.enter_context(nginx(tmp_path / "nginx", started))
        dead, alive = started
        started[dead].kill()
        started[dead].wait()
        assert all(str(alive) in ask(port) for _ in range(20))
