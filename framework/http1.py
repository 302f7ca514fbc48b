"""HTTP/1.1 requests from bytes (RFC 9112): heads and bodies, as values. Knows no socket, clock or loop.

A head is checked by **one** pattern, from the first byte to the empty line. It accepts exactly what the grammar allows,
minus what has ever been a smuggling door (obs-fold, bare CR or LF, space before the colon, several Hosts …) and minus
what nginx refuses: a request must end at the same byte for everyone who reads it. Only if the pattern says no is the
head gone through line by line, to find out what is wrong with it, or that it is not all there yet.

All repetitions in the pattern are possessive: it never goes back, so it is linear in the length of the head.

What lost: a parser per header line (each costs a Python call), and llhttp (a callback per header costs even more).
"""

import re

from framework.errors import ProtocolError
from framework.httputil import decode_text

# RFC 9110 §5.6.2, as the inside of a character class; then the same without the initials of the fields we look at.
_TCHAR = rb"!#$%&'*+\-.^_`|~0-9A-Za-z"
_PLAIN_INITIAL = rb"!#$%&'*+\-.^_`|~0-9ABDFGI-SV-Zabdfgi-sv-z"
# nginx takes no others; a method in small letters is a typing error or an attack. RFC 9112 §3: too long is a 501.
_METHOD = rb"[A-Z][A-Z_\-]{0,31}+"
# Raw UTF-8 and the characters browsers fail to encode are taken as nginx takes them; "#" never belongs into a request.
_TARGET = rb"[!\"$-~\x80-\xff]++"
_FIELD_VALUE = rb"[\t -~\x80-\xff]*+"
# No empty label: nginx refuses "a..b" and ".", and a Host without a name.
_LABEL = rb"[A-Za-z0-9\-_~!$&'()*+,;=%]++"
_HOST = rb"(?:" + _LABEL + rb"(?:\." + _LABEL + rb")*+\.?+|\[[0-9A-Fa-f:.]++\])(?::[0-9]{0,5}+)?+"


def _any_case(*names: str) -> bytes:
    """A pattern for any of `names` in any case; (?i:…) would make the engine fold each character it meets."""
    folded = ("".join(f"[{c.upper()}{c}]" if c.isalpha() else re.escape(c) for c in name) for name in names)
    return "|".join(folded).encode()


# The fields that decide where the request ends and what becomes of the connection.
_FRAMING_NAMES = "connection", "content-length", "transfer-encoding", "expect"
_FRAMING = _any_case(*_FRAMING_NAMES)
# RFC 9110 allows tabs around a value, too, but nginx takes them for a part of it and refuses such a host or length.
_HOST_LINE = rb"(?:" + _any_case("host") + rb"):[ ]*+(" + _HOST + rb")[ ]*+\r\n"
# The alternatives of a line, commonest first. None captures anything: a group that is tried and given up inside a
# possessive repetition keeps half of its span (CPython 3.13: "SystemError: The span of capturing group is wrong").
_NOT_HOST = rb"(?!" + _any_case("host") + rb":)"
_LINE = rb"[" + _PLAIN_INITIAL + rb"][" + _TCHAR + rb"]*+:" + _FIELD_VALUE + rb"\r\n"
_LINES = rb"(?:" + _LINE + rb"|" + _NOT_HOST + rb"[" + _TCHAR + rb"]++:" + _FIELD_VALUE + rb"\r\n)*+"
_VERSION = rb"HTTP/1\.([0-9])"
_START_LINE = rb"((" + _METHOD + rb") (" + _TARGET + rb") " + _VERSION + rb")\r\n"

match_head = re.compile(_START_LINE + _LINES + rb"(?:" + _HOST_LINE + _LINES + rb")?\r\n").match
"""Matches one whole valid head at a position. Groups: start line, method, target, minor version, Host or None."""

# What most heads are: no field says anything new about framing, the connection or the client, nor sets a condition.
_SPECIAL = *_FRAMING_NAMES, "host", "x-real-ip", "x-scheme", "x-request-id", "x-request-start"
_REST = rb"[" + _TCHAR + rb"]*+:" + _FIELD_VALUE + rb"\r\n"
# The repetition has an end, so that plain heads are within the usual limit of header lines without counting them.
_MOST_LINES = 64


