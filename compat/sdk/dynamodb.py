"""DynamoDB through boto3: tables, items, pages, batches, transactions, errors."""

from decimal import Decimal

import boto3
from boto3.dynamodb.conditions import Attr, Key
from botocore.exceptions import ClientError


def refused(code, call, **members):
    """Checks that a call is refused under a code, and returns the error."""
    try:
        call(**members)
    except ClientError as e:
        assert e.response["Error"]["Code"] == code, e
        return e.response
    raise AssertionError(f"{code} was expected")


def attribute(name, kind):
    return {"AttributeName": name, "AttributeType": kind}


def key(name, kind):
    return {"AttributeName": name, "KeyType": kind}


client = boto3.client("dynamodb")
dynamodb = boto3.resource("dynamodb")

table = dynamodb.create_table(
    TableName="Readings",
    KeySchema=[key("device", "HASH"), key("ts", "RANGE")],
    AttributeDefinitions=[attribute("device", "S"), attribute("ts", "N"), attribute("site", "S")],
    GlobalSecondaryIndexes=[
        {"IndexName": "by-site", "KeySchema": [key("site", "HASH"), key("ts", "RANGE")], "Projection": {"ProjectionType": "ALL"}}
    ],
    BillingMode="PAY_PER_REQUEST",
)
table.wait_until_exists()
assert table.table_status == "ACTIVE"
refused("ResourceInUseException", client.create_table, TableName="Readings", KeySchema=[key("p", "HASH")],
        AttributeDefinitions=[attribute("p", "S")], BillingMode="PAY_PER_REQUEST")
print("ok a table is created, and once only")

with table.batch_writer() as batch:
    for i in range(60):
        batch.put_item(Item={"device": "d1", "ts": i, "site": f"s{i % 2}", "value": Decimal("21.5"), "frame": b"\x00\xff", "tags": {"a", "b"}})
item = table.get_item(Key={"device": "d1", "ts": 7})["Item"]
assert item["value"] == Decimal("21.5") and item["tags"] == {"a", "b"} and bytes(item["frame"]) == b"\x00\xff", item
assert "Item" not in table.get_item(Key={"device": "d1", "ts": 99})
print("ok items are written in batches and read back")

pages = list(client.get_paginator("query").paginate(
    TableName="Readings", KeyConditionExpression="device = :d AND ts >= :t", PaginationConfig={"PageSize": 7},
    ExpressionAttributeValues={":d": {"S": "d1"}, ":t": {"N": "10"}}))
assert len(pages) > 5 and [int(i["ts"]["N"]) for p in pages for i in p["Items"]] == list(range(10, 60))
found = table.query(IndexName="by-site", KeyConditionExpression=Key("site").eq("s1") & Key("ts").between(1, 5), ScanIndexForward=False)
assert [int(i["ts"]) for i in found["Items"]] == [5, 3, 1], found
seen = [i for s in range(3) for p in client.get_paginator("scan").paginate(TableName="Readings", Segment=s, TotalSegments=3, PaginationConfig={"PageSize": 11}) for i in p["Items"]]
assert len(seen) == 60
assert table.scan(FilterExpression=Attr("ts").lt(3), Select="COUNT")["Count"] == 3
print("ok queries and scans across pages, indexes and segments")

out = table.update_item(Key={"device": "d1", "ts": 1}, UpdateExpression="ADD #v :one REMOVE frame", ExpressionAttributeNames={"#v": "value"},
                        ExpressionAttributeValues={":one": 1}, ReturnValues="UPDATED_NEW", ReturnConsumedCapacity="TOTAL")
assert out["Attributes"] == {"value": Decimal("22.5")} and out["ConsumedCapacity"]["CapacityUnits"] == 2, out
failed = refused("ConditionalCheckFailedException", client.put_item, TableName="Readings", Item={"device": {"S": "d1"}, "ts": {"N": "1"}},
                 ConditionExpression="attribute_not_exists(device)", ReturnValuesOnConditionCheckFailure="ALL_OLD")
