"""OnDisconnect: removes the id of a WebSocket client that has left."""

import os

import boto3

CONN_TABLE = os.environ.get("CONNECTIONS_TABLE", "WebsocketConnections")
dynamodb = boto3.resource("dynamodb")


def lambda_handler(event, context):
    connection = event["requestContext"]["connectionId"]
    dynamodb.Table(CONN_TABLE).delete_item(Key={"connectionId": connection})
    return {"statusCode": 200}
