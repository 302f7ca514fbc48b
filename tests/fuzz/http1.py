"""Fuzzes the HTTP/1.1 server: no exception, no hang, and one verdict however the bytes are cut.

python -m tests.fuzz.http1 --seconds 600
"""

import logging
from pathlib import Path

from tests.fuzz import engine
from tests.support.judge import Judge

CORPUS = Path(__file__).parents[1] / "conformance" / "http1"
TOKENS = [
    *(b"\r\n", b"\r", b"\n", b"\r\n\r\n", b" ", b"\t", b":", b";", b",", b'"', b"\\", b"\0", b"\x7f", b"\xff"),
    *(b"GET ", b"POST ", b" HTTP/1.1\r\n", b" HTTP/1.0\r\n", b"HTTP/2.0", b"/", b"/..", b"*", b"http://h/", b"%2e"),
    *(b"Host: h\r\n", b"Content-Length: ", b"Transfer-Encoding: chunked\r\n", b"Connection: close\r\n", b"TE: x\r\n"),
    *(b"Connection: keep-alive\r\n", b"Expect: 100-continue\r\n", b"Upgrade: x\r\n", b"Cookie: a\r\n", b"A: b\r\n"),
    *(b"0\r\n\r\n", b"1\r\nx\r\n", b"f", b"ffffffffffffffff", b"3;a=b\r\n", b"0", b"9", b"[::1]", b"..", b"a.b:80"),
    *(b"%", b"#", b"%00", b"?", b"X-Real-IP: 192.0.2.1\r\n", b"X-Forwarded-For: a, b\r\n", b"X-Scheme: https\r\n"),
    b"X-Request-ID: r-1\r\nX-Request-Start: t=1764000000.123\r\nX-Real-IP: 192.0.2.17\r\n"
    b"X-Forwarded-For: 192.0.2.17\r\nX-Forwarded-Proto: https\r\nX-Scheme: https\r\n",
]


def run(seconds, seed=0):
    """The number of inputs tried.

    Raises:
        AssertionError: two ways of cutting one input had different verdicts.
    """
    logging.disable(logging.INFO)
    judge, believing = (
        Judge(max_body_bytes=1 << 20, max_head_bytes=2048, max_target_bytes=512, xheaders=xheaders)
        for xheaders in (False, True)
    )

    def check(data, generator):
        whole = judge.verdict([data])
        # What is remembered of it must not change the verdict, nor what a proxy says about its client.
        for name, other in (("again", judge), ("of a proxy", believing), ("of a proxy again", believing)):
            assert other.verdict([data]) == whole, name
        assert judge.verdict([data[i : i + 1] for i in range(len(data))]) == whole, "byte by byte"
        for _ in range(3):
            pieces = engine.cut_at_random(data, generator)
            assert judge.verdict(pieces) == whole, f"cut into {pieces}"

    corpus = [path.read_bytes() for path in sorted(CORPUS.glob("*/*.http"))]
    try:
        return engine.fuzz(check, corpus, TOKENS, seconds, seed)
    finally:
        judge.close()
        believing.close()
        logging.disable(logging.NOTSET)


if __name__ == "__main__":
    engine.main(run)
