"""A resolver on loopback that tests can script: DNS over HTTPS (RFC 8484), as an application for our server."""

import socket
import struct

import pycurl

TYPE_A = 1
_DOH_SSL_VERIFYPEER, _DOH_SSL_VERIFYHOST = 306, 307  # of libcurl's ABI; pycurl has no names for them


class Resolver:
    """Answers each question for an IPv4 address with the next of `answers`, the last one for ever; counts them.

    An answer of None says that there is no such name. libcurl asks nobody but over TLS: see `asking`.
    """

    def __init__(self, *answers, mute=False):
        self.answers = list(answers)
        self.asked = 0
        self.mute = mute

    def __call__(self, request):
        if self.mute:
            return
        query = request.body
        end = query.index(b"\0", 12) + 5  # one question: a name, a type, a class
        question = query[12:end]
        records = b""
        count = 0
        if struct.unpack("!H", question[-4:-2])[0] == TYPE_A:
            self.asked += 1
            address = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        else:
            address = None if self.answers[0] is None else ""
        if address:
            records, count = b"\xc0\x0c" + struct.pack("!HHIH", TYPE_A, 1, 300, 4) + socket.inet_aton(address), 1
        flags = 0x8180 if address is not None else 0x8183  # RFC 1035 §4.1.1: 3 is "no such name"
        answer = query[:2] + struct.pack("!HHHHH", flags, 1, count, 0, 0) + question + records
        request.connection.answer(
            b"HTTP/1.1 200 OK\r\nContent-Type: application/dns-message\r\nContent-Length: %d\r\n\r\n" % len(answer)
            + answer
        )


def asking(port, **options):
    """A prepare_curl_callback by which names are looked up at the resolver on this port; options by pycurl's names."""

    def prepare(curl):
        curl.setopt(pycurl.DOH_URL, f"https://127.0.0.1:{port}/")
        curl.setopt(_DOH_SSL_VERIFYPEER, 0)
        curl.setopt(_DOH_SSL_VERIFYHOST, 0)
        for name, value in options.items():
            curl.setopt(getattr(pycurl, name), value)

    return prepare
