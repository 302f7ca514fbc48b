"""Form bodies to fields and files: urlencoded (WHATWG URL §5.1) and multipart (RFC 7578). Bytes in, values out.

Everything is counted before it is split, and every limit is a refusal: a million ampersands must cost nothing.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, BinaryIO
from urllib.parse import unquote_to_bytes

from framework.errors import ProtocolError
from framework.httputil import HTTPFile, HTTPHeaders, decode_text, parse_header_parameters

MAX_FIELDS = 10_000


@dataclass(frozen=True, slots=True)
class MultipartLimits:
    """What a multipart body may hold at most."""

    max_parts: int = 100
    max_part_head_bytes: int = 10_240
    max_fields_bytes: int = 1_048_576
    """All fields together, where files go to disk."""


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
    # The separator's CRLF may be that of the empty line: a part without content (RFC 2046 §5.1.1, body-part).
    head_end = body.find(b"\r\n\r\n", start, min(end + 2, start + limits.max_part_head_bytes))
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


class StreamedFile(HTTPFile):
    """An uploaded file that was written to disk while it arrived: `filename`, `content_type`, `file` (open, at its
    start) and `size` in bytes. `body` reads all of it, for code that does not care.
    """

    def __missing__(self, name: str) -> Any:
        if name != "body":
            raise KeyError(name)
        file: BinaryIO = self["file"]
        file.seek(0)
        content = file.read()
        file.seek(0)
        return content


_PREAMBLE, _DELIMITER, _PART_HEAD, _CONTENT_BEGIN, _CONTENT, _EPILOGUE = range(6)


class MultipartStream:
    """A multipart body read while it arrives: fields in memory, files wherever `open_file(head)` says.

    Constant memory: of a file never more is held than the last piece fed and the length of a boundary.
    """

    def __init__(
        self, boundary: bytes, open_file: Callable[[PartHead], BinaryIO], limits: MultipartLimits = MultipartLimits()
    ) -> None:
        self.arguments: dict[str, list[bytes]] = {}
        self.files: dict[str, list[HTTPFile]] = {}
        self._separator = b"\r\n--" + boundary
        self._open_file = open_file
        self._limits = limits
        self._state = _PREAMBLE
        self._data = b"\r\n"  # so that a delimiter without a preamble begins like any other
        self._parts = 0
        self._fields_bytes = 0
        self._part: PartHead | None = None
        self._content = bytearray()
        self._file: StreamedFile | None = None

    def feed(self, data: bytes) -> None:
        """Take the next piece of the body.

        Raises:
            ProtocolError: 400, if the body is malformed or exceeds the limits.
        """
        self._data += data
        while self._step():
            pass

    def close(self) -> None:
        """The body is there: `arguments` and `files` are complete.

        Raises:
            ProtocolError: 400, if the closing boundary is missing.
        """
        if self._state != _EPILOGUE:
            self.abort()
            raise ProtocolError("multipart: expected a closing boundary")
        for files in self.files.values():
            for file in files:
                file["file"].seek(0)

    def abort(self) -> None:
        """The body broke off: close the files."""
        for files in self.files.values():
            for file in files:
                file["file"].close()
        self.files = {}

    def _step(self) -> bool:
        """Whether there may be more to do with what is held."""
        if self._state in (_PREAMBLE, _CONTENT):
            return self._take_content()
        if self._state == _DELIMITER:
            return self._take_delimiter_end()
        if self._state == _PART_HEAD:
            return self._take_part_head()
        if self._state == _CONTENT_BEGIN:
            return self._begin_content()
        self._data = b""  # RFC 2046 §5.1.1: an epilogue is ignored
        return False

    def _take_content(self) -> bool:
        end = self._data.find(self._separator)
        # Without the separator all but what may be its beginning is content.
        keep = len(self._separator) - 1
        content = self._data[:end] if end >= 0 else self._data[:-keep]
        if self._state == _CONTENT:
            self._write(content)
        if end < 0:
            self._data = self._data[-keep:]
            return False
        self._data = self._data[end + len(self._separator) :]
        if self._part is not None:
            if self._file is None:
                self.arguments.setdefault(self._part.name, []).append(bytes(self._content))
            self._part, self._file = None, None
            self._content.clear()
        self._state = _DELIMITER
        return True

    def _write(self, content: bytes) -> None:
        if self._file is not None:
            self._file["file"].write(content)
            self._file["size"] += len(content)
            return
        self._fields_bytes += len(content)
        if self._fields_bytes > self._limits.max_fields_bytes:
            self.abort()
            raise ProtocolError(f"multipart: expected at most {self._limits.max_fields_bytes} bytes in fields", 413)
        self._content += content

    def _take_delimiter_end(self) -> bool:
        if len(self._data) < 2:
            return False
        ending = _DELIMITER_END(self._data)
        if ending is None:
            if len(self._data) < 128 and not self._data.lstrip(b" \t").strip(b"\r"):
                return False
            self.abort()
            raise ProtocolError("multipart: expected CRLF or -- after the boundary")
        self._data = self._data[ending.end() :]
        self._state = _EPILOGUE if ending[1] else _PART_HEAD
        return True

    def _take_part_head(self) -> bool:
        end = self._data.find(b"\r\n\r\n", 0, self._limits.max_part_head_bytes)
        if end < 0:
            if len(self._data) >= self._limits.max_part_head_bytes:
                self.abort()
                raise ProtocolError("multipart: expected an empty line after the headers of a part")
            return False
        if self._data.find(self._separator, 0, end + 2) >= 0:
            self.abort()
            raise ProtocolError("multipart: expected no boundary among the headers of a part")
        self._parts += 1
        if self._parts > self._limits.max_parts:
            self.abort()
            raise ProtocolError(f"multipart: expected at most {self._limits.max_parts} parts")
        part = self._part = parse_part_head(self._data[:end])
        if part.filename is not None:
            file = self._open_file(part)
            self._file = StreamedFile(filename=part.filename, content_type=part.content_type, file=file, size=0)
            self.files.setdefault(part.name, []).append(self._file)
        self._data = self._data[end + 2 :]
        self._state = _CONTENT_BEGIN
        return True

    def _begin_content(self) -> bool:
        # As in _take_part: this CRLF may be the separator's.
        if len(self._data) < len(self._separator) and self._separator.startswith(self._data):
            return False
        if not self._data.startswith(self._separator):
            self._data = self._data[2:]
        self._state = _CONTENT
        return True


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