def _plain_lines(special: tuple[str, ...], others: bytes = b"") -> bytes:
    """A pattern for lines of fields that are none of `special`; `others` is one more alternative, tried early.

    Each alternative begins with a character or a set, which the engine looks at before it tries: the end of the head,
    where none fits, would cost a third of a small head otherwise. The sets are made for `special`: a name with another
    initial must move that from the first of them to the last but one.
    """
    # An initial of one with the rest of another ("Cost:") is not plain either, and goes the long way.
    tails = _any_case(*(name[1:] for name in special))
    return (
        (rb"(?:[ABDFGJ-SU-WYZabdfgj-su-wyz!#$%&'*+\-.^_`|~0-9]" + _REST)
        + (rb"|[Cc](?:ookie:" + _FIELD_VALUE + rb"\r\n|ontent-[Tt]ype:" + _FIELD_VALUE + rb"\r\n")
        + (rb"|onnection: [Kk]eep-[Aa]live\r\n|[A-NP-Za-np-z]" + _REST + rb")" + others)
        + (rb"|[CEHTXcehtx](?!(?:" + tails + rb"):)" + _REST + rb"|[Ii](?![Ff]-)" + _REST)
        + rb"){0,%d}+" % _MOST_LINES
    )


_PLAIN_LINES = _plain_lines(_SPECIAL, rb"|X-F" + _REST)
_DIRECT_LINES = _plain_lines((*_SPECIAL, "x-forwarded-for", "x-forwarded-proto"))
MOST_PLAIN_FIELDS = 3 * _MOST_LINES + 8
"""Header lines that a head can have at most which the patterns below match."""
# What stands in this group is looked up among what was valid before.
_KNOWN = rb"([^\r]++\r\n[Hh]ost: [^\r]++)\r\n"
# What our nginx puts next (nginx/snippets/proxy.conf).
_PROXIED = (
    (rb"X-Request-ID: ([A-Za-z0-9_.\-]{1,64})\r\nX-Request-Start: ([t=0-9.]{1,32})\r\n")
    + (rb"X-Real-IP: ([0-9A-Fa-f.:]{2,45})\r\nX-Forwarded-For: " + _FIELD_VALUE + rb"\r\n")
    + (rb"X-Forwarded-Proto: https?\r\nX-Scheme: (https?)\r\n")
)
_LENGTH = rb"[Cc]ontent-[Ll]ength: ([0-9]{1,9})\r\n"


def _end(lines: bytes) -> bytes:
    """A pattern for the end of a head, or for a length, these lines, the end and a body."""
    return rb"(?:\r\n|" + _LENGTH.replace(b"(", b"(?P<length>") + lines + rb"\r\n(?P<body>.*+))"


def _rest(lines: bytes) -> bytes:
    """A pattern for the end of a head, or for these lines.

    The end is tried first: to begin a repetition that has nothing to repeat costs 1 % of a small answer.
    """
    return rb"(?:\r\n|" + lines + rb")"


match_plain_request = re.compile(_KNOWN + _rest(_PLAIN_LINES + _end(_PLAIN_LINES)), re.DOTALL).fullmatch
"""Matches a head whose start line and Host, its first group, are not checked: for those that were valid before. All
other lines are valid, leave nothing for `Framing` to say, and are no condition (If-…) nor what a proxy says.
Nothing follows the head, unless it has a Content-Length (group `length`); what follows then is in group `body`."""
match_believed_request = re.compile(
    _KNOWN + _rest(rb"(?:" + _PROXIED + _PLAIN_LINES + rb"|" + _DIRECT_LINES + rb")" + _end(_DIRECT_LINES)), re.DOTALL
).fullmatch
"""As match_plain_request, with groups 2 to 5 for what our nginx says: request id and start, client, scheme. Where they
are None, the head has nothing of a proxy at all."""
match_plain_head = re.compile(_KNOWN + _PLAIN_LINES + rb"\r\n").match
"""As match_plain_request, if the head has no Content-Length; anything may follow."""
match_direct_head = re.compile(_KNOWN + _DIRECT_LINES + rb"\r\n").match
"""As match_plain_head, if the head has nothing of a proxy at all."""
_HOST_VALUE = rb"[Hh]ost: ([^\r]++)\r\n"
match_late_host_head = re.compile(
    (rb"([^\r]++)\r\n(?!" + _any_case("host") + rb":)" + _PLAIN_LINES + rb"(?:" + _HOST_VALUE + _PLAIN_LINES + rb"(?:")
    + (_LENGTH + _PLAIN_LINES + rb")?|" + _LENGTH + _PLAIN_LINES + _HOST_VALUE + _PLAIN_LINES + rb")\r\n")
).match
"""As match_plain_head, with or without a Content-Length, where Host is not the first field. Groups: start line; Host
and length (or None); or, if the length comes first, length and Host."""

