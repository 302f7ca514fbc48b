from framework.httpclient import HTTPClientError, HTTPError, HTTPRequest, HTTPResponse, HTTPTimeoutError


def test_error_says_code_and_message():
    assert str(HTTPError(404)) == "HTTP 404: Not Found"
    assert HTTPClientError is HTTPError


def test_timeout_says_what_and_where():
    error = HTTPTimeoutError("while connecting to a:80", 2.04, "connect_timeout=2")
    assert str(error) == "HTTP 599: timed out after 2.0 s while connecting to a:80 (connect_timeout=2)"


def test_error_of_a_response_knows_it():
    response = HTTPResponse(HTTPRequest("http://a/"), 503)
    assert response.error.response is response
