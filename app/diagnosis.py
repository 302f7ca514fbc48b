"""Routes for the tests of the appliance, off unless TEST_ROUTES is true: they tell more than a visitor should know."""

import os
import time

from app.pages import Page

LONGEST_BLOCK_MS = 1000


class BlockHandler(Page):
    """Blocks the loop for `ms` milliseconds, as bad code would."""

    def get(self) -> None:
        text = self.get_argument("ms", "30")
        time.sleep(min(int(text) if text.isdigit() else 0, LONGEST_BLOCK_MS) / 1000)
        self.write("blocked")


class EchoHandler(Page):
    """Who the application believes is asking."""

    def get(self) -> None:
        request = self.request
        facts = {"remote_ip": request.remote_ip, "protocol": request.protocol, "host": request.host}
        self.write({**facts, "headers": {name.lower(): value for name, value in request.headers.items()}})


class SlotHandler(Page):
    """Which frontend answers."""

    def get(self) -> None:
        settings = self.app.environment
        self.write({"slot": settings.slot, "pid": os.getpid(), "release": settings.release})
