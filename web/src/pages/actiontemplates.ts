// What an action of each kind looks like, in AWS's shape.

import type { Session } from "../api";

/** The kinds of actions, with one of each to start from. */
export function actionTemplates(session: Session | undefined): ReadonlyArray<readonly [string, Record<string, unknown>]> {
  const region = session?.region ?? "us-east-1";
  const account = session?.account ?? "123456789012";
  const roleArn = `arn:aws:iam::${account}:role/iot-rule`;
  return [
    ["lambda", { functionArn: `arn:aws:lambda:${region}:${account}:function:ProcessIoTData` }],
    ["republish", { topic: "alerts/${topic(2)}", qos: 1, roleArn }],
    ["dynamoDB", { tableName: "Readings", hashKeyField: "device_id", hashKeyValue: "${device_id}", rangeKeyField: "ts", rangeKeyType: "NUMBER", rangeKeyValue: "${timestamp()}", roleArn }],
    ["dynamoDBv2", { putItem: { tableName: "Readings" }, roleArn }],
    ["sqs", { queueUrl: `https://sqs.${region}.amazonaws.com/${account}/readings`, useBase64: false, roleArn }],
    ["kinesis", { streamName: "readings", partitionKey: "${topic()}", roleArn }],
    ["http", { url: "https://example.com/readings", confirmationUrl: "https://example.com/", headers: [{ key: "X-Topic", value: "${topic()}" }] }],
    ["cloudwatchLogs", { logGroupName: "/iot/readings", roleArn }],
  ].map(([kind, fields]) => [kind as string, { [kind as string]: fields }] as const);
}
