// DynamoDB through the JavaScript SDK v3, whose retries and checksums are its own.
import assert from "node:assert/strict";
import {
  ConditionalCheckFailedException, CreateTableCommand, DeleteItemCommand, DeleteTableCommand, DynamoDBClient, GetItemCommand,
  PutItemCommand, QueryCommand, ResourceNotFoundException, TransactWriteItemsCommand, TransactionCanceledException,
  UpdateItemCommand, paginateListTables, paginateScan, waitUntilTableExists, waitUntilTableNotExists,
} from "@aws-sdk/client-dynamodb";

const client = new DynamoDBClient({});
const TableName = "Sessions";

await client.send(new CreateTableCommand({
  TableName, BillingMode: "PAY_PER_REQUEST",
  KeySchema: [{ AttributeName: "id", KeyType: "HASH" }], AttributeDefinitions: [{ AttributeName: "id", AttributeType: "S" }],
}));
await waitUntilTableExists({ client, maxWaitTime: 30 }, { TableName });
console.log("ok a table is created");

const item = { id: { S: "ü" }, list: { L: [{ NULL: true }, { BOOL: false }] }, bytes: { B: new Uint8Array([0, 255]) }, big: { N: "12345678901234567890123456789012345678" } };
await client.send(new PutItemCommand({ TableName, Item: item }));
const got = await client.send(new GetItemCommand({ TableName, Key: { id: { S: "ü" } }, ConsistentRead: true }));
assert.deepEqual(got.Item, item);
console.log("ok an item of many types comes back as it was");

const updated = await client.send(new UpdateItemCommand({
  TableName, Key: { id: { S: "n" } }, UpdateExpression: "SET n = if_not_exists(n, :z) + :one",
  ExpressionAttributeValues: { ":z": { N: "0" }, ":one": { N: "1" } }, ReturnValues: "ALL_NEW",
}));
assert.equal(updated.Attributes.n.N, "1");
const queried = await client.send(new QueryCommand({ TableName, KeyConditionExpression: "id = :i", ExpressionAttributeValues: { ":i": { S: "n" } } }));
assert.equal(queried.Count, 1);
console.log("ok an item is made by an update and found by a query");

await assert.rejects(client.send(new DeleteItemCommand({
  TableName, Key: { id: { S: "n" } }, ConditionExpression: "n > :one", ExpressionAttributeValues: { ":one": { N: "1" } }, ReturnValuesOnConditionCheckFailure: "ALL_OLD",
})), (e) => e instanceof ConditionalCheckFailedException && e.Item.n.N === "1");
await assert.rejects(client.send(new GetItemCommand({ TableName: "Nothing", Key: { id: { S: "a" } } })), ResourceNotFoundException);
await assert.rejects(client.send(new TransactWriteItemsCommand({
  TransactItems: [{ ConditionCheck: { TableName, Key: { id: { S: "none" } }, ConditionExpression: "attribute_exists(id)" } }],
})), (e) => e instanceof TransactionCanceledException && e.CancellationReasons[0].Code === "ConditionalCheckFailed");
console.log("ok errors are the SDK's own classes");

for (let i = 0; i < 25; i++) await client.send(new PutItemCommand({ TableName, Item: { id: { S: `p${i}` } } }));
let scanned = 0;
for await (const page of paginateScan({ client, pageSize: 10 }, { TableName })) scanned += page.Count;
assert.equal(scanned, 27);
const names = [];
for await (const page of paginateListTables({ client, pageSize: 1 }, {})) names.push(...page.TableNames);
assert.ok(names.includes(TableName));
await client.send(new DeleteTableCommand({ TableName }));
await waitUntilTableNotExists({ client, maxWaitTime: 30 }, { TableName });
console.log("ok items and tables are listed across pages, and the table deleted");
