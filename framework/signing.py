"""Signed, expiring values: what a signed cookie carries.

Version 2, issued (byte-compatible with the cookies of Tornado 3.2.1 and later, so sessions survive a move):

    2|1:0|10:1300000000|4:user|8:Ym9i...|<hex HMAC-SHA256 of all that stands before it>
      key  timestamp    name   base64 value

Every field says its length, so nothing can be moved from one field to its neighbour.

Version 1 (Tornado 1.x: `base64|timestamp|hex HMAC-SHA1`) signs name, value and time without a delimiter: a cookie of
the name "a" can be presented as one of another name that its value begins with. It is read only where `min_version=1`
allows it, for the time of a migration, and written only when asked for by number.

Secrets come in three forms: one; a list (the first signs, all verify: the lines of COOKIE_SECRET_FILE); a mapping from
key version to secret (`key_version` signs, the version named in the value verifies).

Nothing here raises on what a client sent: a value is good or it is None.
"""

import binascii
import hmac
import time
from base64 import b64decode, b64encode
from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache

from framework.escape import utf8

type Secret = str | bytes
type Secrets = Secret | Sequence[Secret] | Mapping[int, Secret]

MIN_SUPPORTED_SIGNED_VALUE_VERSION = 1
MAX_SUPPORTED_SIGNED_VALUE_VERSION = 2
DEFAULT_SIGNED_VALUE_VERSION = 2
# Version 1 has the hole described above: whoever migrates asks for it.
DEFAULT_SIGNED_VALUE_MIN_VERSION = 2

_DAY_S = 86400
# Clocks differ by minutes, not by a month: a value from further ahead was made up (or its digits were moved).
_MAX_FUTURE_S = 31 * _DAY_S
# Far above any cookie (browsers keep 4096 bytes): bounds the work on a hostile header.
_MAX_VALUE_BYTES = 65536
# A browser sends the same cookie with every request: what was found for so many values, none longer, is remembered.
_MOST_KNOWN = 1024
_MAX_KNOWN_BYTES = 512


def create_signed_value(
    secret: Secrets,
    name: str,
    value: str | bytes,
    version: int | None = None,
    clock: Callable[[], float] | None = None,
    key_version: int | None = None,
) -> bytes:
    """The value with its name, time and key version under a signature, in characters a cookie may hold.

    Raises:
        ValueError: the version is unknown, or `secret` is a mapping and `key_version` is not one of its keys.
    """
    stamp = b"%d" % int((clock or time.time)())
    payload = b64encode(utf8(value))
    key = _signing_key(secret, key_version)
    if version is None or version == 2:
        fields = (b"%d" % (key_version or 0), stamp, name.encode(), payload)
        signed = b"2|" + b"".join(b"%d:%s|" % (len(field), field) for field in fields)
        return signed + _sign_v2(key, signed)
    if version == 1:
        return b"|".join((payload, stamp, _sign_v1(key, name, payload, stamp)))
    raise ValueError(f"signed value: expected version 1 or 2, got {version}")


def decode_signed_value(
    secret: Secrets,
    name: str,
    value: str | bytes | None,
    max_age_days: float = 31,
    clock: Callable[[], float] | None = None,
    min_version: int | None = None,
) -> bytes | None:
    """What was signed under this name at most `max_age_days` ago; None for anything else, garbage included.

    Raises:
        ValueError: `min_version` is not a version that exists.
    """
    if min_version is None:
        min_version = DEFAULT_SIGNED_VALUE_MIN_VERSION
    if not MIN_SUPPORTED_SIGNED_VALUE_VERSION <= min_version <= MAX_SUPPORTED_SIGNED_VALUE_VERSION:
        raise ValueError(f"signed value: expected min_version 1 or 2, got {min_version}")
    if not value:
        return None
    # A cookie that decoded to lone surrogates can't have been ours.
    raw = value.encode(errors="replace") if isinstance(value, str) else value
    if len(raw) > _MAX_VALUE_BYTES:
        return None
    if raw.startswith(b"2|"):
        found = _open_v2(secret, name, raw) if len(raw) > _MAX_KNOWN_BYTES else _open_known(secret, name, raw)
    elif min_version <= 1:
        found = _open_v1(secret, name, raw)
    else:
        return None
    if found is None:
        return None
    payload, stamp = found
    now = (clock or time.time)()
    if stamp < now - max_age_days * _DAY_S or stamp > now + _MAX_FUTURE_S:
        return None
    try:
        return b64decode(payload, validate=True)
    except binascii.Error:
        return None


