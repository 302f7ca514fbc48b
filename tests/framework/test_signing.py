import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from framework.signing import create_signed_value, decode_signed_value, get_signature_key_version

SECRET = "61oETzKXQAGaYdkL5gEmGeJJFuYh7EQnp2XdTP1o/Vo="
DAY_S = 86400


def at(seconds):
    return lambda: seconds


# Made with Tornado 6.6.1 from SECRET, "user", "Bjørn" at 1300000000: a migration of sessions depends on the bytes.
GOLDEN_V2 = b"2|1:0|10:1300000000|4:user|8:QmrDuHJu|06f46adcc503eb58c53143ca53c868dcac7b543230efbbebe0b68066f4463e0b"
GOLDEN_V2_KEY_7 = (
    b"2|1:7|10:1300000000|4:user|8:QmrDuHJu|3d8993fd07a5bf1b2b044ef1d9d0c874e7757011eb035fcf4a5189b92ea52c61"
)
GOLDEN_V1 = b"QmrDuHJu|1300000000|72849f821c374fa6ecb347fa0b3c93b8879cf12c"


def test_bytes_are_those_of_tornado():
    now = at(1300000000)
    assert create_signed_value(SECRET, "user", "Bjørn", clock=now) == GOLDEN_V2
    assert create_signed_value({7: SECRET}, "user", "Bjørn", clock=now, key_version=7) == GOLDEN_V2_KEY_7
    assert create_signed_value(SECRET, "user", "Bjørn", version=1, clock=now) == GOLDEN_V1
    for golden in (GOLDEN_V2, GOLDEN_V2_KEY_7, GOLDEN_V1):
        assert decode_signed_value(SECRET, "user", golden, clock=now, min_version=1) == "Bjørn".encode()


def test_value_signed_is_read_back():
    signed = create_signed_value(SECRET, "user", "Bob")
    assert decode_signed_value(SECRET, "user", signed) == b"Bob"
    assert decode_signed_value(SECRET, "user", signed.decode()) == b"Bob"


def test_version_2_is_issued_with_lengths():
    signed = create_signed_value("", "key", "value", clock=at(1300000000))
    assert signed.startswith(b"2|1:0|10:1300000000|3:key|8:dmFsdWU=|")
    assert len(signed.rpartition(b"|")[2]) == 64


def test_other_name_secret_or_signature_is_none():
    signed = create_signed_value(SECRET, "user", "Bob")
    assert decode_signed_value(SECRET, "admin", signed) is None
    assert decode_signed_value("other", "user", signed) is None
    assert decode_signed_value(SECRET, "user", signed[:-1] + (b"0" if signed[-1:] != b"0" else b"1")) is None
    assert decode_signed_value(SECRET, "user", signed[:-1]) is None
    assert decode_signed_value(SECRET, "user", None) is None
    assert decode_signed_value(SECRET, "user", "") is None


@pytest.mark.parametrize(("age_days", "is_good"), [(0, True), (30.9, True), (31.1, False), (-30, True), (-32, False)])
@pytest.mark.parametrize("version", [1, 2])
def test_old_and_future_values_are_none(age_days, is_good, version):
    signed = create_signed_value(SECRET, "user", "Bob", version=version, clock=at(1300000000))
    now = at(1300000000 + age_days * DAY_S)
    assert decode_signed_value(SECRET, "user", signed, clock=now, min_version=1) == (b"Bob" if is_good else None)


@pytest.mark.parametrize("secret", [SECRET, [SECRET, "another"], {7: SECRET}])
def test_value_read_before_is_judged_anew(secret):
    """What is remembered of a value is its signature, for this name and these secrets; never that it was young."""
    value = create_signed_value(secret, "user", "x", clock=at(1300000000), key_version=7)
    for _ in range(2):
        assert decode_signed_value(secret, "user", value, clock=at(1300000000 + DAY_S)) == b"x"
        assert decode_signed_value(secret, "user", value, clock=at(1300000000 + 32 * DAY_S)) is None
        assert decode_signed_value(secret, "admin", value, clock=at(1300000000)) is None
        assert decode_signed_value("another", "user", value, clock=at(1300000000)) is None
        assert decode_signed_value(secret, "user", value[:-1] + b"?", clock=at(1300000000)) is None
    if isinstance(secret, list):
        # A secret taken out of the list is out at once.
        secret.remove(SECRET)
        assert decode_signed_value(secret, "user", value, clock=at(1300000000)) is None


