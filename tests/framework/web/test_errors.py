from framework.web.errors import Finish, HTTPError, MissingArgumentError


def test_error_says_status_phrase_and_message():
    assert str(HTTPError(403)) == "HTTP 403: Forbidden"
    assert str(HTTPError(403, "no %s for %s", "entry", "bob")) == "HTTP 403: Forbidden (no entry for bob)"
    assert str(HTTPError(403, reason="Not you")) == "HTTP 403: Not you"
    assert str(HTTPError(999)) == "HTTP 999: Unknown"


def test_message_without_arguments_is_taken_as_it_is():
    assert HTTPError(400, "100% of %s").get_message() == "100% of %s"
    assert HTTPError(400).get_message() == ""


def test_error_is_a_500_unless_told_otherwise():
    assert HTTPError().status_code == 500


def test_missing_argument_is_a_400_with_its_name():
    error = MissingArgumentError("100%s")
    assert error.status_code == 400
    assert error.arg_name == "100%s"
    assert str(error) == "HTTP 400: Bad Request (Missing argument 100%s)"


def test_finish_holds_the_last_of_the_answer():
    assert Finish("x").args == ("x",)
