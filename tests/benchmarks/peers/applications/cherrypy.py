"""CherryPy on its own server, in its `production` environment."""

import cherrypy

from tests.benchmarks.peers import content
from tests.benchmarks.peers.applications import address


class Root:
    @cherrypy.expose
    def index(self) -> str:
        return content.HELLO

    @cherrypy.expose
    def post(self) -> str:
        return str(len(cherrypy.request.body.read()))


if __name__ == "__main__":
    cherrypy.config.update(
        {
            "environment": "production",
            "server.socket_host": "127.0.0.1",
            "server.socket_port": address.parse().port,
            "log.screen": False,
        }
    )
    cherrypy.quickstart(Root())
