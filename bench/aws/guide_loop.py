"""The guide's broadcast: every connection of the table, one post after another.

    python guide_loop.py API_ID

Prints "ready", and then broadcasts for each line that it reads, answering "done".
The table and the management API are those of AWS_ENDPOINT_URL.
"""

import json
import os
import sys

import boto3

table = boto3.resource("dynamodb").Table("WebsocketConnections")
gateway = boto3.client("apigatewaymanagementapi", endpoint_url=f"{os.environ['AWS_ENDPOINT_URL']}/{sys.argv[1]}/prod")
payload = json.dumps({"device_id": "bench", "temperature": 24.85}).encode("utf-8")


def broadcast():
    page = {"ProjectionExpression": "connectionId"}
    while True:
        answer = table.scan(**page)
        for item in answer.get("Items", []):
            gateway.post_to_connection(Data=payload, ConnectionId=item["connectionId"])
        if "LastEvaluatedKey" not in answer:
            return
        page["ExclusiveStartKey"] = answer["LastEvaluatedKey"]


print("ready", flush=True)
for _ in sys.stdin:
    broadcast()
    print("done", flush=True)
