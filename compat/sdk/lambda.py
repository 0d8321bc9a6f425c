"""Exercises every operation of Lambda that Fieldline answers, and its errors.

LAMBDA_GO is a zip of a Go bootstrap; PYTHON says that the server can run python3.x.
"""
import base64
import importlib.util
import io
import json
import os
import time
import urllib.request
import zipfile

import boto3
from botocore.config import Config
from botocore.exceptions import ClientError

client = boto3.client("lambda", config=Config(retries={"max_attempts": 1}))
role = "arn:aws:iam::123456789012:role/lambda"


def ok(what, holds=True, seen=None):
    if not holds:
        raise SystemExit(f"not so: {what}: {seen}")
    print("ok", what)


def refuses(code, what, call, **args):
    try:
        answer = call(**args)
    except ClientError as e:
        got = e.response["Error"]["Code"]
        ok(f"{code}: {what}", got == code, f"{got}: {e.response['Error']['Message']}")
        return e.response["Error"]["Message"]
    ok(f"{code}: {what}", False, answer)


def packed(**files):
    b = io.BytesIO()
    with zipfile.ZipFile(b, "w", zipfile.ZIP_DEFLATED) as z:
        for name, text in files.items():
            z.writestr(name.replace("__", "."), text)
    return b.getvalue()


def invoke(name, event, **args):
    answer = client.invoke(FunctionName=name, Payload=json.dumps(event), **args)
    answer["Text"] = answer["Payload"].read().decode()
    return answer


code = open(os.environ["LAMBDA_GO"], "rb").read()
go = dict(Runtime="provided.al2023", Handler="bootstrap", Role=role, Code={"ZipFile": code})

# create, read
made = client.create_function(FunctionName="hello", Timeout=5, Environment={"Variables": {"GREETING": "hi"}}, Tags={"a": "1"}, **go)
ok("CreateFunction", made["State"] == "Active" and made["CodeSize"] == len(code) and made["MemorySize"] == 128, made)
client.get_waiter("function_active_v2").wait(FunctionName="hello")
client.get_waiter("function_updated").wait(FunctionName="hello")
ok("the waiters pass")
got = client.get_function(FunctionName=made["FunctionArn"])
ok("GetFunction", got["Configuration"]["RevisionId"] == made["RevisionId"] and got["Tags"] == {"a": "1"}, got)
with urllib.request.urlopen(got["Code"]["Location"]) as link:
    ok("Code.Location downloads the zip", link.read() == code)
ok("GetFunctionConfiguration", client.get_function_configuration(FunctionName="hello", Qualifier="$LATEST")["Environment"]["Variables"] == {"GREETING": "hi"})
names = [f["FunctionName"] for p in client.get_paginator("list_functions").paginate(PaginationConfig={"PageSize": 2}) for f in p["Functions"]]
ok("ListFunctions across pages", names == ["FetchIoTData", "OnConnect", "OnDisconnect", "ProcessIoTData", "hello"], names)
ok("ListVersionsByFunction", [v["Version"] for v in client.list_versions_by_function(FunctionName="hello")["Versions"]] == ["$LATEST"])
refuses("ResourceConflictException", "a name that is taken", client.create_function, FunctionName="hello", **go)
refuses("ResourceNotFoundException", "GetFunction of none", client.get_function, FunctionName="none")
refuses("InvalidParameterValueException", "versions", client.get_function, FunctionName="hello", Qualifier="3")
for what, change in {
    "S3 as source": {"Code": {"S3Bucket": "bucket", "S3Key": "key"}},
    "an image": {"PackageType": "Image", "Code": {"ImageUri": "x"}},
    "layers": {"Layers": ["arn:aws:lambda:us-east-1:123456789012:layer:l:1"]},
    "another runtime": {"Runtime": "nodejs22.x"},
    "a timeout beyond the limit": {"Timeout": 901},
    "a reserved variable": {"Environment": {"Variables": {"AWS_REGION": "x"}}},
    "a huge environment": {"Environment": {"Variables": {"BIG": "x" * 5000}}},
    "no zip": {"Code": {"ZipFile": b"text"}},
    "a zip without bootstrap": {"Code": {"ZipFile": packed(main__py="")}},
    "a path that leads out": {"Code": {"ZipFile": packed(**{"../bootstrap": ""})}},
    "a bad role": {"Role": "role/x"},
}.items():
    refuses("InvalidParameterValueException", what, client.create_function, FunctionName="bad", **(go | change))

