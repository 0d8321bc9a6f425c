// IAM on the AWS SDK for JavaScript: the life of a role.
import {
  AttachRolePolicyCommand, CreatePolicyCommand, CreateRoleCommand, DeletePolicyCommand, DeleteRoleCommand, DeleteRolePolicyCommand,
  DetachRolePolicyCommand, GetPolicyCommand, GetRoleCommand, GetRolePolicyCommand, IAMClient, ListRoleTagsCommand, PutRolePolicyCommand,
  TagRoleCommand, UpdateRoleCommand, paginateListAttachedRolePolicies, paginateListRoles, waitUntilRoleExists,
} from "@aws-sdk/client-iam";

const iam = new IAMClient({});
const RoleName = "JavaScriptRole";
const send = (Command, members) => iam.send(new Command({ RoleName, ...members }));
const statement = (rest) => JSON.stringify({ Version: "2012-10-17", Statement: [{ Effect: "Allow", ...rest }] });
const trust = statement({ Principal: { Service: "lambda.amazonaws.com" }, Action: "sts:AssumeRole" });
const grant = statement({ Action: "logs:*", Resource: "*" });

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
  for await (const page of paginator) list.push(...(pick(page) ?? []));
  return list;
}

const { Role } = await send(CreateRoleCommand, { AssumeRolePolicyDocument: trust });
ok("a role's document, as in a URL", decodeURIComponent(Role.AssumeRolePolicyDocument) === trust, Role);
await waitUntilRoleExists({ client: iam, maxWaitTime: 10 }, { RoleName });
await refused("a role that exists", "EntityAlreadyExistsException", send(CreateRoleCommand, { AssumeRolePolicyDocument: trust }));
await refused("a trust policy that is none", "MalformedPolicyDocumentException", send(CreateRoleCommand, { RoleName: "X", AssumeRolePolicyDocument: "{" }));
await send(UpdateRoleCommand, { Description: "changed" });
ok("its new description", (await send(GetRoleCommand)).Role.Description === "changed");
await refused("no such role", "NoSuchEntityException", send(GetRoleCommand, { RoleName: "Nobody" }));
await send(CreateRoleCommand, { RoleName: "Another", AssumeRolePolicyDocument: trust });
const roles = await all(paginateListRoles({ client: iam, pageSize: 1 }, {}), (p) => p.Roles);
ok("roles in pages", ["Another", RoleName].every((n) => roles.some((r) => r.RoleName === n)), roles);
await send(TagRoleCommand, { Tags: [{ Key: "a", Value: "1" }] });
ok("tags", JSON.stringify((await send(ListRoleTagsCommand)).Tags) === '[{"Key":"a","Value":"1"}]');

await send(PutRolePolicyCommand, { PolicyName: "own", PolicyDocument: grant });
const own = await send(GetRolePolicyCommand, { PolicyName: "own" });
ok("an inline policy", decodeURIComponent(own.PolicyDocument) === grant, own);
const { Policy } = await iam.send(new CreatePolicyCommand({ PolicyName: "JavaScriptGrant", PolicyDocument: grant }));
const arns = [Policy.Arn, "arn:aws:iam::aws:policy/ReadOnlyAccess"];
for (const PolicyArn of arns) await send(AttachRolePolicyCommand, { PolicyArn });
const attached = await all(paginateListAttachedRolePolicies({ client: iam, pageSize: 1 }, { RoleName }), (p) => p.AttachedPolicies);
ok("attached policies in pages", attached.length === 2, attached);
const shown = await iam.send(new GetPolicyCommand({ PolicyArn: Policy.Arn }));
ok("a policy in use", shown.Policy.AttachmentCount === 1, shown);
await refused("deleting it", "DeleteConflictException", iam.send(new DeletePolicyCommand({ PolicyArn: Policy.Arn })));
await refused("deleting the role", "DeleteConflictException", send(DeleteRoleCommand));
for (const PolicyArn of arns) await send(DetachRolePolicyCommand, { PolicyArn });
await send(DeleteRolePolicyCommand, { PolicyName: "own" });
await send(DeleteRoleCommand);
await iam.send(new DeletePolicyCommand({ PolicyArn: Policy.Arn }));
await refused("deleting a role again", "NoSuchEntityException", send(DeleteRoleCommand));
