// CloudWatch Logs on the AWS SDK for JavaScript: the life of a group.
import {
  CloudWatchLogsClient, CreateLogGroupCommand, CreateLogStreamCommand, DeleteLogGroupCommand, DeleteLogStreamCommand,
  GetLogEventsCommand, ListTagsForResourceCommand, PutLogEventsCommand, PutRetentionPolicyCommand, DeleteRetentionPolicyCommand,
  TagResourceCommand, UntagResourceCommand, paginateDescribeLogGroups, paginateDescribeLogStreams,
  paginateFilterLogEvents,
} from "@aws-sdk/client-cloudwatch-logs";

const logs = new CloudWatchLogsClient({});
const group = { logGroupName: "/compat/javascript" };
const send = (Command, members) => logs.send(new Command({ ...group, ...members }));

function ok(what, holds = true, got = undefined) {
  if (!holds) {
    console.error("not so:", what, JSON.stringify(got));
    process.exit(1);
  }
  console.log("ok", what);
}

async function refused(what, name, call) {
  try {
    ok("not refused: " + what, false, await call);
  } catch (e) {
    ok(what, e.name === name, e);
  }
}

async function all(paginator, pick) {
  const list = [];
  for await (const page of paginator) list.push(...pick(page));
  return list;
}

await send(CreateLogGroupCommand);
await refused("a group that exists", "ResourceAlreadyExistsException", send(CreateLogGroupCommand));
await send(PutRetentionPolicyCommand, { retentionInDays: 7 });
const groups = await all(paginateDescribeLogGroups({ client: logs, pageSize: 1 }, {}), (p) => p.logGroups);
const mine = groups.find((g) => g.logGroupName === group.logGroupName);
ok("the group in pages", mine?.retentionInDays === 7, groups);
await send(DeleteRetentionPolicyCommand);
const resourceArn = mine.logGroupArn;
await logs.send(new TagResourceCommand({ resourceArn, tags: { a: "1", b: "2" } }));
await logs.send(new UntagResourceCommand({ resourceArn, tagKeys: ["a"] }));
const { tags } = await logs.send(new ListTagsForResourceCommand({ resourceArn }));
ok("tags", JSON.stringify(tags) === '{"b":"2"}', tags);

for (const logStreamName of ["s", "t"]) await send(CreateLogStreamCommand, { logStreamName });
const streams = await all(paginateDescribeLogStreams({ client: logs, pageSize: 1 }, { ...group }), (p) => p.logStreams);
ok("streams in pages", streams.map((s) => s.logStreamName).join() === "s,t", streams);
const now = Date.now();
const logEvents = [0, 1, 2, 3, 4].map((i) => ({ timestamp: now + i, message: `line ${i}` }));
await send(PutLogEventsCommand, { logStreamName: "s", logEvents });
const got = await send(GetLogEventsCommand, { logStreamName: "s", limit: 2 });
ok("the latest events", got.events.map((e) => e.message).join() === "line 3,line 4", got);
const found = await all(paginateFilterLogEvents({ client: logs, pageSize: 2 }, { ...group, filterPattern: '-"line 2"' }), (p) => p.events);
ok("a pattern over pages", found.map((e) => e.message.at(-1)).join("") === "0134", found);
await refused("a stream that is not there", "ResourceNotFoundException", send(GetLogEventsCommand, { logStreamName: "z" }));
await refused("a bad pattern", "InvalidParameterException", all(paginateFilterLogEvents({ client: logs }, { ...group, filterPattern: "{" }), (p) => p.events));
await send(DeleteLogStreamCommand, { logStreamName: "s" });
await send(DeleteLogGroupCommand);
await refused("deleting a group again", "ResourceNotFoundException", send(DeleteLogGroupCommand));
