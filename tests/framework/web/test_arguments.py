import pytest

from framework.testing import Client
from framework.web import Application, MissingArgumentError, RequestHandler


def answer(path, call, method="GET", **kwargs):
    class Handler(RequestHandler):
        def get(self):
            self.write({"found": call(self)})

        post = get

    response = Client(Application([("/", Handler)])).fetch(path, method, **kwargs)
    return response.json()["found"] if response.status == 200 else response.status


def test_item_016_get_argument_reads_query_and_body_text_stripped_last_wins():
    assert answer("/?a=1", lambda self: self.get_argument("a")) == "1"
    assert answer("/", lambda self: self.get_argument("a"), "POST", body={"a": "1"}) == "1"
    assert answer("/?a=1&a=2", lambda self: self.get_argument("a")) == "2"
    assert answer("/?a=1", lambda self: self.get_argument("a"), "POST", body={"a": "2"}) == "2"
    assert answer("/?a=%20x%00y%20", lambda self: self.get_argument("a")) == "x y"
    assert answer("/?a=%20x%20", lambda self: self.get_argument("a", strip=False)) == " x "
    assert answer("/?a=%C3%A9", lambda self: self.get_argument("a")) == "é"


def test_item_017_missing_argument_is_400_or_its_default():
    assert answer("/", lambda self: self.get_argument("a")) == 400
    assert answer("/", lambda self: self.get_argument("a", "d")) == "d"
    assert answer("/", lambda self: self.get_argument("a", None)) is None
    assert answer("/?a=%FF", lambda self: self.get_argument("a")) == 400


def test_item_018_get_arguments_gives_all():
    assert answer("/?a=1&b=2&a=3", lambda self: self.get_arguments("a"), "POST", body={"a": "4"}) == ["1", "3", "4"]
    assert answer("/", lambda self: self.get_arguments("a")) == []


def test_query_and_body_are_kept_apart():
    both = {"body": {"a": "body"}}
    assert answer("/?a=query", lambda self: self.get_query_argument("a"), "POST", **both) == "query"
    assert answer("/?a=query", lambda self: self.get_body_argument("a"), "POST", **both) == "body"
    assert answer("/?a=query", lambda self: self.get_query_arguments("a"), "POST", **both) == ["query"]
    assert answer("/?a=query", lambda self: self.get_body_arguments("a"), "POST", **both) == ["body"]
    assert answer("/?a=query", lambda self: self.get_body_argument("a", "d")) == "d"
    assert answer("/", lambda self: self.get_query_argument("a"), "POST", **both) == 400


def test_missing_argument_says_its_name():
    def call(self):
        with pytest.raises(MissingArgumentError) as caught:
            self.get_argument("a")
        return caught.value.arg_name

    assert answer("/", call) == "a"


def test_too_many_arguments_are_400_and_not_a_stalled_loop():
    """GHSA-mpf4-983q-p7j4: bodies and queries were taken apart without a limit on the number of fields."""
    assert answer("/?" + "a&" * 20_000, lambda self: self.get_argument("b", "")) == 400
    body = "&".join(f"a{number}=1" for number in range(20_000))
    form = {"Content-Type": "application/x-www-form-urlencoded"}
    assert answer("/", lambda self: self.get_argument("b", ""), "POST", body=body, headers=form) == 400


def test_decode_argument_can_be_overridden_for_arguments_and_path():
    class Handler(RequestHandler):
        def decode_argument(self, value, name=None):
            return f"{name}:{value.decode('latin-1')}"

        def get(self, part):
            self.write(part + " " + self.get_argument("a"))

    response = Client(Application([("/(.*)", Handler)])).fetch("/x%FF?a=%E9")
    assert response.text == "None:xÿ a:é"


@pytest.mark.parametrize(
    ("kind", "body", "expected"),
    [
        ("application/json", '{"a": [1, "é"]}', {"a": [1, "é"]}),
        ("Application/JSON; charset=utf-8", "null", None),
        ("application/merge-patch+json", "1", 1),
        ("text/plain", "{}", 415),
        ("application/x-www-form-urlencoded", "{}", 415),
        ("application/json", "{", 400),
        ("application/json", "", 400),
        ("application/json", b"\xff", 400),
        ("application/json", "[" * 100_000, 400),
    ],
)
def test_json_bodies(kind, body, expected):
    found = answer("/", lambda self: self.get_json(), "POST", body=body, headers={"Content-Type": kind})
    assert found == expected
