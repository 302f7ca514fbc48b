"""Answers of foreign applications are counted and logged."""

import logging

from framework import metrics
from framework.foreign import Foreign
from framework.log import AccessLog
from framework.request import HTTPRequest
from tests.support.asgi import answering, ask, get, run


def test_answers_are_counted_and_logged(caplog):
    with caplog.at_level(logging.INFO, "framework.access"):
        run(answering(204), lambda port: ask(port, get("/logged")))
    assert "204 GET /logged (127.0.0.1)" in caplog.text


def test_line_of_the_access_log_has_the_request_s_id():
    lines = []
    foreign = Foreign("Shop")
    foreign.access_log = AccessLog(lines.append, lambda flush: None, "json")
    foreign.record(HTTPRequest("GET", "/", headers={"X-Request-ID": "abc-1", "X-Request-Start": "t=1.0"}), 204)
    foreign.access_log.close()
    assert '"status": 204' in lines[0] and '"request_id": "abc-1"' in lines[0]
    assert 'http_requests_total{route="Shop",status="204"}' in metrics.read_all()