_VERSION_BEGUN = rb"(?:H(?:T(?:T(?:P(?:/(?:[0-9](?:\.(?:[0-9]\r?+)?+)?+)?+)?+)?+)?+)?+)?+"
_REQUEST_LINE_BEGUN = re.compile(rb"([A-Z][A-Z_\-]*+)(?: ([!\"$-~\x80-\xff]*+)(?: " + _VERSION_BEGUN + rb")?)?")
_REQUEST_LINE_OTHER_VERSION = re.compile(rb"[A-Z_\-]++ [^ ]++ HTTP/[02-9]\.[0-9]")
_FIELD_LINE = re.compile(rb"[" + _TCHAR + rb"]++:" + _FIELD_VALUE)
_HOST_FIELD = re.compile(rb"(?:" + _any_case("host") + rb"):")
_VALID_HOST_FIELD = re.compile(_HOST_LINE[: -len(rb"\r\n")])
_FRAMING_FIELD = re.compile(rb"\n(" + _FRAMING + rb"):[ ]*+([^\r]*+)")

valid_host = re.compile(_HOST).fullmatch
"""Matches the value of a Host field that may be believed (RFC 9110 §7.2, and what nginx asks beyond it)."""


_MAX_EMPTY_LINES = 32


class HeadReader:
    """Why `match_head` did not match: the head is not all there, or not valid. Remembers the lines it has seen.

    A head that arrives in small pieces costs one look per line that way, and not one match of all of it per piece.
    """

    __slots__ = ("_empty_lines", "_fields", "_has_host", "_scanned", "max_fields", "max_head_bytes", "max_target_bytes")

    def __init__(self, max_head_bytes: int, max_target_bytes: int, max_fields: int) -> None:
        self.max_head_bytes = max_head_bytes
        self.max_target_bytes = max_target_bytes
        self.max_fields = max_fields
        self._scanned = 0  # bytes from the start of the head whose lines were found valid
        self._fields = -1  # header lines seen; -1 while even the request line is missing
        self._has_host = False
        self._empty_lines = 0

    def skip_empty_lines(self, data: bytes, position: int) -> int:
        """The position behind the empty lines at `position`: before a request line some are ignored (RFC 9112 §2.2).

        Raises:
            ProtocolError: 400, if there are more than any client has reason to send.
        """
        while self._scanned == 0 and data.startswith(b"\r\n", position):
            position += 2
            self._empty_lines += 1
            if self._empty_lines > _MAX_EMPTY_LINES:
                raise ProtocolError(f"head: expected at most {_MAX_EMPTY_LINES} empty lines before it")
        return position

    def examine(self, data: bytes, start: int) -> bool:
        """Whether the head at `start` is complete; if not, it may still become valid with more bytes.

        Raises:
            ProtocolError: 400 malformed, 414 target too long, 431 head too large, 501 no such method, 505 version.
        """
        while True:
            line_start = start + self._scanned
            newline = data.find(b"\n", line_start)
            end = len(data) if newline < 0 else newline + 1
            if self._fields < 0:
                if data[line_start:] == b"\r":
                    return False
                _check_request_line(data[line_start:end], self.max_target_bytes)
            if end - start > self.max_head_bytes:
                raise ProtocolError(f"head: expected at most {self.max_head_bytes} bytes", 431)
            if newline < 0:
                return False
            if data[newline - 1 : newline] != b"\r" or newline == line_start:
                raise ProtocolError("head: expected CRLF at the end of each line, got a bare LF")
            if self._fields >= 0:
                if newline == line_start + 1:
                    return True
                self._check_field_line(data[line_start : newline - 1])
            self._fields += 1
            self._scanned = end - start

    def _check_field_line(self, line: bytes) -> None:
        if self._fields >= self.max_fields:
            raise ProtocolError(f"head: expected at most {self.max_fields} header fields", 431)
        if not _FIELD_LINE.fullmatch(line):
            raise ProtocolError(_field_line_fault(line))
        if _HOST_FIELD.match(line):
            if self._has_host:
                raise ProtocolError("Host: expected one, got two")
            if not _VALID_HOST_FIELD.fullmatch(line):
                raise ProtocolError("Host: expected a host name or address, with or without a port")
            self._has_host = True