# invoke
got = invoke("hello", {"name": "Ada"}, LogType="Tail", ClientContext=base64.b64encode(b'{"custom":{}}').decode())
log = base64.b64decode(got["LogResult"]).decode()
ok("Invoke", got["StatusCode"] == 200 and got["ExecutedVersion"] == "$LATEST" and json.loads(got["Text"])["said"] == "hi Ada", got)
ok("LogType Tail", "REPORT RequestId: " + got["ResponseMetadata"]["RequestId"] in log, log)
ok("the function finds this server", json.loads(got["Text"])["endpoint"].startswith("http://127.0.0.1"), got["Text"])
got = invoke("hello", {"do": "fail"})
ok("a function error is 200 with FunctionError", got["StatusCode"] == 200 and got["FunctionError"] == "Unhandled" and "refused" in got["Text"], got)
got = invoke("hello", {"do": "crash"})
ok("a crash", got["FunctionError"] == "Unhandled" and "Runtime.ExitError" in got["Text"], got)
ok("DryRun", invoke("hello", {}, InvocationType="DryRun")["StatusCode"] == 204)
ok("Event", invoke("hello", {"name": "later"}, InvocationType="Event")["StatusCode"] == 202)
ok("InvokeAsync", client.invoke_async(FunctionName="hello", InvokeArgs=b"{}")["Status"] == 202)
refuses("InvalidRequestContentException", "a payload that is not JSON", client.invoke, FunctionName="hello", Payload=b"no JSON")
refuses("RequestTooLargeException", "6 MB", client.invoke, FunctionName="hello", Payload=b'"' + b"x" * (6 << 20) + b'"')
refuses("RequestTooLargeException", "1 MB asynchronously", client.invoke, FunctionName="hello", InvocationType="Event", Payload=b'"' + b"x" * (1 << 20) + b'"')
refuses("ResourceNotFoundException", "Invoke of none", client.invoke, FunctionName="none")

# update
new = client.update_function_configuration(FunctionName="hello", Timeout=1, Environment={"Variables": {"GREETING": "good day"}}, RevisionId=made["RevisionId"])
ok("UpdateFunctionConfiguration", json.loads(invoke("hello", {"name": "Ada"})["Text"])["said"] == "good day Ada" and new["RevisionId"] != made["RevisionId"])
got = invoke("hello", {"do": "hang"})
ok("a timeout", got["FunctionError"] == "Unhandled" and "Task timed out after 1.00 seconds" in got["Text"], got)
refuses("PreconditionFailedException", "another revision", client.update_function_configuration, FunctionName="hello", RevisionId=made["RevisionId"])
ok("UpdateFunctionCode DryRun", client.update_function_code(FunctionName="hello", ZipFile=code, DryRun=True)["RevisionId"] == new["RevisionId"])
ok("UpdateFunctionCode", client.update_function_code(FunctionName="hello", ZipFile=code, RevisionId=new["RevisionId"])["LastUpdateStatus"] == "Successful")
refuses("InvalidParameterValueException", "bad code", client.update_function_code, FunctionName="hello", ZipFile=b"text")
refuses("InvalidParameterValueException", "Publish", client.update_function_code, FunctionName="hello", ZipFile=code, Publish=True)

