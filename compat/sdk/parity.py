"""Publishes messages through a rule and prints, as one JSON document, what comes
of them: the frames that a WebSocket client gets which listens and one which
follows the device "followed" only, and the items of the guide's tables.

    python parity.py WEBSOCKET_URL MESSAGES.json

MESSAGES.json is a list of {"Payload", "Refused", "Settled"}: Refused messages give
no frame, and before Settled ones everything earlier has been pushed a second ago.
The last one is of "followed".
"""

import asyncio
import json
import sys

import boto3
import websockets

url, messages = sys.argv[1], json.load(open(sys.argv[2]))
data, dynamodb = boto3.client("iot-data"), boto3.client("dynamodb")


def publish(payload):
    data.publish(topic="sensor/data", qos=1, payload=payload.encode())


def scan(table, *names):
    pages = dynamodb.get_paginator("scan").paginate(TableName=table)
    return [{name: item.get(name) for name in names} for page in pages for item in page["Items"]]


async def main():
    listening, narrowed, answers = [], [], []
    async with websockets.connect(url) as everything, websockets.connect(url) as followed:
        for action in ({"action": "nonsense"}, {"action": "subscribe", "device_id": "followed"}):
            await followed.send(json.dumps(action))
            answers.append(await followed.recv())
        expected = 0
        for message in messages:
            if message["Settled"]:
                while len(listening) < expected:
                    listening.append(await everything.recv())
                await asyncio.sleep(1.1)
            await asyncio.to_thread(publish, message["Payload"])
            expected += not message["Refused"]
        while len(listening) < expected:
            listening.append(await everything.recv())
        while messages[-1]["Payload"] not in narrowed:
            narrowed.append(await followed.recv())
        connections = scan("WebsocketConnections", "connectedAt", "sourceIp", "userAgent")
    items = scan("IoTDeviceData", "device_id", "ts", "payload")
    print(json.dumps({"answers": answers, "listening": listening, "narrowed": narrowed, "items": items, "connections": connections}, sort_keys=True))


asyncio.run(asyncio.wait_for(main(), 100))
