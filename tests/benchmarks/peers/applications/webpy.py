"""web.py under gunicorn, as its deployment page advises."""

import web

from tests.benchmarks.peers import content


class Hello:
    def GET(self) -> str:
        web.header("Content-Type", "text/html; charset=UTF-8")
        return content.HELLO


class Post:
    def POST(self) -> str:
        return str(len(web.data()))


application = web.application(("/", "Hello", "/post", "Post"), {"Hello": Hello, "Post": Post}).wsgifunc()
