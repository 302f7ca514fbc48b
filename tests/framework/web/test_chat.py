"""The chat that the seed tells of: long polling with callbacks, a cursor, a cache of the last 200 messages."""

import asyncio

import pytest

import framework.web
from framework.template import DictLoader
from framework.testing import Client, serving
from framework.testing.client import exchange

TEMPLATES = {
    "index.html": "<head></head><body>{% for one in messages %}{{ modules.Message(one) }}{% end %}"
    '<form action="/new" method="post">{{ xsrf_form_html() }}</form></body>',
    "message.html": '<p id="m{{ message["id"] }}"><b>{{ message["from"] }}</b>: {{ message["body"] }}</p>',
}


class Message(framework.web.UIModule):
    def render(self, message):
        return self.render_string("message.html", message=message)


class Room:
    """Who waits for messages, and the last of them."""

    CACHE_SIZE = 200

    def __init__(self):
        self.waiters = []
        self.messages = []
        self.count = 0

    def since(self, cursor):
        ids = [message["id"] for message in self.messages]
        return self.messages[ids.index(cursor) + 1 :] if cursor in ids else list(self.messages)

    def post(self, message):
        self.messages = [*self.messages, message][-self.CACHE_SIZE :]
        waiters, self.waiters = self.waiters, []
        for callback in waiters:
            callback([message])


class BaseHandler(framework.web.RequestHandler):
    def initialize(self, room):
        self.room = room

    def get_current_user(self):
        user = self.get_secure_cookie("user")
        return user.decode() if user else None


class MainHandler(BaseHandler):
    @framework.web.authenticated
    def get(self):
        self.render("index.html", messages=self.room.messages)


class LoginHandler(BaseHandler):
    def get(self):
        self.write("login")

    def post(self):
        self.set_secure_cookie("user", self.get_argument("name"))
        self.redirect(self.get_next_url())


class NewHandler(BaseHandler):
    @framework.web.authenticated
    def post(self):
        self.room.count += 1
        message = {"id": self.room.count, "from": self.current_user, "body": self.get_argument("body")}
        self.room.post(message)
        self.write(message)


class UpdatesHandler(BaseHandler):
    @framework.web.authenticated
    @framework.web.asynchronous
    def post(self):
        cursor = int(self.get_argument("cursor", 0))
        missed = self.room.since(cursor) if cursor < self.room.count else []
        if missed:
            self.on_messages(missed)
        else:
            self.room.waiters.append(self.on_messages)

    def on_messages(self, messages):
        self.finish({"messages": messages})

    def on_connection_close(self):
        if self.on_messages in self.room.waiters:
            self.room.waiters.remove(self.on_messages)


@pytest.fixture
def room():
    return Room()


@pytest.fixture
def application(room):
    given = {"room": room}
    settings = {
        "cookie_secret": "61oETzKXQAGaYdkL5gEmGeJJFuYh7EQnp2XdTP1o/Vo=",
        "login_url": "/login",
        "template_loader": DictLoader(TEMPLATES),
        "xsrf_cookies": True,
        "ui_modules": {"Message": Message},
    }
    return framework.web.Application(
        [
            (r"/", MainHandler, given),
            (r"/login", LoginHandler, given),
            (r"/new", NewHandler, given),
            (r"/updates", UpdatesHandler, given),
        ],
        **settings,
    )


async def sign_in(application, name):
    client = Client(application)
    location = (await client.fetch_async("/")).headers["Location"]
    await client.fetch_async(location)
    form = {"name": name, "next": "/", "_xsrf": client.cookies["_xsrf"]}
    assert (await client.fetch_async(location, "POST", body=form)).headers["Location"] == "/"
    return client


async def post(client, path, **fields):
    response = await client.fetch_async(path, "POST", body={"_xsrf": client.cookies["_xsrf"], **fields})
    assert response.status == 200
    return response.json()


def test_item_105_message_reaches_all_who_wait(application, room):
    async def scenario():
        ann, bob = await sign_in(application, "ann"), await sign_in(application, "bob")
        waiting = [asyncio.ensure_future(post(one, "/updates")) for one in (ann, bob) for _ in range(20)]
        await asyncio.sleep(0)
        assert len(room.waiters) == 40
        sent = await post(ann, "/new", body="<hi>")
        for answer in await asyncio.gather(*waiting):
            assert answer == {"messages": [{"id": 1, "from": "ann", "body": "<hi>"}]}
        assert not room.waiters
        page = (await bob.fetch_async("/")).text
        assert '<p id="m1"><b>ann</b>: &lt;hi&gt;</p>' in page
        return sent

    assert asyncio.run(scenario())["id"] == 1


def test_item_105_cursor_gives_what_was_missed(application, room):
    async def scenario():
        ann = await sign_in(application, "ann")
        for number in range(5):
            await post(ann, "/new", body=str(number))
        answer = await post(ann, "/updates", cursor=2)
        assert [message["body"] for message in answer["messages"]] == ["2", "3", "4"]

    asyncio.run(scenario())


def test_item_105_cache_keeps_the_last_200(application, room):
    for number in range(450):
        room.post({"id": number, "from": "x", "body": ""})
    assert [message["id"] for message in room.messages] == list(range(250, 450))
    assert room.since(3) == room.messages
    assert [message["id"] for message in room.since(447)] == [448, 449]


def test_strangers_are_turned_away(application):
    client = Client(application)
    client.fetch("/login")
    body = {"_xsrf": client.cookies["_xsrf"], "body": "x"}
    assert client.fetch("/new", "POST", body=body).status == 403
    assert client.fetch("/updates", "POST", body=body).status == 403


def test_item_106_waiter_that_leaves_is_forgotten(application, room):
    async def scenario():
        ann = await sign_in(application, "ann")
        async with serving(application) as port:
            headers = {
                "Cookie": "; ".join(f"{name}={value}" for name, value in ann.cookies.items()),
                "X-XSRFToken": ann.cookies["_xsrf"],
            }
            waiting = asyncio.ensure_future(exchange(port, "/updates", "POST", headers, ""))
            while not room.waiters:
                await asyncio.sleep(0)
            waiting.cancel()
            while room.waiters:
                await asyncio.sleep(0)

    asyncio.run(scenario())