def get_signature_key_version(value: str | bytes) -> int | None:
    """The key version that a version 2 value says it was signed with, unverified; None if it says none."""
    raw = value.encode(errors="replace") if isinstance(value, str) else value
    fields = _split_v2(raw[:_MAX_VALUE_BYTES]) if raw.startswith(b"2|") else None
    return _digits(fields[0]) if fields else None


def _signing_key(secret: Secrets, key_version: int | None) -> bytes:
    if isinstance(secret, str | bytes):
        return utf8(secret)
    if isinstance(secret, Mapping):
        if key_version is None or key_version not in secret:
            raise ValueError(f"signed value: key_version {key_version} is none of {sorted(secret)}")
        return utf8(secret[key_version])
    if not secret:
        raise ValueError("signed value: the list of secrets is empty")
    return utf8(secret[0])


def _verifying_keys(secret: Secrets, key_version: int) -> list[bytes]:
    """The keys that may have signed a value which names this key version."""
    if isinstance(secret, str | bytes):
        return [utf8(secret)]
    if isinstance(secret, Mapping):
        return [utf8(secret[key_version])] if key_version in secret else []
    return [utf8(one) for one in secret]


def _sign_v2(key: bytes, signed: bytes) -> bytes:
    return hmac.digest(key, signed, "sha256").hex().encode()


def _sign_v1(key: bytes, name: str, payload: bytes, stamp: bytes) -> bytes:
    return hmac.digest(key, name.encode() + payload + stamp, "sha1").hex().encode()


def _digits(raw: bytes) -> int | None:
    """A number of plain ASCII digits; int() would take "+1", "1_0" and surrounding blanks as well."""
    return int(raw) if raw.isdigit() and len(raw) <= 20 else None


def _split_v2(raw: bytes) -> tuple[bytes, bytes, bytes, bytes, int] | None:
    """Key version, timestamp, name, payload and where the signature begins; None if the fields do not add up."""
    fields: list[bytes] = []
    at = 2
    for _ in range(4):
        # A field's length has at most five digits: looking for the colon further on would be quadratic on garbage.
        colon = raw.find(b":", at, at + 6)
        size = _digits(raw[at:colon]) if colon > 0 else None
        if size is None:
            return None
        at = colon + 1 + size
        if raw[at : at + 1] != b"|":
            return None
        fields.append(raw[colon + 1 : at])
        at += 1
    return fields[0], fields[1], fields[2], fields[3], at


def _open_v2(secret: Secrets, name: str, raw: bytes) -> tuple[bytes, int] | None:
    """Payload and timestamp of a version 2 value whose signature and name hold."""
    fields = _split_v2(raw)
    if fields is None:
        return None
    version_field, stamp_field, name_field, payload, at = fields
    key_version, stamp = _digits(version_field), _digits(stamp_field)
    if key_version is None or stamp is None:
        return None
    signed, signature = raw[:at], raw[at:]
    keys = _verifying_keys(secret, key_version)
    if not any([hmac.compare_digest(_sign_v2(key, signed), signature) for key in keys]):
        return None
    return (payload, stamp) if name_field == name.encode() else None


def _open_known(secret: Secrets, name: str, raw: bytes) -> tuple[bytes, int] | None:
    """As _open_v2, which is asked once for each value. Whether it is too old is not decided here.

    A guess is looked up by its keyed hash, and all of it is compared only with what hashes alike: no prefix shows.
    """
    if isinstance(secret, Mapping):
        return _open_v2(secret, name, raw)
    return _open_once(secret if isinstance(secret, str | bytes) else tuple(secret), name, raw)


@lru_cache(_MOST_KNOWN)
def _open_once(secret: str | bytes | tuple[str | bytes, ...], name: str, raw: bytes) -> tuple[bytes, int] | None:
    return _open_v2(secret, name, raw)


def _open_v1(secret: Secrets, name: str, raw: bytes) -> tuple[bytes, int] | None:
    """Payload and timestamp of a version 1 value whose signature holds."""
    parts = raw.split(b"|", 3)
    if len(parts) != 3:
        return None
    payload, stamp_field, signature = parts
    stamp = _digits(stamp_field)
    # Without a delimiter digits of the payload's end could lead the timestamp: a true one has no leading zero.
    if stamp is None or stamp_field.startswith(b"0"):
        return None
    keys = list(map(utf8, secret.values())) if isinstance(secret, Mapping) else _verifying_keys(secret, 0)
    if not any([hmac.compare_digest(_sign_v1(key, name, payload, stamp_field), signature) for key in keys]):
        return None
    return payload, stamp
