"""Makes botocore.json: requests as botocore signs them at a fixed time.

    python3 make_golden.py > botocore.json

Headers that no signature covers (user agent, retry counters) are left out.
"""

import datetime
import json
from urllib.parse import urlsplit

import botocore.auth
import botocore.session
from botocore.auth import S3SigV4QueryAuth, SigV4Auth, SigV4QueryAuth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

NOW = datetime.datetime(2026, 11, 23, 10, 0, 0)
KEY, SECRET = "AKIDFIELDLINE0000001", "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY"
REGION = "eu-west-1"
CONTROL, GATEWAY = "http://127.0.0.1:4566", "http://127.0.0.1:8080/prod"
LEFT_OUT = {"user-agent", "amz-sdk-invocation-id", "amz-sdk-request"}

botocore.auth.get_current_datetime = lambda *args, **kwargs: NOW
requests = []


class Sent(Exception):
    """Ends a call where its request would be sent."""


def record(name, service, request, sent_headers=None):
    url = urlsplit(request.url)
    body = request.body or b""
    if hasattr(body, "read"):
        body = body.read()
    if isinstance(body, str):
        body = body.encode()
    headers = [["Host", url.netloc]]
    for key, value in (sent_headers or request.headers).items():
        if key.lower() not in LEFT_OUT:
            headers.append([key, value.decode() if isinstance(value, bytes) else str(value)])
    requests.append({
        "name": name, "service": service, "method": request.method,
        "target": (url.path or "/") + ("?" + url.query if url.query else ""),
        "headers": headers, "body": body.decode(),
    })


def call(name, service, operation, token=None, endpoint=CONTROL, **arguments):
    """Records the request of a client's call."""
    session = botocore.session.Session()
    session.set_credentials(KEY, SECRET, token)
    client = session.create_client(service, region_name=REGION, endpoint_url=endpoint)

    def sent(request, **kwargs):
        record(name, client.meta.service_model.signing_name, request)
        raise Sent

    client.meta.events.register("before-send.*.*", sent)
    try:
        getattr(client, operation)(**arguments)
    except Sent:
        pass


def sign(name, service, method, url, headers=(), body=b"", signer=SigV4Auth, token=None, context=(), **options):
    """Records a request that the signer alone has signed."""
    request = AWSRequest(method=method, url=url, data=body)
    for key, value in headers:
        request.headers.add_header(key, value)
    request.context.update(context)
    signer(Credentials(KEY, SECRET, token), service, REGION, **options).add_auth(request)
    # Preparing keeps one of several headers of a name.
    record(name, service, request.prepare(), request.headers)


call("publish to a topic with a slash", "iot-data", "publish", topic="sensor/data", qos=1, payload=b'{"device_id":"MyDevice001"}')
call("publish to a topic with odd characters", "iot-data", "publish", topic="a b/ü/~+%2F", payload=b"x")
call("create a thing", "iot", "create_thing", thingName="MyDevice001", attributePayload={"attributes": {"a": "b"}})
call("attach a principal by header", "iot", "attach_thing_principal", thingName="MyDevice001", principal="arn:aws:iot:eu-west-1:123456789012:cert/abc")
call("query parameters", "iot", "list_things", maxResults=5, attributeName="a b", attributeValue="x/y=&z+1")
call("an empty body with a query", "iot", "create_keys_and_certificate", setAsActive=True)
call("session token", "iot", "describe_endpoint", token="FwoGZXIvYXdzE+/=", endpointType="iot:Data-ATS")
call("post to a connection", "apigatewaymanagementapi", "post_to_connection", endpoint=GATEWAY, ConnectionId="L0SM9cOFvHcCIhw=", Data=b"{}")
call("json target", "dynamodb", "describe_table", TableName="IoTDeviceData")
call("query protocol", "sts", "get_caller_identity")
call("function path", "lambda", "add_permission", FunctionName="ProcessIoTData", StatementId="s", Action="lambda:InvokeFunction", Principal="iot.amazonaws.com")
call("s3 path is encoded once", "s3", "get_object", Bucket="b", Key="a b/ü+c//d")
call("s3 body", "s3", "put_bucket_versioning", Bucket="b", VersioningConfiguration={"Status": "Enabled"})

sign("dot segments and doubled slashes", "iot", "GET", CONTROL + "//things/./a/../b/")
sign("no path", "iot", "GET", CONTROL)
sign("folded and repeated headers", "iot", "GET", "http://h.example/x", [("X-Amz-Meta", "  a   b  "), ("X-Amz-Meta", "c")])
sign("repeated query names sort by value", "iot", "GET", "http://h.example/x?b=2&a=2&a=1&c&A=")
sign("date header", "iot", "GET", "http://h.example/x", [("Date", "now")])
sign("unsigned payload", "iot", "POST", "https://h.example/x", body=b"not signed", context={"payload_signing_enabled": False})
sign("presigned", "execute-api", "GET", GATEWAY + "/iotdata?device_id=My%20Device", signer=SigV4QueryAuth, expires=600)
sign("presigned with a token", "execute-api", "GET", GATEWAY, signer=SigV4QueryAuth, token="FwoGZXIvYXdzE+/=")
sign("presigned for s3", "s3", "GET", CONTROL + "/b/a%20b", signer=S3SigV4QueryAuth)

print(json.dumps({
    "madeWith": "botocore " + botocore.__version__, "at": NOW.isoformat() + "Z", "region": REGION,
    "accessKeyId": KEY, "secretAccessKey": SECRET, "requests": requests,
}, indent=1, ensure_ascii=False))
