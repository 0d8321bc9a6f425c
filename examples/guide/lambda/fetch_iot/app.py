"""FetchIoTData: the latest item of a device, or the latest items of many.

The guide's function, changed where it fails: decimals are written as the numbers
they are, and a limit and a cursor reach the devices behind the first fifty.
"""

import json
import os
from decimal import Decimal

import boto3

TABLE_NAME = os.environ.get("DDB_TABLE", "IoTDeviceData")
dynamodb = boto3.resource("dynamodb")


def number(value):
    if not isinstance(value, Decimal):
        raise TypeError(f"{type(value)} has no JSON")
    return int(value) if value == value.to_integral_value() else float(value)


def lambda_handler(event, context):
    params = event.get("queryStringParameters") or {}
    table = dynamodb.Table(TABLE_NAME)
    headers = {"Content-Type": "application/json"}
    if params.get("device_id"):
        body = table.get_item(Key={"device_id": params["device_id"]}).get("Item") or {}
    else:
        page = {"Limit": int(params.get("limit", 50))}
        if params.get("cursor"):
            page["ExclusiveStartKey"] = {"device_id": params["cursor"]}
        answer = table.scan(**page)
        body = answer.get("Items", [])
        if "LastEvaluatedKey" in answer:
            headers["X-Cursor"] = answer["LastEvaluatedKey"]["device_id"]
    return {"statusCode": 200, "headers": headers, "body": json.dumps(body, default=number)}
