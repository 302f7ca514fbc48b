import pytest

from framework.request import HTTPRequest
from framework.web.routing import (
    AnyMatches,
    HostMatches,
    Matcher,
    ReverseError,
    RouteTable,
    Rule,
    URLSpec,
    decode_group,
    literal_start,
    reverse_pattern,
    url,
)


class A:
    pass


class B(A):
    pass


def find(table, path, host="example.com"):
    return table.find(HTTPRequest("GET", path, headers={"Host": host}))


@pytest.mark.parametrize(
    ("pattern", "literal"),
    [
        ("/", "/"),
        ("/story/([0-9]+)", "/story/"),
        ("^/story/([0-9]+)$", "/story/"),
        (r"/a\.b", "/a.b"),
        (r"/a\d", "/a"),
        ("/ab?c", "/a"),
        ("/ab*", "/a"),
        ("/a{2}", "/"),
        ("/a|/b", ""),
        ("/(a|b)", "/"),
        ("/[|]x|y", ""),
        ("/[|]x", "/"),
        (r"/\|x", "/|x"),
        ("(?i)/a", ""),
        (".*", ""),
        ("", ""),
        ("/x[)]|y", ""),
    ],
)
def test_literal_start_is_what_every_match_begins_with(pattern, literal):
    assert literal_start(pattern) == literal


def test_first_rule_in_the_table_wins():
    table = RouteTable([("/x/special", A), ("/x/(.*)", B), ("/(.*)", A)])
    assert find(table, "/x/special").target is A
    assert find(table, "/x/other") == (B, {}, ("other",), {})
    assert find(table, "/other").target is A
    assert RouteTable([("/(.*)", B), ("/x", A)]).find(HTTPRequest("GET", "/x")).target is B


def test_whole_path_must_match():
    table = RouteTable([("/a|/b", A)])
    assert find(table, "/a") and find(table, "/b")
    assert find(table, "/ax") is None and find(table, "/xb") is None


def test_named_groups_are_keywords_others_positional():
    table = RouteTable([(r"/(\w+)/(\d+)?", A), (r"/n/(?P<x>\w+)/(\w+)", B)])
    assert find(table, "/u/").args == ("u", None)
    assert find(table, "/n/1/y") == (B, {}, (), {"x": "1"})


def test_names_reverse():
    table = RouteTable([url(r"/story/([0-9]+)", A, {}, "story"), (r"/x/(\d+)/(?P<y>.*)", A, {}, "two")])
    assert table.reverse("story", 12) == "/story/12"
    assert table.reverse("two", 1, y="a b/c") == "/x/1/a%20b/c"
    with pytest.raises(KeyError, match="other not found"):
        table.reverse("other")


@pytest.mark.parametrize(
    ("pattern", "args", "path"),
    [
        (r"/([0-9]+)/([a-z]+)/$", (2011, "ab"), "/2011/ab/"),
        (r"^/a\.b/(.*)", ("é&",), "/a.b/%C3%A9%26"),
        (r"/([^/()]+)", (b"x",), "/x"),
        (r"/(.*)", ("/evil.example",), "/%2Fevil.example"),
        (r"/(.*)", ("\\evil.example",), "/%5Cevil.example"),
        (r"/", (), "/"),
    ],
)
def test_pattern_is_reversed(pattern, args, path):
    assert reverse_pattern(pattern, args, {}) == path


@pytest.mark.parametrize(
    ("pattern", "args"),
    [(r"/.*", ()), (r"/(a)?", ("a",)), (r"/(?:a)", ()), (r"/((a)b)", ("a", "b")), (r"/(a)", ()), (r"/a", ("b",))],
)
def test_pattern_that_is_not_simple_is_refused(pattern, args):
    with pytest.raises(ReverseError):
        reverse_pattern(pattern, args, {})


def test_nested_tables_and_hosts():
    table = RouteTable(
        [
            (HostMatches(r"api\.example\.com"), [("/v1", A, {}, "v1")]),
            ("/sub/.*", [("/sub/a", B), ("/sub/(b)", A)]),
            (AnyMatches(), B),
        ]
    )
    assert find(table, "/v1", "api.example.com:8080").target is A
    assert find(table, "/v1", "API.EXAMPLE.COM").target is A
    assert find(table, "/v1").target is B
    assert find(table, "/sub/b").args == ("b",)
    assert table.reverse("v1") == "/v1"
    assert not table.is_by_path


def test_own_matcher_decides_by_anything():
    class Posts(Matcher):
        def match(self, request):
            return ((), {}) if request.method == "POST" else None

    table = RouteTable([Rule(Posts(), A), ("/", B)])
    assert table.find(HTTPRequest("POST", "/")).target is A
    assert table.find(HTTPRequest("GET", "/")).target is B


def test_target_by_dotted_name_is_imported_when_used():
    table = RouteTable([("/", "framework.web.builtin.ErrorHandler", {"status_code": 410})])
    assert find(table, "/").target.__name__ == "ErrorHandler"
    assert RouteTable([("/", "no.such.module")]).find(HTTPRequest("GET", "/x")) is None


def test_groups_are_decoded():
    assert decode_group("a%20b%2Fc+d") == "a b/c+d"
    assert decode_group("%C3%A9") == "é"
    assert decode_group(None) is None
    with pytest.raises(UnicodeDecodeError):
        decode_group("%FF")


def test_row_of_another_shape_is_refused():
    for row in ("/", ("/",), ("/", A, {}, "n", 1), 5):
        with pytest.raises(TypeError):
            RouteTable([row])


@pytest.mark.parametrize(
    ("row", "kind", "message"),
    [(("/(", A), ValueError, r"route '/\(': missing \)"), ((A, "/"), TypeError, "expected a pattern, got <class")],
)
def test_row_that_is_no_pattern_is_named(row, kind, message):
    with pytest.raises(kind, match=message):
        RouteTable([row])


def test_search_meets_few_of_many_patterns():
    """A thousand routes cost what one costs: none is tried that can't match."""
    tried = []

    class Counting(URLSpec):
        def __init__(self, pattern):
            super().__init__(pattern, A)
            match = self.matcher.match
            self.matcher.match = lambda request: tried.append(pattern) or match(request)

    table = RouteTable([Counting(rf"/kind{number}/(\d+)") for number in range(1000)])
    assert find(table, "/kind999/5").args == ("5",)
    assert len(tried) <= 4