def _field_line_fault(line: bytes) -> str:
    """What is wrong with a header line that is not valid."""
    if line[:1] in (b" ", b"\t"):
        return "header: expected a name, got a folded line (obs-fold)"
    name, colon, _ = line.partition(b":")
    if not colon:
        return "header: expected a colon"
    if name[-1:] in (b" ", b"\t"):
        return "header: expected no space before the colon"
    if not re.fullmatch(rb"[" + _TCHAR + rb"]+", name):
        return "header: expected a token as name"
    return "header: expected no control character in a value"


def _check_request_line(line: bytes, max_target_bytes: int) -> None:
    """Return if `line`, which ends in LF unless it is not all there, is or may become a request line.

    Raises:
        ProtocolError: as HeadReader.examine.
    """
    begun = _REQUEST_LINE_BEGUN.match(line)
    if begun is None:
        if line:
            raise ProtocolError("request line: expected METHOD target HTTP/1.1")
        return
    if len(begun[1]) > 32:
        raise ProtocolError("request line: no such method", 501)
    if begun[2] is not None and len(begun[2]) > max_target_bytes:
        raise ProtocolError(f"request line: expected a target of at most {max_target_bytes} bytes", 414)
    rest = line[begun.end() :]
    if rest == b"\n" and line.endswith(b"\r\n") and re.fullmatch(_METHOD + b" " + _TARGET + b" " + _VERSION, line[:-2]):
        return
    if rest == b"\n" and _REQUEST_LINE_OTHER_VERSION.fullmatch(line[:-2]):
        raise ProtocolError("request line: expected HTTP/1.1 or HTTP/1.0", 505)
    if rest:
        raise ProtocolError("request line: expected METHOD target HTTP/1.1")


class Framing:
    """Where a request's body ends and what its Connection field says; from a valid head that has framing fields."""

    __slots__ = ("close", "content_length", "expects_continue", "is_chunked", "keep_alive")

    def __init__(self, head: bytes, minor_version: int) -> None:
        """Read the framing fields of `head` (RFC 9112 §6).

        Raises:
            ProtocolError: 400 ambiguous or malformed, 417 unknown expectation, 501 unknown transfer coding.
        """
        self.content_length: int | None = None
        self.is_chunked = False
        self.close = False
        self.keep_alive = False
        self.expects_continue = False
        for match in _FRAMING_FIELD.finditer(head):
            name = match[1].lower()
            value = match[2].rstrip(b" ")
            if name == b"content-length":
                self._take_content_length(value)
            elif name == b"transfer-encoding":
                self._take_transfer_encoding(value, minor_version)
            elif name == b"connection":
                self._take_connection(value)
            elif name == b"expect" and minor_version >= 1:  # RFC 9110 §10.1.1: ignored in HTTP/1.0
                if value.strip(b"\t ").lower() != b"100-continue":
                    raise ProtocolError("Expect: expected 100-continue", 417)
                self.expects_continue = True
        if self.is_chunked and self.content_length is not None:
            raise ProtocolError("head: expected Content-Length or Transfer-Encoding, got both")

    def _take_content_length(self, value: bytes) -> None:
        # int() would also take "+5", "1_0" and " 5": a smuggling door (CWE-444). nginx refuses repeats, equal or not.
        if self.content_length is not None:
            raise ProtocolError("Content-Length: expected one, got two")
        if not _DECIMAL(value):
            raise ProtocolError("Content-Length: expected digits")
        self.content_length = int(value)

    def _take_transfer_encoding(self, value: bytes, minor_version: int) -> None:
        if minor_version == 0:
            raise ProtocolError("Transfer-Encoding: expected none in HTTP/1.0")
        if self.is_chunked:
            raise ProtocolError("Transfer-Encoding: expected one, got two")
        if value.lower() != b"chunked":
            # RFC 9112 §6.1: a coding we do not know is a 501; without a final "chunked" the length is unknowable.
            last = value.rpartition(b",")[2].strip(b" ").lower()
            raise ProtocolError("Transfer-Encoding: expected chunked", 501 if last == b"chunked" else 400)
        self.is_chunked = True

    def _take_connection(self, value: bytes) -> None:
        for option in value.lower().split(b","):
            option = option.strip(b" \t")
            if option == b"close":
                self.close = True
            elif option == b"keep-alive":
                self.keep_alive = True


