"""OnConnect: stores the id of a WebSocket client that comes in."""

import os

import boto3

CONN_TABLE = os.environ.get("CONNECTIONS_TABLE", "WebsocketConnections")
dynamodb = boto3.resource("dynamodb")


def lambda_handler(event, context):
    connection = event["requestContext"]["connectionId"]
    dynamodb.Table(CONN_TABLE).put_item(Item={"connectionId": connection})
    return {"statusCode": 200}
