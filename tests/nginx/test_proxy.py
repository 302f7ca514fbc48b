"""What reaches a frontend, and what becomes of a request when one does not answer."""

import http.client
import json
import re

import pytest

from tests.support.front import Front

SPOOFED = {
    "X-Real-IP": "6.6.6.6",
    "X-Forwarded-For": "6.6.6.6",
    "X-Forwarded-Proto": "https",
    "X-Scheme": "https",
    "X-Forwarded-Host": "evil.example",
    "Forwarded": "for=6.6.6.6",
    "Proxy": "http://evil.example",
    "X-Original-URL": "/admin",
    "X-Rewrite-URL": "/admin",
}


def test_headers_about_the_client_are_overwritten(front: Front) -> None:
    frontend = front.frontend(0)
    assert front.ask("/", headers=SPOOFED).status == 200
    head = frontend.heads[0].decode()
    assert "6.6.6.6" not in head
    assert "evil.example" not in head
    assert "/admin" not in head
    assert "X-Real-IP: 127.0.0.1\r\n" in head
    assert "X-Forwarded-For: 127.0.0.1\r\n" in head
    assert "X-Scheme: http\r\n" in head


def test_headers_with_underscores_do_not_pass(front: Front) -> None:
    frontend = front.frontend(0)
    front.ask("/", headers={"X_Real_IP": "6.6.6.6"})
    assert b"6.6.6.6" not in frontend.heads[0]


@pytest.mark.parametrize("given", ["abcdef0123456789", "a.b-c_d1"])
def test_request_id_that_is_sane_is_kept(front: Front, given: str) -> None:
    frontend = front.frontend(0)
    assert front.ask("/", headers={"X-Request-ID": given}).headers["x-request-id"] == given
    assert f"X-Request-ID: {given}\r\n".encode() in frontend.heads[0]


@pytest.mark.parametrize("given", ["<script>alert(1)</script>", "short", "x" * 65, "with space 1234"])
def test_request_id_that_is_not_is_replaced(front: Front, given: str) -> None:
    front.frontend(0)
    answered = front.ask("/", headers={"X-Request-ID": given}).headers["x-request-id"]
    assert answered != given
    assert is_own_request_id(answered)


def test_each_request_has_its_own_id(front: Front) -> None:
    frontend = front.frontend(0)
    connection = http.client.HTTPConnection("127.0.0.1", front.port, timeout=10)
    names = [front.ask("/").headers["x-request-id"]]
    for _ in range(3):
        connection.request("GET", "/")
        response = connection.getresponse()
        response.read()
        names.append(response.headers["X-Request-ID"])
    connection.close()
    assert all(map(is_own_request_id, names)) and len(set(names)) == 4
    # The first part is nginx's, the second the connection's.
    assert len({name.rpartition("-")[0] for name in names}) == 2 and len({name[:16] for name in names}) == 1
    assert all(f"X-Request-ID: {name}\r\n".encode() in head for name, head in zip(names, frontend.heads, strict=True))


def is_own_request_id(name: str) -> bool:
    return re.fullmatch("[0-9a-f]{16}-[0-9]+-[0-9]+", name) is not None


def test_host_keeps_its_port(front: Front) -> None:
    frontend = front.frontend(0)
    front.ask("/", headers={"Host": f"squall.example:{front.port}"})
    assert f"Host: squall.example:{front.port}\r\n".encode() in frontend.heads[0]


def test_release_is_not_shown_to_clients(front: Front) -> None:
    front.frontend(0)
    assert "x-release" not in front.ask("/").headers


@pytest.mark.parametrize("method", ["GET", "POST"])
def test_dead_slot_is_passed_over(front: Front, method: str) -> None:
    frontend = front.frontend(1)
    for _ in range(20):
        assert front.ask("/", method, body=b"x=1" if method == "POST" else None).status == 200
    assert len(frontend.heads) == 20


def test_post_that_was_sent_is_not_sent_again(front: Front) -> None:
    # Both take the request and hang up: the first may have acted on it.
    frontends = [front.frontend(slot, lambda head: b"") for slot in (0, 1)]
    for frontend in frontends:
        frontend.hang_up = True
    answer = front.ask("/", "POST", body=b"x=1")
    assert answer.status == 503
    assert sum(len(frontend.heads) for frontend in frontends) == 1


@pytest.mark.parametrize("method", ["GET", "POST", "DELETE"])
def test_everyone_away_gives_a_page_and_when_to_try_again(front: Front, method: str) -> None:
    answer = front.ask("/entries", method)
    assert answer.status == 503
    assert answer.headers["retry-after"] == "2"
    assert answer.headers["cache-control"] == "no-store"
    assert answer.headers["x-request-id"]
    assert "One moment" in answer.body


def test_everyone_away_gives_json_to_programs(front: Front) -> None:
    answer = front.ask("/", headers={"Accept": "application/json"})
    assert answer.status == 503
    assert json.loads(answer.body) == {"error": "unavailable", "retry_after_s": 2}


def test_error_pages_of_the_application_pass(front: Front) -> None:
    front.frontend(0, lambda head: b"HTTP/1.1 503 Busy\r\nRetry-After: 9\r\nContent-Length: 4\r\n\r\nbusy")
    answer = front.ask("/")
    assert (answer.status, answer.headers["retry-after"], answer.body) == (503, "9", "busy")


def test_body_that_is_too_large(front: Front) -> None:
    front.frontend(0)
    assert front.ask("/", "POST", headers={"Content-Length": str(33 * 1024 * 1024)}).status == 413


def test_trusted_proxy_is_believed(front: Front) -> None:
    frontend = front.frontend(0)
    headers = {"X-Forwarded-For": "203.0.113.9", "X-Forwarded-Proto": "https"}
    assert front.ask("/", headers=headers, source="127.0.0.2").status == 200
    head = frontend.heads[0].decode()
    assert "X-Real-IP: 203.0.113.9\r\n" in head
    assert "X-Scheme: https\r\n" in head


def test_access_log_is_one_json_object_per_line(front: Front) -> None:
    front.frontend(0)
    front.ask("/entries?token=secret", headers={"User-Agent": 'quote " and \\'})
    line = json.loads(front.read_log())
    assert line["uri"] == "/entries"
    assert line["st"] == 200
    assert line["ua"] == 'quote " and \\'
    assert "secret" not in json.dumps(line)