# concurrency, retries, tags, account
client.put_function_concurrency(FunctionName="hello", ReservedConcurrentExecutions=0)
ok("GetFunctionConcurrency", client.get_function_concurrency(FunctionName="hello")["ReservedConcurrentExecutions"] == 0)
refuses("TooManyRequestsException", "a reserved concurrency of 0", client.invoke, FunctionName="hello")
refuses("InvalidParameterValueException", "more than the account has", client.put_function_concurrency, FunctionName="hello", ReservedConcurrentExecutions=1000)
client.delete_function_concurrency(FunctionName="hello")
ok("DeleteFunctionConcurrency", "ReservedConcurrentExecutions" not in client.get_function_concurrency(FunctionName="hello") and "FunctionError" not in invoke("hello", {}))
refuses("ResourceNotFoundException", "no EventInvokeConfig", client.get_function_event_invoke_config, FunctionName="hello")
client.put_function_event_invoke_config(FunctionName="hello", MaximumRetryAttempts=1, MaximumEventAgeInSeconds=60)
ok("GetFunctionEventInvokeConfig", client.get_function_event_invoke_config(FunctionName="hello")["MaximumRetryAttempts"] == 1)
client.delete_function_event_invoke_config(FunctionName="hello")
ok("DeleteFunctionEventInvokeConfig")
client.tag_resource(Resource=made["FunctionArn"], Tags={"b": "2"})
client.untag_resource(Resource=made["FunctionArn"], TagKeys=["a"])
ok("TagResource, UntagResource, ListTags", client.list_tags(Resource=made["FunctionArn"])["Tags"] == {"b": "2"})
got = client.get_account_settings()
ok("GetAccountSettings", got["AccountUsage"] == {"TotalCodeSize": len(code), "FunctionCount": 5}, got)

# permissions
client.add_permission(FunctionName="hello", StatementId="iot", Action="lambda:InvokeFunction", Principal="iot.amazonaws.com")
ok("AddPermission, GetPolicy", "iot.amazonaws.com" in client.get_policy(FunctionName="hello")["Policy"])
client.remove_permission(FunctionName="hello", StatementId="iot")
refuses("ResourceNotFoundException", "no policy", client.get_policy, FunctionName="hello")

# the built-in functions
refuses("InvalidParameterValueException", "a built-in is not deleted", client.delete_function, FunctionName="ProcessIoTData")
got = invoke("ProcessIoTData", {"device_id": "direct", "ts": int(time.time()), "temp": 1.5})
ok("the built-in ProcessIoTData", "processed" in got["Text"], got)
got = invoke("FetchIoTData", {"queryStringParameters": {"device_id": "direct"}})
ok("stores the reading", json.loads(json.loads(got["Text"])["body"])["payload"]["temp"] == 1.5, got)
client.create_function(FunctionName="ProcessIoTData", **go)
ok("own code replaces it", "said" in invoke("ProcessIoTData", {"name": "x"})["Text"])
client.delete_function(FunctionName="ProcessIoTData")
ok("and it stands again", "processed" in invoke("ProcessIoTData", {"device_id": "direct"})["Text"])

# Python
app = packed(app__py="""
import os
def handler(event, context):
    print('got', event)
    return {'function': context.function_name, 'name': event['name'], 'region': os.environ['AWS_REGION']}
""")
python = dict(FunctionName="snake", Runtime="python3.11", Handler="app.handler", Role=role, Timeout=20)
said = refuses("InvalidParameterValueException", "Python without awslambdaric", client.create_function, Code={"ZipFile": app}, **python)
ok("says how to mend it", "pip install" in said, said)
if os.environ["PYTHON"]:
    b = io.BytesIO(app)
    with zipfile.ZipFile(b, "a", zipfile.ZIP_DEFLATED) as z:
        for package in ("awslambdaric", "runtime_client", "simplejson", "snapshot_restore_py"):
            found = importlib.util.find_spec(package)
            if found is None:
                continue
            if not found.submodule_search_locations:
                z.write(found.origin, os.path.basename(found.origin))
                continue
            for folder, _, files in os.walk(os.path.dirname(found.origin)):
                for name in files:
                    path = os.path.join(folder, name)
                    z.write(path, os.path.relpath(path, os.path.dirname(os.path.dirname(found.origin))))
    client.create_function(Code={"ZipFile": b.getvalue()}, **python)
    got = invoke("snake", {"name": "Ada"})
    ok("a Python function", json.loads(got["Text"]) == {"function": "snake", "name": "Ada", "region": "us-east-1"}, got)
    got = invoke("snake", {})
    ok("a Python error", got["FunctionError"] == "Unhandled" and "KeyError" in got["Text"], got)
    client.delete_function(FunctionName="snake")

# delete
client.delete_function(FunctionName="hello")
refuses("ResourceNotFoundException", "DeleteFunction of none", client.delete_function, FunctionName="hello")
refuses("UnsupportedOperationException", "PublishVersion", client.publish_version, FunctionName="ProcessIoTData")
