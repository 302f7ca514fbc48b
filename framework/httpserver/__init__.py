"""Bytes in, application called, bytes out.

    from framework import httpserver, ioloop

    def handle_request(request):
        message = f"You requested {request.uri}\\n".encode()
        request.write(b"HTTP/1.1 200 OK\\r\\nContent-Length: %d\\r\\n\\r\\n%s" % (len(message), message))
        request.finish()

    http_server = httpserver.HTTPServer(handle_request)
    http_server.listen(8888)
    ioloop.IOLoop.instance().start()

The rooms, in reading order: `targets`, `limits`, `xheaders`, `refusal`, `bodies` (what is buffered, and where),
`incoming` (a body while it arrives), `sendfile`, `outgoing` (the half of a connection that writes), `calling` (what
lies between), `receiving` (bodies), `plain`, `connection` (the half that reads), `proxyprotocol`, `listening`,
`server`.
"""

from framework.httpserver.connection import Connection
from framework.httpserver.limits import Limits
from framework.httpserver.server import HTTPServer
from framework.request import HTTPRequest

__all__ = ["Connection", "HTTPRequest", "HTTPServer", "Limits"]
