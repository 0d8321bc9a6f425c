"""A WebSocket client: prints "connected", then COUNT text frames, a line each.

    python listen.py URL COUNT [MESSAGE …]

Each MESSAGE is sent once connected. It gives up after a minute.
"""

import asyncio
import sys

import websockets


async def listen(url, count, messages):
    async with websockets.connect(url) as ws:
        print("connected", flush=True)
        for message in messages:
            await ws.send(message)
        for _ in range(count):
            print(await ws.recv(), flush=True)


asyncio.run(asyncio.wait_for(listen(sys.argv[1], int(sys.argv[2]), sys.argv[3:]), 60))
