// Makes the guide's WebSocket API with the JavaScript SDK, connects to it and
// pushes to the connection, on a server that began empty.
import * as gw from "@aws-sdk/client-apigatewayv2";
import * as mgmt from "@aws-sdk/client-apigatewaymanagementapi";
import { LambdaClient, AddPermissionCommand } from "@aws-sdk/client-lambda";

function ok(what, holds = true) {
  if (!holds) throw new Error(`not so: ${what}`);
  console.log("ok", what);
}

const region = process.env.AWS_REGION;
const account = process.env.ACCOUNT_ID;
const endpoint = process.env.AWS_ENDPOINT_URL;
const client = new gw.ApiGatewayV2Client({ endpoint });
const send = (name, input) => client.send(new gw[name + "Command"](input));

const api = await send("CreateApi", { Name: "js", ProtocolType: "WEBSOCKET", RouteSelectionExpression: "$request.body.action" });
const ApiId = api.ApiId;
ok("CreatedDate is a date", api.CreatedDate instanceof Date && !Number.isNaN(api.CreatedDate.valueOf()));
const lambda = new LambdaClient({ endpoint });
for (const [RouteKey, name] of [["$connect", "OnConnect"], ["$disconnect", "OnDisconnect"], ["$default", "OnConnect"]]) {
  const { IntegrationId } = await send("CreateIntegration", {
    ApiId, IntegrationType: "AWS_PROXY", IntegrationUri: `arn:aws:lambda:${region}:${account}:function:${name}`,
  });
  await send("CreateRoute", { ApiId, RouteKey, Target: `integrations/${IntegrationId}` });
  if (RouteKey !== "$default") {
    await lambda.send(new AddPermissionCommand({
      FunctionName: name, StatementId: "js", Action: "lambda:InvokeFunction", Principal: "apigateway.amazonaws.com",
      SourceArn: `arn:aws:execute-api:${region}:${account}:${ApiId}/*/${RouteKey}`,
    }));
  }
}
await send("CreateStage", { ApiId, StageName: "prod", AutoDeploy: true });
const seen = [];
for (let NextToken; ;) {
  const page = await send("GetRoutes", { ApiId, MaxResults: "1", NextToken });
  seen.push(...page.Items);
  if (!(NextToken = page.NextToken)) break;
}
ok("GetRoutes across pages", seen.length === 3);

const socket = new WebSocket(`${api.ApiEndpoint}/prod`);
const inbox = [];
let wake = () => {};
socket.onmessage = (e) => { inbox.push(e.data); wake(); };
const next = async () => {
  while (inbox.length === 0) await new Promise((resolve) => { wake = resolve; });
  return inbox.shift();
};
await new Promise((resolve, reject) => { socket.onopen = resolve; socket.onerror = () => reject(new Error("no connection")); });
socket.send('{"action":"subscribe","device_id":"MyDevice001"}');
ok("the built-in function's connections listen to readings", await next() === '{"action":"subscribed","device_id":"MyDevice001"}');
socket.send("hello");
const ConnectionId = JSON.parse(await next()).connectionId;

const connections = new mgmt.ApiGatewayManagementApiClient({ endpoint: api.ApiEndpoint.replace("ws", "http") + "/prod" });
await connections.send(new mgmt.PostToConnectionCommand({ ConnectionId, Data: "from the SDK" }));
ok("PostToConnection", await next() === "from the SDK");
const info = await connections.send(new mgmt.GetConnectionCommand({ ConnectionId }));
ok("GetConnection", info.Identity.SourceIp === "127.0.0.1" && info.ConnectedAt instanceof Date);
const closed = new Promise((resolve) => { socket.onclose = resolve; });
await connections.send(new mgmt.DeleteConnectionCommand({ ConnectionId }));
ok("DeleteConnection closes with 1000", (await closed).code === 1000);
try {
  await connections.send(new mgmt.PostToConnectionCommand({ ConnectionId, Data: "late" }));
  throw new Error("a post to a closed connection succeeded");
} catch (e) {
  ok("then it is gone", e instanceof mgmt.GoneException && e.$metadata.httpStatusCode === 410);
}
await send("DeleteApi", { ApiId });
try {
  await send("GetApi", { ApiId });
  throw new Error("a deleted API is there");
} catch (e) {
  ok("a deleted API is not found", e instanceof gw.NotFoundException);
}
