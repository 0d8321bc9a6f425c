// Exercises Lambda with AWS's SDK for JavaScript. LAMBDA_GO is a zip of a Go bootstrap.
import { readFile } from "node:fs/promises";
import {
  CreateFunctionCommand, DeleteFunctionCommand, GetFunctionCommand, GetPolicyCommand, AddPermissionCommand, InvokeCommand, LambdaClient,
  ListTagsCommand, PutFunctionConcurrencyCommand, TagResourceCommand, UntagResourceCommand, UpdateFunctionCodeCommand,
  UpdateFunctionConfigurationCommand, GetAccountSettingsCommand, ListVersionsByFunctionCommand, PublishVersionCommand,
  paginateListFunctions, waitUntilFunctionActiveV2, waitUntilFunctionUpdatedV2,
} from "@aws-sdk/client-lambda";

const client = new LambdaClient({ maxAttempts: 1 });
const send = (Command, input) => client.send(new Command(input));

function ok(what, holds = true, seen = "") {
  if (!holds) {
    console.error("not so:", what, seen);
    process.exit(1);
  }
  console.log("ok", what);
}

async function refuses(name, what, Command, input) {
  try {
    ok(`${name}: ${what}`, false, await send(Command, input));
  } catch (e) {
    ok(`${name}: ${what}`, e.name === name && e.message !== "", `${e.name}: ${e.message}`);
  }
}

const invoke = async (event, more = {}) => {
  const answer = await send(InvokeCommand, { FunctionName: "hello-js", Payload: JSON.stringify(event), ...more });
  return { ...answer, text: Buffer.from(answer.Payload ?? []).toString() };
};

const ZipFile = await readFile(process.env.LAMBDA_GO);
const made = await send(CreateFunctionCommand, {
  FunctionName: "hello-js", Runtime: "provided.al2023", Handler: "bootstrap", Role: "arn:aws:iam::123456789012:role/lambda",
  Code: { ZipFile }, Environment: { Variables: { GREETING: "hi" } },
});
ok("CreateFunction", made.State === "Active", made);
await waitUntilFunctionActiveV2({ client, maxWaitTime: 10 }, { FunctionName: "hello-js" });
ok("GetFunction", (await send(GetFunctionCommand, { FunctionName: "hello-js" })).Configuration.CodeSize === ZipFile.length);
const names = [];
for await (const page of paginateListFunctions({ client, pageSize: 2 }, {})) names.push(...page.Functions.map((f) => f.FunctionName));
ok("ListFunctions across pages", names.length === 5 && names.includes("hello-js"), names);
ok("ListVersionsByFunction", (await send(ListVersionsByFunctionCommand, { FunctionName: "hello-js" })).Versions.length === 1);

const tail = await invoke({ name: "Ada" }, { LogType: "Tail" });
ok("Invoke", JSON.parse(tail.text).said === "hi Ada" && Buffer.from(tail.LogResult, "base64").toString().includes("REPORT"), tail.text);
const failed = await invoke({ do: "fail" });
ok("a function error", failed.StatusCode === 200 && failed.FunctionError === "Unhandled", failed);
ok("Event", (await invoke({}, { InvocationType: "Event" })).StatusCode === 202);
ok("DryRun", (await invoke({}, { InvocationType: "DryRun" })).StatusCode === 204);
await refuses("InvalidRequestContentException", "no JSON", InvokeCommand, { FunctionName: "hello-js", Payload: "no JSON" });
await refuses("ResourceNotFoundException", "Invoke of none", InvokeCommand, { FunctionName: "none" });

await send(UpdateFunctionConfigurationCommand, { FunctionName: "hello-js", Environment: { Variables: { GREETING: "salve" } } });
await waitUntilFunctionUpdatedV2({ client, maxWaitTime: 10 }, { FunctionName: "hello-js" });
ok("UpdateFunctionConfiguration", JSON.parse((await invoke({ name: "Ada" })).text).said === "salve Ada");
ok("UpdateFunctionCode", (await send(UpdateFunctionCodeCommand, { FunctionName: "hello-js", ZipFile })).LastUpdateStatus === "Successful");
await refuses("InvalidParameterValueException", "S3", UpdateFunctionCodeCommand, { FunctionName: "hello-js", S3Bucket: "bucket", S3Key: "key" });
await refuses("PreconditionFailedException", "another revision", UpdateFunctionCodeCommand, { FunctionName: "hello-js", ZipFile, RevisionId: "x" });

await send(PutFunctionConcurrencyCommand, { FunctionName: "hello-js", ReservedConcurrentExecutions: 0 });
await refuses("TooManyRequestsException", "no concurrency", InvokeCommand, { FunctionName: "hello-js" });
const Resource = made.FunctionArn;
await send(TagResourceCommand, { Resource, Tags: { a: "1", b: "2" } });
await send(UntagResourceCommand, { Resource, TagKeys: ["a"] });
ok("tags", JSON.stringify((await send(ListTagsCommand, { Resource })).Tags) === '{"b":"2"}');
await send(AddPermissionCommand, { FunctionName: "hello-js", StatementId: "api", Action: "lambda:InvokeFunction", Principal: "apigateway.amazonaws.com" });
ok("permissions", (await send(GetPolicyCommand, { FunctionName: "hello-js" })).Policy.includes("apigateway.amazonaws.com"));
ok("GetAccountSettings", (await send(GetAccountSettingsCommand, {})).AccountUsage.FunctionCount === 5);
await refuses("UnsupportedOperationException", "PublishVersion", PublishVersionCommand, { FunctionName: "hello-js" });
await send(DeleteFunctionCommand, { FunctionName: "hello-js" });
await refuses("ResourceNotFoundException", "GetFunction of none", GetFunctionCommand, { FunctionName: "hello-js" });