assert failed["Item"]["value"] == {"N": "22.5"}, failed
assert table.delete_item(Key={"device": "d1", "ts": 1}, ReturnValues="ALL_OLD")["Attributes"]["site"] == "s1"
print("ok items are updated, guarded and deleted")

put = {"Put": {"TableName": "Readings", "Item": {"device": {"S": "d2"}, "ts": {"N": "1"}}}}
absent = {"ConditionCheck": {"TableName": "Readings", "Key": {"device": {"S": "d3"}, "ts": {"N": "1"}}, "ConditionExpression": "attribute_exists(device)"}}
canceled = refused("TransactionCanceledException", client.transact_write_items, TransactItems=[put, absent])
assert [r["Code"] for r in canceled["CancellationReasons"]] == ["None", "ConditionalCheckFailed"], canceled
client.transact_write_items(TransactItems=[put], ClientRequestToken="once")
client.transact_write_items(TransactItems=[put], ClientRequestToken="once")
refused("IdempotentParameterMismatchException", client.transact_write_items, ClientRequestToken="once",
        TransactItems=[{"Delete": {"TableName": "Readings", "Key": {"device": {"S": "d2"}, "ts": {"N": "1"}}}}])
got = client.transact_get_items(TransactItems=[{"Get": {"TableName": "Readings", "Key": {"device": {"S": "d2"}, "ts": {"N": "1"}}}}])
assert got["Responses"][0]["Item"]["device"] == {"S": "d2"}, got
print("ok transactions are all or nothing, and once")

client.update_time_to_live(TableName="Readings", TimeToLiveSpecification={"Enabled": True, "AttributeName": "end"})
assert client.describe_time_to_live(TableName="Readings")["TimeToLiveDescription"] == {"TimeToLiveStatus": "ENABLED", "AttributeName": "end"}
arn = table.table_arn
client.tag_resource(ResourceArn=arn, Tags=[{"Key": "team", "Value": "iot"}])
client.untag_resource(ResourceArn=arn, TagKeys=["none"])
assert client.list_tags_of_resource(ResourceArn=arn)["Tags"] == [{"Key": "team", "Value": "iot"}]
client.update_table(TableName="Readings", DeletionProtectionEnabled=True)
refused("ValidationException", client.delete_table, TableName="Readings")
client.update_table(TableName="Readings", DeletionProtectionEnabled=False)
assert client.describe_limits()["TableMaxReadCapacityUnits"] > 0 and client.describe_endpoints()["Endpoints"]
assert client.describe_continuous_backups(TableName="Readings")["ContinuousBackupsDescription"]["ContinuousBackupsStatus"] == "DISABLED"
print("ok settings, tags and limits")

refused("ResourceNotFoundException", client.get_item, TableName="Nothing", Key={"p": {"S": "a"}})
refused("ResourceNotFoundException", client.describe_table, TableName="Nothing")
refused("ValidationException", client.get_item, TableName="Readings", Key={"device": {"S": "a"}})
refused("ValidationException", client.put_item, TableName="Readings", Item={"device": {"S": "a"}, "ts": {"S": "1"}})
refused("ValidationException", client.query, TableName="Readings", KeyConditionExpression="device > :d", ExpressionAttributeValues={":d": {"S": "a"}})
refused("UnsupportedOperationException", client.execute_statement, Statement="SELECT * FROM Readings")
print("ok errors have AWS's codes")

for i in range(5):
    client.create_table(TableName=f"Page{i}", KeySchema=[key("p", "HASH")], AttributeDefinitions=[attribute("p", "S")], BillingMode="PAY_PER_REQUEST")
names = [n for p in client.get_paginator("list_tables").paginate(PaginationConfig={"PageSize": 2}) for n in p["TableNames"]]
assert [n for n in names if n.startswith("Page")] == [f"Page{i}" for i in range(5)] and "Readings" in names, names
table.delete()
table.wait_until_not_exists()
print("ok tables are listed across pages and deleted")
