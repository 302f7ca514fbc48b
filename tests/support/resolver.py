"""A resolver on loopback that tests can script: DNS over HTTPS (RFC 8484), as an application for our server."""

import socket
import struct

TYPE_A = 1


class Resolver:
    """Answers each question for an IPv4 address with the next of `answers`, the last one for ever; counts them."""

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
            records, count = b"\xc0\x0c" + struct.pack("!HHIH", TYPE_A, 1, 300, 4) + socket.inet_aton(address), 1
        answer = query[:2] + struct.pack("!HHHHH", 0x8180, 1, count, 0, 0) + question + records
        request.connection.answer(
            b"HTTP/1.1 200 OK\r\nContent-Type: application/dns-message\r\nContent-Length: %d\r\n\r\n" % len(answer)
            + answer
        )
