"""The seed's chat for more than one frontend: messages in MySQL, wake-ups over the bus, long polls with a cursor."""

import asyncio
import sys

import framework.web
from framework.bus import Bus
from framework.database import Address, Pool
from framework.events import Waiters
from framework.web import Application, RequestHandler

SCHEMA = """CREATE TABLE IF NOT EXISTS chat (id BIGINT UNSIGNED NOT NULL AUTO_INCREMENT PRIMARY KEY,
            sender VARCHAR(50) NOT NULL, body TEXT NOT NULL)"""


class Room:
    def __init__(self, database, bus):
        self.pool = Pool(Address(database, "test", "test", "secret"), size=2)
        self.bus = Bus(bus)
        self.waiters = Waiters()
        self.woken = 0

    async def start(self):
        await self.pool.execute(SCHEMA)
        await self.bus.start()
        self.bus.add("chat", self.wake)

    def wake(self):
        self.woken += 1
        self.waiters.wake(None)

    async def after(self, cursor):
        """What follows the message with that number; of the last 200."""
        query = "SELECT * FROM (SELECT * FROM chat WHERE id > %s ORDER BY id DESC LIMIT 200) newest ORDER BY id"
        return await self.pool.query(query, cursor)


class BaseHandler(RequestHandler):
    def initialize(self, room):
        self.room = room

    def get_current_user(self):
        name = self.get_secure_cookie("user")
        return name.decode() if name else None


class LoginHandler(BaseHandler):
    def post(self):
        self.set_secure_cookie("user", self.get_argument("name"))


class NewHandler(BaseHandler):
    @framework.web.authenticated
    async def post(self):
        body = self.get_argument("body")
        number = await self.room.pool.execute(
            "INSERT INTO chat (sender, body) VALUES (%s, %s)", self.current_user, body
        )
        self.room.bus.publish("chat")
        self.write({"id": number})


class UpdatesHandler(BaseHandler):
    async def get(self):
        cursor = int(self.get_argument("cursor", "0"))
        while True:
            woken = self.room.woken
            messages = await self.room.after(cursor)
            if messages:
                break
            if woken == self.room.woken:  # else something came while the database was asked
                await self.room.waiters.wait(self, timeout_s=30)
        self.write({"messages": [dict(message) for message in messages]})


async def main(port, database, bus):
    room = Room(database, bus)
    await room.start()
    routes = [("/login", LoginHandler), ("/new", NewHandler), ("/updates", UpdatesHandler)]
    secret = "61oETzKXQAGaYdkL5gEmGeJJFuYh7EQnp2XdTP1o/Vo="
    application = Application([(path, handler, {"room": room}) for path, handler in routes], cookie_secret=secret)
    application.listen(port, "127.0.0.1")
    await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(main(int(sys.argv[1]), *sys.argv[2:]))
