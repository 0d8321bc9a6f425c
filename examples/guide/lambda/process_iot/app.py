"""ProcessIoTData: stores a reading in IoTDeviceData and pushes it to every
WebSocket client.

The guide's function, changed where it fails: numbers are decimals (boto3 refuses
floats), a missing ts is the time of arrival, what is no object is stored under
"unknown", a late reading does not replace a newer one, the scan reads every page,
and the posts go out side by side.
"""

import json
import os
import time
from concurrent.futures import ThreadPoolExecutor
from decimal import Decimal

import boto3
from botocore.config import Config
from botocore.exceptions import ClientError

TABLE_NAME = os.environ.get("DDB_TABLE", "IoTDeviceData")
CONN_TABLE = os.environ.get("CONNECTIONS_TABLE", "WebsocketConnections")
WEBSOCKET_API_ID = os.environ.get("WEBSOCKET_API_ID")
WEBSOCKET_STAGE = os.environ.get("WEBSOCKET_STAGE", "prod")
REGION = os.environ.get("AWS_REGION", "us-east-1")
POSTS = 16  # at once

dynamodb = boto3.resource("dynamodb")


def connections(table):
    """The ids of every connected client, page by page."""
    page = {"ProjectionExpression": "connectionId"}
    while True:
        answer = table.scan(**page)
        yield from (item["connectionId"] for item in answer.get("Items", []))
        if "LastEvaluatedKey" not in answer:
            return
        page["ExclusiveStartKey"] = answer["LastEvaluatedKey"]


def post_to_all_connections(text):
    table = dynamodb.Table(CONN_TABLE)
    gateway = boto3.client(
        "apigatewaymanagementapi",
        endpoint_url=f"https://{WEBSOCKET_API_ID}.execute-api.{REGION}.amazonaws.com/{WEBSOCKET_STAGE}",
        config=Config(max_pool_connections=POSTS),
    )

    def post(connection):
        try:
            gateway.post_to_connection(Data=text.encode("utf-8"), ConnectionId=connection)
        except ClientError as e:
            if e.response["Error"]["Code"] in ("GoneException", "410"):
                table.delete_item(Key={"connectionId": connection})
            else:
                print("Post error", e)

    with ThreadPoolExecutor(POSTS) as pool:
        list(pool.map(post, connections(table)))


def exact(value):
    """The value as boto3 stores it: numbers as decimals, digit for digit."""
    return json.loads(json.dumps(value), parse_float=Decimal)


def unwrap(event):
    """The reading in an event: the event, or its payload as JSON text or object."""
    if not isinstance(event, dict) or "payload" not in event:
        return event
    try:
        return json.loads(event["payload"])
    except (TypeError, ValueError):
        return event["payload"]


def store(payload):
    reading = payload if isinstance(payload, dict) else {}
    item = {
        "device_id": str(reading.get("device_id") or "unknown"),
        "ts": int(reading.get("ts", time.time())),
        "payload": exact(payload),
    }
    try:
        dynamodb.Table(TABLE_NAME).put_item(
            Item=item,
            ConditionExpression="attribute_not_exists(ts) OR ts <= :ts",
            ExpressionAttributeValues={":ts": item["ts"]},
        )
    except ClientError as e:
        if e.response["Error"]["Code"] != "ConditionalCheckFailedException":
            raise
        print("A newer reading is stored already:", item["device_id"], item["ts"])


def lambda_handler(event, context):
    print("Raw event:", event)
    payload = unwrap(event)
    store(payload)
    try:
        post_to_all_connections(json.dumps(payload))
    except Exception as e:  # a failed broadcast never fails the store
        print("Broadcast failed:", e)
    return {"statusCode": 200, "body": json.dumps({"message": "processed"})}
