"""Form bodies to fields and files: urlencoded (WHATWG URL §5.1) and multipart (RFC 7578). Bytes in, values out.

Everything is counted before it is split, and every limit is a refusal: a million ampersands must cost nothing.
"""

import re
from dataclasses import dataclass
from urllib.parse import unquote_to_bytes

from framework.errors import ProtocolError
from framework.httputil import HTTPFile, HTTPHeaders, decode_text, parse_header_parameters

MAX_FIELDS = 10_000


@dataclass(frozen=True, slots=True)
class MultipartLimits:
    """What a multipart body may hold at most."""

    max_parts: int = 100
    max_part_head_bytes: int = 10_240


def parse_urlencoded(body: bytes, max_fields: int = MAX_FIELDS) -> dict[str, list[bytes]]:
    """Fields of `a=1&b=2`, values still undecoded bytes; empty values are kept.

    Names that are not UTF-8 are read as ISO 8859-1.

    Raises:
        ProtocolError: 400, if there are more than max_fields.
    """
    if body.count(b"&") >= max_fields:
        raise ProtocolError(f"form: expected at most {max_fields} fields")
    fields: dict[str, list[bytes]] = {}
    for pair in body.split(b"&"):
        if not pair:
            continue
        name, _, value = pair.partition(b"=")
        fields.setdefault(decode_text(_unquote(name)), []).append(_unquote(value))
    return fields


def _unquote(text: bytes) -> bytes:
    if text.find(b"+") >= 0:
        text = text.replace(b"+", b" ")
    return unquote_to_bytes(text) if text.find(b"%") >= 0 else text


_BOUNDARY = re.compile(r"[0-9A-Za-z'()+_,\-./:=? ]{0,69}[0-9A-Za-z'()+_,\-./:=?]").fullmatch


def parse_boundary(content_type: str) -> bytes:
    """The boundary of a multipart Content-Type (RFC 2046 §5.1.1).

    Raises:
        ProtocolError: 400, if there is none or it is malformed.
    """
    boundary = parse_header_parameters(content_type)[1].get("boundary", "")
    if not _BOUNDARY(boundary):
        raise ProtocolError("multipart: expected a boundary of 1 to 70 characters")
    return boundary.encode("ascii")


def parse_multipart(
    boundary: bytes,
    body: bytes,
    arguments: dict[str, list[bytes]],
    files: dict[str, list[HTTPFile]],
    limits: MultipartLimits = MultipartLimits(),
) -> None:
    """Add the fields and files of a multipart body to `arguments` and `files`.

    Raises:
        ProtocolError: 400, if the body is malformed or exceeds the limits.
    """
    delimiter = b"--" + boundary
    # Counted before anything is split: splitting first is memory amplification.
    if body.count(b"\r\n" + delimiter) > limits.max_parts:
        raise ProtocolError(f"multipart: expected at most {limits.max_parts} parts")
    position = 0 if body.startswith(delimiter) else body.find(b"\r\n" + delimiter) + 2
    if position == 1:
        raise ProtocolError("multipart: expected the boundary that Content-Type names")
    position += len(delimiter)
    separator = b"\r\n" + delimiter
    while True:
        ending = _DELIMITER_END(body, position)
        if ending is None:
            raise ProtocolError("multipart: expected CRLF or -- after the boundary")
        if ending[1]:
            return
        start = ending.end()
        end = body.find(separator, start)
        if end < 0:
            raise ProtocolError("multipart: expected a closing boundary")
        _take_part(body, start, end, arguments, files, limits)
        position = end + len(separator)


_DELIMITER_END = re.compile(rb"(--)|[ \t]*+\r\n").match


def _take_part(
    body: bytes,
    start: int,
    end: int,
    arguments: dict[str, list[bytes]],
    files: dict[str, list[HTTPFile]],
    limits: MultipartLimits,
) -> None:
    head_end = body.find(b"\r\n\r\n", start, min(end, start + limits.max_part_head_bytes))
    if head_end < 0:
        raise ProtocolError("multipart: expected an empty line after the headers of a part")
    part = parse_part_head(body[start:head_end])
    content = body[head_end + 4 : end]
    if part.filename is None:
        arguments.setdefault(part.name, []).append(content)
    else:
        file = HTTPFile(filename=part.filename, body=content, content_type=part.content_type)
        files.setdefault(part.name, []).append(file)


@dataclass(frozen=True, slots=True)
class PartHead:
    """What the headers of one part say; `filename` is None for a field."""

    name: str
    filename: str | None
    content_type: str


def parse_part_head(head: bytes) -> PartHead:
    """The name, file name and content type that the headers of a part give.

    Raises:
        ProtocolError: 400, if they are malformed or give no name.
    """
    # Browsers send names as raw UTF-8 (WHATWG HTML, multipart/form-data encoding).
    headers = HTTPHeaders.parse(decode_text(head))
    disposition, parameters = parse_header_parameters(headers.get("Content-Disposition", ""))
    if disposition.lower() != "form-data" or "name" not in parameters:
        raise ProtocolError("multipart: expected Content-Disposition: form-data with a name")
    filename = parameters.get("filename")
    return PartHead(
        _unescape_browser_quoting(parameters["name"]),
        None if filename is None else _unescape_browser_quoting(filename),
        headers.get("Content-Type", "application/octet-stream"),
    )


def _unescape_browser_quoting(value: str) -> str:
    """`value` with the quotes that browsers send as %22. %0D and %0A stay: line ends in names serve attackers only."""
    return value.replace("%22", '"')


_URLENCODED = "application/x-www-form-urlencoded"
_MULTIPART = "multipart/form-data"


def is_form(content_type: str) -> bool:
    """Whether `parse_body` takes bodies of this Content-Type."""
    return content_type.lower().startswith((_URLENCODED, _MULTIPART))


def parse_body(
    content_type: str, body: bytes, arguments: dict[str, list[bytes]], files: dict[str, list[HTTPFile]]
) -> None:
    """Add the fields and files of a form body to `arguments` and `files`; bodies of other types hold none.

    Raises:
        ProtocolError: 400, if the body is malformed or exceeds the limits.
    """
    if content_type.lower().startswith(_URLENCODED):
        for name, values in parse_urlencoded(body).items():
            arguments.setdefault(name, []).extend(values)
    elif content_type.lower().startswith(_MULTIPART):
        parse_multipart(parse_boundary(content_type), body, arguments, files)