def test_version_1_is_read_only_when_allowed():
    signed = create_signed_value(SECRET, "user", "Bob", version=1)
    assert signed.count(b"|") == 2
    assert decode_signed_value(SECRET, "user", signed) is None
    assert decode_signed_value(SECRET, "user", signed, min_version=1) == b"Bob"


def test_version_1_digits_moved_between_fields_are_none():
    """The hole of 2014 (fixed upstream in 3.2.1): payload digits moved to the timestamp keep the signature whole."""
    for payload in (b"1234", b"12345678", b"\xd7m\xf8\xe7\xae\xfc\xd3M5\xd7"):
        signed = create_signed_value(SECRET, "key", payload, version=1, clock=at(1300000000))
        value, stamp, signature = signed.split(b"|")
        for size in (1, 2, 4, 8):
            moved = b"|".join((value[:-size], value[-size:] + stamp, signature))
            assert decode_signed_value(SECRET, "key", moved, clock=at(1300000000), min_version=1) is None
            moved = b"|".join((value + stamp[:size], stamp[size:], signature))
            assert decode_signed_value(SECRET, "key", moved, clock=at(1300000000), min_version=1) is None


def test_version_2_name_prefix_confusion_is_none():
    signed = create_signed_value(SECRET, "use", "rBob")
    assert decode_signed_value(SECRET, "user", signed) is None
    assert decode_signed_value(SECRET, "us", signed) is None


def test_list_of_secrets_first_signs_all_verify():
    old = create_signed_value("old", "user", "Bob")
    new = create_signed_value(["new", "old"], "user", "Bob")
    assert decode_signed_value(["new", "old"], "user", old) == b"Bob"
    assert decode_signed_value("new", "user", new) == b"Bob"
    assert decode_signed_value(["new"], "user", old) is None


def test_mapping_of_secrets_signs_by_key_version():
    secrets = {1: "one", 2: b"two"}
    signed = create_signed_value(secrets, "user", "Bob", key_version=2)
    assert get_signature_key_version(signed) == 2
    assert decode_signed_value(secrets, "user", signed) == b"Bob"
    assert decode_signed_value({1: "one"}, "user", signed) is None
    assert decode_signed_value({2: "other"}, "user", signed) is None
    with pytest.raises(ValueError, match="key_version"):
        create_signed_value(secrets, "user", "Bob", key_version=3)


def test_unknown_versions_are_refused():
    with pytest.raises(ValueError, match="version"):
        create_signed_value(SECRET, "user", "Bob", version=3)
    with pytest.raises(ValueError, match="min_version"):
        decode_signed_value(SECRET, "user", "x", min_version=3)


def test_non_ascii_digits_in_lengths_are_none():
    signed = create_signed_value(SECRET, "user", "Bob").decode()
    for damaged in (
        signed.replace("|1:0|", "|+1:0|", 1),
        signed.replace("|1:0|", "|1_:0|", 1),
        signed.replace("|1:0|", "|١:0|", 1),
        signed.replace("|1:0|", "| 1:0|", 1),
    ):
        assert decode_signed_value(SECRET, "user", damaged) is None


SIGNED = create_signed_value(SECRET, "user", "Bob", version=2)
SIGNED_V1 = create_signed_value(SECRET, "user", "Bob", version=1)


@settings(max_examples=300, deadline=None)
@given(st.one_of(st.text(), st.binary(), st.from_regex(r"[12]\|[0-9:|a-zA-Z=]*", fullmatch=True)))
def test_garbage_is_none_never_an_exception(value):
    assert decode_signed_value(SECRET, "user", value, min_version=1) is None
    get_signature_key_version(value)


@settings(max_examples=300, deadline=None)
@given(st.sampled_from([SIGNED, SIGNED_V1]), st.data())
def test_changed_value_is_none(signed, data):
    at = data.draw(st.integers(0, len(signed) - 1))
    byte = data.draw(st.binary(min_size=0, max_size=3))
    changed = signed[:at] + byte + signed[at + 1 :]
    if changed != signed:
        assert decode_signed_value(SECRET, "user", changed, min_version=1) is None


@settings(max_examples=100, deadline=None)
@given(st.binary(max_size=200), st.text(st.characters(codec="utf-8"), max_size=20))
def test_every_value_comes_back(value, name):
    signed = create_signed_value(SECRET, name, value)
    assert decode_signed_value(SECRET, name, signed) == value
