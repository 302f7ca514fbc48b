import asyncio

import pycurl

from framework.httpclient.multi import Multi
from framework.testing import serving
from tests.support.rawhttp import hello


def test_transfers_share_a_connection_and_leave_nothing_watched():
    async def run():
        loop = asyncio.get_running_loop()
        multi = Multi(loop, 4)
        async with serving(hello) as port:
            made = []
            for _ in range(3):
                done = loop.create_future()
                curl = pycurl.Curl()
                curl.setopt(pycurl.URL, f"http://127.0.0.1:{port}/")
                curl.setopt(pycurl.WRITEFUNCTION, len)
                multi.add(curl, lambda errno, message, done=done: done.set_result((errno, message)))
                assert await done == (0, "")
                made.append(curl.getinfo(pycurl.NUM_CONNECTS))
            multi.close()
            return made

    assert asyncio.run(run()) == [1, 0, 0]


def test_close_ends_what_runs():
    async def run():
        multi = Multi(asyncio.get_running_loop(), 4)
        async with serving(lambda request: None) as port:
            curl = pycurl.Curl()
            curl.setopt(pycurl.URL, f"http://127.0.0.1:{port}/")
            ended = []
            multi.add(curl, lambda errno, message: ended.append(errno))
            await asyncio.sleep(0)
            multi.close()
            return ended

    assert asyncio.run(run()) == []
