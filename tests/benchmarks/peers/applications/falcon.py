"""Falcon under gunicorn."""

import falcon

from tests.benchmarks.peers import content


class Hello:
    def on_get(self, request: falcon.Request, response: falcon.Response) -> None:
        response.content_type = falcon.MEDIA_HTML
        response.text = content.HELLO


class Post:
    def on_post(self, request: falcon.Request, response: falcon.Response) -> None:
        response.text = str(len(request.bounded_stream.read()))


application = falcon.App()
application.add_route("/", Hello())
application.add_route("/post", Post())
