"""IAM on boto3: every operation that Fieldline has, with its errors."""

import json

import boto3
from botocore.exceptions import ClientError

iam = boto3.client("iam", region_name="eu-west-1")  # IAM answers for every region
ROLE = "LambdaRole"
TRUST = {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Principal": {"Service": "lambda.amazonaws.com"}, "Action": "sts:AssumeRole"}]}
GRANT = {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": ["dynamodb:PutItem"], "Resource": "arn:aws:dynamodb:*:*:table/IoT+Data"}]}
BASIC = "arn:aws:iam::aws:policy/service-role/AWSLambdaBasicExecutionRole"


def ok(what, holds=True, got=None):
    if not holds:
        raise SystemExit(f"not so: {what}: {got}")
    print("ok", what)


def refused(what, status, code, call, **members):
    try:
        got = call(**members)
    except ClientError as e:
        answer = e.response
        ok(what, answer["Error"]["Code"] == code and answer["ResponseMetadata"]["HTTPStatusCode"] == status, answer)
    else:
        raise SystemExit(f"not refused: {what}: {got}")


# Roles.
role = iam.create_role(RoleName=ROLE, AssumeRolePolicyDocument=json.dumps(TRUST), Path="/service-role/",
                       Description="what a function may do", Tags=[{"Key": "team", "Value": "compat"}])["Role"]
ok("a role's ARN", role["Arn"].endswith(":role/service-role/" + ROLE) and role["RoleId"].startswith("AROA"), role)
ok("its document comes back decoded", role["AssumeRolePolicyDocument"] == TRUST, role)
refused("a role that exists", 409, "EntityAlreadyExists", iam.create_role, RoleName=ROLE.lower(), AssumeRolePolicyDocument=json.dumps(TRUST))
refused("a trust policy that is none", 400, "MalformedPolicyDocument", iam.create_role, RoleName="X", AssumeRolePolicyDocument="{}")
refused("a name with a blank", 400, "ValidationError", iam.create_role, RoleName="a b", AssumeRolePolicyDocument=json.dumps(TRUST))
refused("a long trust policy", 409, "LimitExceeded", iam.create_role, RoleName="X",
        AssumeRolePolicyDocument=json.dumps({**TRUST, "Id": "x" * 2048}))
iam.get_waiter("role_exists").wait(RoleName=ROLE)
got = iam.get_role(RoleName=ROLE)["Role"]
ok("a role is shown whole", got["Tags"] == [{"Key": "team", "Value": "compat"}] and got["CreateDate"] == role["CreateDate"], got)
refused("no such role", 404, "NoSuchEntity", iam.get_role, RoleName="Nobody")
for i in range(4):
    iam.create_role(RoleName=f"many-{i}", AssumeRolePolicyDocument=json.dumps(TRUST))
pages = list(iam.get_paginator("list_roles").paginate(PaginationConfig={"PageSize": 2}))
names = [r["RoleName"] for p in pages for r in p["Roles"]]
ok("roles in pages", len(pages) == 3 and names == [ROLE] + [f"many-{i}" for i in range(4)], names)
ok("roles of a path", [r["RoleName"] for r in iam.list_roles(PathPrefix="/service-role/")["Roles"]] == [ROLE])
ok("roles of no path", iam.list_roles(PathPrefix="/none/")["Roles"] == [])
iam.update_role(RoleName=ROLE, MaxSessionDuration=7200)
iam.update_assume_role_policy(RoleName=ROLE, PolicyDocument=json.dumps({**TRUST, "Id": "second"}))
got = iam.get_role(RoleName=ROLE)["Role"]
ok("a role changes in part", got["MaxSessionDuration"] == 7200 and got["Description"] == "what a function may do"
   and got["AssumeRolePolicyDocument"]["Id"] == "second", got)
refused("a session of a week", 400, "ValidationError", iam.update_role, RoleName=ROLE, MaxSessionDuration=604800)
refused("an update of a trust policy to none", 400, "MalformedPolicyDocument", iam.update_assume_role_policy, RoleName=ROLE, PolicyDocument=json.dumps(GRANT))
iam.tag_role(RoleName=ROLE, Tags=[{"Key": "room", "Value": "7"}])
iam.untag_role(RoleName=ROLE, TagKeys=["team"])
ok("tags", iam.list_role_tags(RoleName=ROLE)["Tags"] == [{"Key": "room", "Value": "7"}])
refused("51 tags", 409, "LimitExceeded", iam.tag_role, RoleName=ROLE, Tags=[{"Key": f"k{i}", "Value": ""} for i in range(50)])

# Policies of a role.
for name in ("b", "a"):
    iam.put_role_policy(RoleName=ROLE, PolicyName=name, PolicyDocument=json.dumps(GRANT))
ok("an inline policy", iam.get_role_policy(RoleName=ROLE, PolicyName="a")["PolicyDocument"] == GRANT)
pages = list(iam.get_paginator("list_role_policies").paginate(RoleName=ROLE, PaginationConfig={"PageSize": 1}))
ok("inline policies in pages", [p["PolicyNames"] for p in pages] == [["a"], ["b"]], pages)
refused("an inline policy with a principal", 400, "MalformedPolicyDocument", iam.put_role_policy, RoleName=ROLE, PolicyName="c", PolicyDocument=json.dumps(TRUST))
refused("no such inline policy", 404, "NoSuchEntity", iam.get_role_policy, RoleName=ROLE, PolicyName="c")

policy = iam.create_policy(PolicyName="Grant", PolicyDocument=json.dumps(GRANT), Description="put")["Policy"]
arn = policy["Arn"]
refused("a policy that exists", 409, "EntityAlreadyExists", iam.create_policy, PolicyName="Grant", PolicyDocument=json.dumps(GRANT))
refused("a policy that is none", 400, "MalformedPolicyDocument", iam.create_policy, PolicyName="X", PolicyDocument="no JSON")
for attached in (arn, BASIC):
    iam.attach_role_policy(RoleName=ROLE, PolicyArn=attached)
pages = list(iam.get_paginator("list_attached_role_policies").paginate(RoleName=ROLE, PaginationConfig={"PageSize": 1}))
ok("attached policies in pages", [p["AttachedPolicies"][0]["PolicyName"] for p in pages] == ["Grant", "AWSLambdaBasicExecutionRole"], pages)
refused("attaching what is not there", 404, "NoSuchEntity", iam.attach_role_policy, RoleName=ROLE, PolicyArn=arn + "2")
refused("attaching what is no policy", 400, "InvalidInput", iam.attach_role_policy, RoleName=ROLE, PolicyArn="not the ARN of a policy")
got = iam.get_policy(PolicyArn=arn)["Policy"]
ok("a managed policy", got["AttachmentCount"] == 1 and got["DefaultVersionId"] == "v1" and got["Description"] == "put", got)
version = iam.get_policy_version(PolicyArn=arn, VersionId=got["DefaultVersionId"])["PolicyVersion"]
ok("its document", version["Document"] == GRANT and version["IsDefaultVersion"], version)
ok("its versions", [v["VersionId"] for v in iam.list_policy_versions(PolicyArn=arn)["Versions"]] == ["v1"])
refused("no such version", 404, "NoSuchEntity", iam.get_policy_version, PolicyArn=arn, VersionId="v2")
iam.create_policy(PolicyName="Idle", PolicyDocument=json.dumps(GRANT))
pages = list(iam.get_paginator("list_policies").paginate(Scope="Local", PaginationConfig={"PageSize": 1}))
ok("policies in pages", [p["Policies"][0]["PolicyName"] for p in pages] == ["Grant", "Idle"], pages)
ok("attached policies only", [p["PolicyName"] for p in iam.list_policies(OnlyAttached=True)["Policies"]] == ["Grant"])

# The end.
refused("deleting a policy in use", 409, "DeleteConflict", iam.delete_policy, PolicyArn=arn)
refused("deleting a role with policies", 409, "DeleteConflict", iam.delete_role, RoleName=ROLE)
for attached in (arn, BASIC):
    iam.detach_role_policy(RoleName=ROLE, PolicyArn=attached)
refused("detaching again", 404, "NoSuchEntity", iam.detach_role_policy, RoleName=ROLE, PolicyArn=arn)
for name in ("a", "b"):
    iam.delete_role_policy(RoleName=ROLE, PolicyName=name)
refused("deleting an inline policy again", 404, "NoSuchEntity", iam.delete_role_policy, RoleName=ROLE, PolicyName="a")
iam.delete_role(RoleName=ROLE)
refused("deleting a role again", 404, "NoSuchEntity", iam.delete_role, RoleName=ROLE)
iam.delete_policy(PolicyArn=arn)
refused("deleting a policy again", 404, "NoSuchEntity", iam.delete_policy, PolicyArn=arn)
refused("what is not there", 400, "UnsupportedOperationException", iam.create_user, UserName="u")

sts = boto3.client("sts")
ok("who is asking", sts.get_caller_identity()["Arn"].endswith(":root"))
refused("assuming a role", 400, "UnsupportedOperationException", sts.assume_role, RoleArn=role["Arn"], RoleSessionName="compat")
refused("a session token", 400, "UnsupportedOperationException", sts.get_session_token)