_DECIMAL = re.compile(rb"[0-9]{1,18}").fullmatch

_PERCENT_FAULT = re.compile(rb"%(?![0-9A-Fa-f]{2})|%00").search
_ABSOLUTE = re.compile(rb"[Hh][Tt][Tt][Pp][Ss]?://([^/?]*)([/?].*)?", re.DOTALL).fullmatch
_AUTHORITY = re.compile(_HOST.replace(rb"(?::[0-9]{0,5}+)?+", rb":[0-9]{1,5}")).fullmatch


def split_target(method: bytes, target: bytes) -> tuple[str, str, str | None]:
    """Path, query and, for absolute-form and authority-form targets, the host (RFC 9112 §3.2).

    The path is "*" for OPTIONS *, "" for CONNECT. Bytes above 127 are decoded as UTF-8, or else ISO 8859-1.

    Raises:
        ProtocolError: 400, if the target is of no form that goes with the method, or leads out of the root.
    """
    host = None
    if target[:1] != b"/":
        if target == b"*" and method == b"OPTIONS":
            return "*", "", None
        if method == b"CONNECT":
            if not _AUTHORITY(target):
                raise ProtocolError("request line: expected host:port as the target of CONNECT")
            return "", "", target.decode("latin-1")
        absolute = _ABSOLUTE(target)
        if absolute is None or not valid_host(absolute[1]):
            raise ProtocolError("request line: expected a target that begins with a slash")
        host = absolute[1].decode("latin-1")
        target = absolute[2] or b"/"
        if target[:1] == b"?":
            target = b"/" + target
    elif method == b"CONNECT":
        raise ProtocolError("request line: expected host:port as the target of CONNECT")
    path, _, query = target.partition(b"?")
    if b"%" in path or b"/." in path:
        _check_path(path)
    return decode_text(path), decode_text(query), host


def _check_path(path: bytes) -> None:
    """Return if nginx would take the path too: valid percent-encoding, no NUL, no way out of the root."""
    if _PERCENT_FAULT(path):
        raise ProtocolError("request line: expected two hexadecimal digits after each percent sign, and no NUL")
    depth = 0
    plain = re.sub(rb"%2[eE]", b".", re.sub(rb"%2[fF]", b"/", path))
    for segment in plain.split(b"/"):
        if segment == b"..":
            depth -= 1
            if depth < 0:
                raise ProtocolError("request line: expected a path below the root")
        elif segment and segment != b".":
            depth += 1


_TOKEN = rb"[" + _TCHAR + rb"]++"
_QUOTED = rb"\"(?:[\t !#-\[\]-~\x80-\xff]|\\[\t -~\x80-\xff])*+\""
_EXTENSION = rb"[ \t]*+;[ \t]*+" + _TOKEN + rb"(?:[ \t]*+=[ \t]*+(?:" + _TOKEN + rb"|" + _QUOTED + rb"))?+"
_CHUNK_LINE = re.compile(rb"([0-9A-Fa-f]{1,16}+)(?:" + _EXTENSION + rb")*+\r\n").match

# Bytes of one chunk line: enough for any sane extension, too little to hide a second body in.
_MAX_CHUNK_LINE_BYTES = 1024
# Chunks decoded in one go. A flood of one-byte chunks shall not keep the loop from others (measured: 0.5 µs each).
_CHUNKS_PER_READ = 1000


class LengthBody:
    """A body of known length: `read` until `is_done`."""

    __slots__ = ("is_done", "remaining")

    def __init__(self, content_length: int) -> None:
        self.remaining = content_length
        self.is_done = content_length == 0

    needs_input = True

    def read(self, data: bytes, position: int) -> tuple[bytes, int]:
        """The part of the body that lies in `data` at `position`, and the position behind it."""
        piece = data[position : position + self.remaining]
        self.remaining -= len(piece)
        self.is_done = self.remaining == 0
        return piece, position + len(piece)


