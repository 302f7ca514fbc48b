"""ASGI applications in both directions (ASGI 3: HTTP, websocket, lifespan).

    HTTPServer(ASGIContainer(fastapi_app)).listen(8888)      # FastAPI, Starlette, Django and the like on our server
    application = ASGIApplication(Application([…]))          # our handlers under uvicorn, granian, hypercorn

The rooms: `scope` (a request in ASGI's words), `exchange` (one request and its answer), `sockets` (websockets),
`lifespan`, `container` (these put together); `application` is the other direction.
"""

from framework.asgi.application import ASGIApplication
from framework.asgi.container import ASGIContainer
from framework.asgi.exchange import ASGIError, ClientDisconnected

__all__ = ["ASGIApplication", "ASGIContainer", "ASGIError", "ClientDisconnected"]
