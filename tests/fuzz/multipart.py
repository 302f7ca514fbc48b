"""Fuzzes multipart bodies: the streaming reader and the buffering one agree, however the bytes are cut.

python -m tests.fuzz.multipart --seconds 600
"""

import io

from framework.errors import ProtocolError
from framework.forms import MultipartStream, parse_multipart
from tests.fuzz import engine

FIELD = b'Content-Disposition: form-data; name="a"\r\n\r\n1'
FILE = b'Content-Disposition: form-data; name="f"; filename="x"\r\nContent-Type: a/b\r\n\r\n\r\n-\r\n--b'
CORPUS = [
    b"--B\r\n" + FIELD + b"\r\n--B\r\n" + FILE + b"\r\n--B--\r\n",
    b"preamble\r\n--B \r\n" + FILE + b"\r\n--B--epilogue\r\n--B",
    b'--B\r\nContent-Disposition: form-data; name*=utf-8\'\'%c3%a9; name="q\\""; filename=""\r\n\r\n\r\n--B--',
]
TOKENS = [
    *(
        b"\r\n",
        b"\r",
        b"\n",
        b"--B",
        b"\r\n--B",
        b"--B--",
        b"--",
        b"B",
        b" ",
        b"\t",
        b";",
        b"=",
        b'"',
        b"\\",
        b":",
        b"\0",
    ),
    *(FIELD, FILE, b"name=", b"filename=", b'filename="', b"form-data", b"Content-Disposition: ", b"*=utf-8''", b"%22"),
]


def _stream(pieces):
    reader = MultipartStream(b"B", lambda head: io.BytesIO())
    try:
        for piece in pieces:
            reader.feed(piece)
        reader.close()
    except ProtocolError:
        return None
    files = {name: [(f.filename, f.content_type, f.body) for f in found] for name, found in reader.files.items()}
    return reader.arguments, files


def _parse(body):
    arguments, files = {}, {}
    try:
        parse_multipart(b"B", body, arguments, files)
    except ProtocolError:
        return None
    return arguments, {name: [(f.filename, f.content_type, f.body) for f in found] for name, found in files.items()}


def run(seconds, seed=0):
    """The number of inputs tried.

    Raises:
        AssertionError: two ways of reading one input had different results.
    """

    def check(data, generator):
        whole = _stream([data])
        assert _parse(data) == whole, "buffered"
        assert _stream([data[i : i + 1] for i in range(len(data))]) == whole, "byte by byte"
        assert _stream(engine.cut_at_random(data, generator)) == whole, "cut"

    return engine.fuzz(check, CORPUS, TOKENS, seconds, seed)


if __name__ == "__main__":
    engine.main(run)