class ChunkedBody:
    """A chunked body (RFC 9112 §7.1): `read` until `is_done`. Trailers are checked like headers, and dropped."""

    __slots__ = (
        "_in_trailers",
        "_overhead",
        "_remaining",
        "is_done",
        "max_body_bytes",
        "max_trailer_bytes",
        "needs_input",
        "received",
    )

    def __init__(self, max_body_bytes: int, max_trailer_bytes: int) -> None:
        self.max_body_bytes = max_body_bytes
        self.max_trailer_bytes = max_trailer_bytes
        self.received = 0  # bytes of the body announced so far
        self._remaining = -1  # bytes of the current chunk; 0: its CRLF is due; -1: a chunk line is due
        self._overhead = 0  # bytes of extensions and trailers
        self._in_trailers = False
        self.is_done = False
        self.needs_input = True  # False: `read` stopped for others' sake, and can go on at once

    def read(self, data: bytes, position: int) -> tuple[bytes, int]:
        """The part of the body that lies in `data` at `position`, and the position up to which `data` was used.

        Raises:
            ProtocolError: 400 malformed, 413 larger than max_body_bytes, 431 trailers larger than max_trailer_bytes.
        """
        pieces: list[bytes] = []
        self.needs_input = True
        for _ in range(_CHUNKS_PER_READ):
            if self._in_trailers:
                position = self._read_trailers(data, position)
                break
            if self._remaining < 0:
                line = _CHUNK_LINE(data, position)
                if line is None:
                    _check_chunk_line_begun(data, position)
                    break
                self._take_chunk_line(line[1], line.end() - position)
                position = line.end()
                if self._in_trailers:
                    continue
            if self._remaining > 0:
                piece = data[position : position + self._remaining]
                pieces.append(piece)
                position += len(piece)
                self._remaining -= len(piece)
                if self._remaining:
                    break
            ending = data[position : position + 2]
            if ending != b"\r\n":
                if not b"\r\n".startswith(ending):
                    raise ProtocolError("chunk: expected CRLF after the data")
                break
            position += 2
            self._remaining = -1
        else:
            self.needs_input = False
        return pieces[0] if len(pieces) == 1 else b"".join(pieces), position

    def _take_chunk_line(self, size: bytes, line_bytes: int) -> None:
        self._remaining = int(size, 16)
        self.received += self._remaining
        self._overhead += line_bytes - len(size) - 2
        if self.received > self.max_body_bytes:
            raise ProtocolError(f"body: expected at most {self.max_body_bytes} bytes", 413)
        if line_bytes > _MAX_CHUNK_LINE_BYTES or self._overhead > 16384 + self.received:
            # Precedent: Go's net/http bounds what is not data (CVE-2023-39326).
            raise ProtocolError("chunk: expected less in extensions than in data")
        if self._remaining == 0:
            self._in_trailers = True
            self._overhead = 0

    def _read_trailers(self, data: bytes, position: int) -> int:
        while True:
            newline = data.find(b"\n", position)
            end = len(data) if newline < 0 else newline + 1
            if self._overhead + end - position > self.max_trailer_bytes:
                raise ProtocolError(f"trailers: expected at most {self.max_trailer_bytes} bytes", 431)
            if newline < 0:
                return position
            line = data[position:newline]
            if line == b"\r":
                self.is_done = True
                return end
            if line[-1:] != b"\r" or not _FIELD_LINE.fullmatch(line, 0, len(line) - 1):
                raise ProtocolError("trailers: " + (_field_line_fault(line[:-1]) if line[-1:] == b"\r" else "bare LF"))
            self._overhead += end - position
            position = end


_CHUNK_LINE_BEGUN = re.compile(rb"[0-9A-Fa-f]{1,16}+(?:[ \t;][\t -~\x80-\xff]*+)?+\r?+").fullmatch


def _check_chunk_line_begun(data: bytes, position: int) -> None:
    """Return if the bytes at `position` may become a chunk line with more input.

    Raises:
        ProtocolError: 400, if they can not.
    """
    begun = data[position : position + _MAX_CHUNK_LINE_BYTES + 1]
    if begun and (len(begun) > _MAX_CHUNK_LINE_BYTES or not _CHUNK_LINE_BEGUN(begun)):
        raise ProtocolError("chunk: expected a size in hexadecimal digits, extensions or not, and CRLF")
