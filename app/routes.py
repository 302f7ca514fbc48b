"""Which handler answers what."""

from typing import Any

from app import accounts, diagnosis, entries
from framework.web import url

ROUTES: list[Any] = [
    url(r"/", entries.HomeHandler, name="home"),
    url(r"/hello", entries.HelloHandler),
    url(r"/about", entries.AboutHandler),
    url(r"/feed\.atom", entries.AtomHandler),
    url(r"/login", accounts.LoginHandler),
    url(r"/login/openid", accounts.OpenIDHandler),
    url(r"/logout", accounts.LogoutHandler),
    url(r"/locale", accounts.LocaleHandler),
    url(r"/entries", entries.EntriesHandler),
    url(r"/entry/([0-9]+)", entries.EntryHandler, name="entry"),
    url(r"/entry/([0-9]+)/comments", entries.CommentsHandler),
    url(r"/entry/([0-9]+)/like", entries.LikesHandler),
    url(r"/updates", entries.UpdatesHandler),
]

TEST_ROUTES: list[Any] = [
    url(r"/test/block", diagnosis.BlockHandler),
    url(r"/test/echo", diagnosis.EchoHandler),
    url(r"/test/slot", diagnosis.SlotHandler),
]
