"""The entry's own parts: the server that Autobahn asks, and the verdict on its report."""

import asyncio

from framework.testing import serving
from framework.websocket import websocket_connect
from tests.conformance.websocket.autobahn import judge, make_application


def test_echo_with_compression():
    async def scenario():
        async with serving(make_application()) as port:
            client = await websocket_connect(f"ws://127.0.0.1:{port}/", compression_options={})
            for message in ("text" * 100, b"bytes" * 100):
                await client.write_message(message, binary=isinstance(message, bytes))
                assert await client.read_message() == message
            client.close()

    asyncio.run(scenario())


def test_verdict_names_what_failed():
    index = {
        "squall": {
            "1.1": {"behavior": "OK", "behaviorClose": "OK"},
            "6.4.1": {"behavior": "NON-STRICT", "behaviorClose": "OK"},
            "7.1": {"behavior": "FAILED", "behaviorClose": "OK"},
            "7.2": {"behavior": "OK", "behaviorClose": "WRONG CODE"},
        }
    }
    counts, failed = judge(index)
    assert counts == {"OK": 2, "NON-STRICT": 1, "FAILED": 1}
    assert failed == ["7.1: FAILED, close OK", "7.2: OK, close WRONG CODE"]
