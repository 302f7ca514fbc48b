"""Runs the feed on a developer's machine: `python -m app --port=8888`. Needs a database; the bus is optional."""

import asyncio
import sys

from app.application import make_application
from framework.errors import FrameworkError
from framework.httpserver import HTTPServer
from framework.log import define_logging_options, enable_pretty_logging
from framework.options import options


async def main() -> None:
    application = make_application()
    await application.warm_up()
    server = HTTPServer(application)
    server.listen(options.port, "127.0.0.1")
    print(f"http://127.0.0.1:{options.port}/", file=sys.stderr)
    try:
        await asyncio.Event().wait()
    finally:
        server.stop()
        await application.shut_down()


if __name__ == "__main__":
    options.define("port", default=8888, help="listen on this port of 127.0.0.1")
    define_logging_options()
    try:
        options.parse_environment(final=False)
        options.parse_command_line()
        enable_pretty_logging()
        asyncio.run(main())
    except FrameworkError as error:
        sys.exit(f"app: {error}")
    except KeyboardInterrupt:
        pass
