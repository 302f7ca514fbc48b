"""The seed's example of a request that waits for another server, against a server that answers."""

import asyncio
import json

import pytest

import framework.escape
import framework.httpclient
import framework.web
from framework.testing import parse_response, serving


class Feed(framework.web.RequestHandler):
    """Stands for the service that is gone: as many entries as asked for; none is a failure."""

    def get(self, count):
        if not int(count):
            raise framework.web.HTTPError(503)
        self.write(json.dumps({"entries": ["an entry"] * int(count)}))


def main_handler(address, how):
    class MainHandler(framework.web.RequestHandler):
        @framework.web.asynchronous
        def get(self):
            http = framework.httpclient.AsyncHTTPClient()
            if how == "keyword":
                http.fetch(address, callback=self.on_response)
            elif how == "positional":
                http.fetch(address, self.on_response)
            else:
                http.fetch(address, callback=self.async_callback(self.on_response))

        def on_response(self, response):
            if response.error:
                raise framework.web.HTTPError(500)
            json = framework.escape.json_decode(response.body)
            self.write("Fetched " + str(len(json["entries"])) + " entries from the FriendFeed API")
            self.finish()

    return MainHandler


def answer_of(how, count):
    async def scenario():
        feed = framework.web.Application([(r"/v2/feed/(\d+)", Feed)], log_function=lambda _: None)
        async with serving(feed) as service:
            handler = main_handler(f"http://127.0.0.1:{service}/v2/feed/{count}", how)
            application = framework.web.Application([(r"/", handler)], log_function=lambda _: None)
            async with serving(application) as port:
                reader, writer = await asyncio.open_connection("127.0.0.1", port)
                writer.write(b"GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
                answer = await reader.read()
                writer.close()
                return parse_response(answer)

    return asyncio.run(scenario())


@pytest.mark.parametrize("how", ["keyword", "positional", "async_callback"])
def test_item_101_103_example_fetches_and_answers_later(how):
    response = answer_of(how, 3)
    assert (response.status, response.text) == (200, "Fetched 3 entries from the FriendFeed API")


@pytest.mark.parametrize("how", ["keyword", "positional", "async_callback"])
def test_item_102_error_is_given_and_raised_in_the_callback_it_is_the_answer(how):
    assert answer_of(how, 0).status == 500
