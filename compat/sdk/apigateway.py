"""Exercises API Gateway v2 and @connections with boto3, on a server that began empty."""
import base64
import json
import os
import socket
import urllib.error
import urllib.request
from urllib.parse import quote, urlparse

import boto3
from botocore.exceptions import ClientError

gw = boto3.client("apigatewayv2")
lam = boto3.client("lambda")
region, account = os.environ["AWS_REGION"], os.environ["ACCOUNT_ID"]


def ok(what, holds=True):
    if not holds:
        raise SystemExit(f"not so: {what}")
    print("ok", what)


def refused(code, status, call, **args):
    try:
        call(**args)
    except ClientError as e:
        got = e.response["Error"]["Code"], e.response["ResponseMetadata"]["HTTPStatusCode"]
        ok(f"{call.__name__} is refused with {code}", got == (code, status))
        return
    raise SystemExit(f"{call.__name__}({args}) was not refused")


def pages(operation, **args):
    items = []
    for page in gw.get_paginator(operation).paginate(PaginationConfig={"PageSize": 1}, **args):
        assert len(page["Items"]) <= 1
        items += page["Items"]
    return items


def function(name):
    return f"arn:aws:lambda:{region}:{account}:function:{name}"


def invocation(name):
    return f"arn:aws:apigateway:{region}:lambda:path/2015-03-31/functions/{function(name)}/invocations"


# APIs
ws = gw.create_api(Name="IoTWebsocketAPI", ProtocolType="WEBSOCKET", RouteSelectionExpression="$request.body.action", Tags={"team": "a"})
api = ws["ApiId"]
ok("create_api answers where the API is served", ws["ApiEndpoint"].startswith("ws://") and ws["ApiEndpoint"].endswith(api) and len(api) == 10)
ok("get_api", gw.get_api(ApiId=api)["CreatedDate"] == ws["CreatedDate"])
ok("update_api", gw.update_api(ApiId=api, Description="d")["Description"] == "d")
second = gw.create_api(Name="other", ProtocolType="HTTP")["ApiId"]
ok("get_apis across pages", {api, second} <= {a["ApiId"] for a in pages("get_apis")})
gw.delete_api(ApiId=second)
refused("NotFoundException", 404, gw.get_api, ApiId=second)
refused("BadRequestException", 400, gw.create_api, Name="x", ProtocolType="WEBSOCKET")
refused("BadRequestException", 400, gw.create_api, Name="x", ProtocolType="HTTP", CredentialsArn="arn:aws:iam::1:role/x")

# integrations
connect = gw.create_integration(ApiId=api, IntegrationType="AWS_PROXY", IntegrationUri=invocation("OnConnect"))["IntegrationId"]
leave = gw.create_integration(ApiId=api, IntegrationType="AWS_PROXY", IntegrationUri=function("OnDisconnect"))["IntegrationId"]
ok("get_integration", gw.get_integration(ApiId=api, IntegrationId=connect)["IntegrationUri"] == invocation("OnConnect"))
ok("get_integrations across pages", len(pages("get_integrations", ApiId=api)) == 2)
ok("update_integration", gw.update_integration(ApiId=api, IntegrationId=leave, TimeoutInMillis=5000)["TimeoutInMillis"] == 5000)
refused("BadRequestException", 400, gw.create_integration, ApiId=api, IntegrationType="AWS", IntegrationUri=invocation("OnConnect"))

# routes and their responses
route = gw.create_route(ApiId=api, RouteKey="$connect", Target=f"integrations/{connect}")["RouteId"]
gw.create_route(ApiId=api, RouteKey="$disconnect", Target=f"integrations/{leave}")
other = gw.create_route(ApiId=api, RouteKey="fetch", RouteResponseSelectionExpression="$default")["RouteId"]
ok("get_route", gw.get_route(ApiId=api, RouteId=route)["RouteKey"] == "$connect")
ok("get_routes across pages", len(pages("get_routes", ApiId=api)) == 3)
fetch = gw.create_integration(ApiId=api, IntegrationType="AWS_PROXY", IntegrationUri=invocation("FetchIoTData"))["IntegrationId"]
ok("update_route", gw.update_route(ApiId=api, RouteId=other, Target=f"integrations/{fetch}")["Target"] == f"integrations/{fetch}")
refused("ConflictException", 409, gw.create_route, ApiId=api, RouteKey="$connect")
refused("ConflictException", 409, gw.delete_integration, ApiId=api, IntegrationId=connect)
response = gw.create_route_response(ApiId=api, RouteId=other, RouteResponseKey="$default")["RouteResponseId"]
ok("get_route_responses", [r["RouteResponseId"] for r in gw.get_route_responses(ApiId=api, RouteId=other)["Items"]] == [response])
ok("get_route_response", gw.get_route_response(ApiId=api, RouteId=other, RouteResponseId=response)["RouteResponseKey"] == "$default")
refused("NotFoundException", 404, gw.delete_route_response, ApiId=api, RouteId=route, RouteResponseId=response)

# authorizers
z = gw.create_authorizer(ApiId=api, Name="z", AuthorizerType="REQUEST", AuthorizerUri=invocation("OnConnect"), IdentitySource=["route.request.header.X"])["AuthorizerId"]
ok("get_authorizer", gw.get_authorizer(ApiId=api, AuthorizerId=z)["Name"] == "z")
ok("get_authorizers", [a["AuthorizerId"] for a in gw.get_authorizers(ApiId=api)["Items"]] == [z])
ok("update_authorizer", gw.update_authorizer(ApiId=api, AuthorizerId=z, Name="y")["Name"] == "y")
gw.delete_authorizer(ApiId=api, AuthorizerId=z)
refused("NotFoundException", 404, gw.get_authorizer, ApiId=api, AuthorizerId=z)

# deployments and stages
deployment = gw.create_deployment(ApiId=api)["DeploymentId"]
ok("get_deployment", gw.get_deployment(ApiId=api, DeploymentId=deployment)["DeploymentStatus"] == "DEPLOYED")
gw.create_stage(ApiId=api, StageName="prod", DeploymentId=deployment, StageVariables={"a": "1"})
ok("get_stage", gw.get_stage(ApiId=api, StageName="prod")["StageVariables"] == {"a": "1"})
ok("get_stages", [s["StageName"] for s in gw.get_stages(ApiId=api)["Items"]] == ["prod"])
limits = gw.update_stage(ApiId=api, StageName="prod", DefaultRouteSettings={"ThrottlingBurstLimit": 100, "ThrottlingRateLimit": 50.5})
ok("update_stage", limits["DefaultRouteSettings"]["ThrottlingRateLimit"] == 50.5)
refused("ConflictException", 409, gw.delete_deployment, ApiId=api, DeploymentId=deployment)
refused("ConflictException", 409, gw.create_stage, ApiId=api, StageName="prod")
refused("BadRequestException", 400, gw.create_stage, ApiId=api, StageName="log", AccessLogSettings={"DestinationArn": "arn:aws:logs:::x", "Format": "f"})
later = gw.create_deployment(ApiId=api, StageName="prod")["DeploymentId"]
gw.delete_deployment(ApiId=api, DeploymentId=deployment)
ok("get_deployments", [d["DeploymentId"] for d in gw.get_deployments(ApiId=api)["Items"]] == [later])

# tags
arn = f"arn:aws:apigateway:{region}::/apis/{api}"
gw.tag_resource(ResourceArn=arn, Tags={"b": "2"})
gw.untag_resource(ResourceArn=arn, TagKeys=["team"])
ok("get_tags", gw.get_tags(ResourceArn=arn)["Tags"] == {"b": "2"})
try:
    gw.create_domain_name(DomainName="x.example")
except ClientError as e:
    ok("an operation that is not there is refused by its name", "CreateDomainName" in e.response["Error"]["Message"])


class Peer:
    """A WebSocket client, as far as this script needs one."""

    def __init__(self, url):
        u = urlparse(url)
        self.sock = socket.create_connection((u.hostname, u.port), timeout=30)
        key = base64.b64encode(os.urandom(16)).decode()
        self.sock.sendall(f"GET {u.path} HTTP/1.1\r\nHost: {u.netloc}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nUser-Agent: peer\r\n"
                          f"Sec-WebSocket-Key: {key}\r\nSec-WebSocket-Version: 13\r\n\r\n".encode())
        self.file = self.sock.makefile("rb")
        self.status = int(self.file.readline().split()[1])
        while self.file.readline().strip():
            pass

    def send(self, text):
        data = text.encode()
        assert len(data) < 126
        self.sock.sendall(bytes([0x81, 0x80 | len(data), 0, 0, 0, 0]) + data)

    def frame(self):
        head = self.file.read(2)
        n = head[1]
        if n == 126:
            n = int.from_bytes(self.file.read(2), "big")
        return head[0], self.file.read(n)


url = ws["ApiEndpoint"] + "/prod"
ok("a connect without a permission is refused with 500", Peer(url).status == 500)
for name in "OnConnect", "OnDisconnect", "FetchIoTData":
    lam.add_permission(FunctionName=name, StatementId="apigw", Action="lambda:InvokeFunction", Principal="apigateway.amazonaws.com",
                       SourceArn=f"arn:aws:execute-api:{region}:{account}:{api}/*")
peer = Peer(url)
ok("the connect is let in", peer.status == 101)
peer.send('{"action":"nonsense"}')
id = json.loads(peer.frame()[1])["connectionId"]
ok("a message without a route is answered with Forbidden")

control = os.environ["AWS_ENDPOINT_URL"]
gateway = "http" + ws["ApiEndpoint"].removeprefix("ws")
for endpoint in f"{control}/{api}/prod", f"{control}/prod", f"{gateway}/prod":
    mgmt = boto3.client("apigatewaymanagementapi", endpoint_url=endpoint)
    mgmt.post_to_connection(ConnectionId=id, Data=b"hello")
    ok(f"post_to_connection at {urlparse(endpoint).path}", peer.frame() == (0x81, b"hello"))
    info = mgmt.get_connection(ConnectionId=id)
    ok("get_connection", info["Identity"] == {"SourceIp": "127.0.0.1", "UserAgent": "peer"} and info["LastActiveAt"] >= info["ConnectedAt"])
    for call in mgmt.post_to_connection, mgmt.get_connection, mgmt.delete_connection:
        args = {"Data": b"x"} if call.__name__ == "post_to_connection" else {}
        refused("GoneException", 410, call, ConnectionId="AAAAAAAAAAAAAAA=", **args)
refused("PayloadTooLargeException", 413, mgmt.post_to_connection, ConnectionId=id, Data=b"x" * (128 * 1024 + 1))
mgmt.post_to_connection(ConnectionId=id, Data=b"y" * (32 * 1024 + 1))
first, rest = peer.frame(), peer.frame()
ok("a long message comes in frames of 32 KB", (first[0], len(first[1]), rest[0], len(rest[1])) == (0x01, 32 * 1024, 0x80, 1))
wrong = boto3.client("apigatewaymanagementapi", endpoint_url=f"{gateway}/other")
refused("GoneException", 410, wrong.get_connection, ConnectionId=id)
forged = boto3.client("apigatewaymanagementapi", endpoint_url=f"{gateway}/prod", aws_secret_access_key="wrong", aws_access_key_id="AKIDWRONG")
refused("UnrecognizedClientException", 403, forged.get_connection, ConnectionId=id)
mgmt.delete_connection(ConnectionId=id)
ok("delete_connection closes with 1000", peer.frame()[1][:2] == (1000).to_bytes(2, "big"))
refused("GoneException", 410, mgmt.get_connection, ConnectionId=id)
try:
    urllib.request.urlopen(f"{gateway}/prod/@connections/{quote(id)}")
except urllib.error.HTTPError as e:
    ok("unsigned requests are refused", e.code == 403)

# an HTTP API, by its parts and quickly
http = gw.create_api(Name="IoTHttpAPI", ProtocolType="HTTP", CorsConfiguration={"AllowOrigins": ["*"]})
target = gw.create_integration(ApiId=http["ApiId"], IntegrationType="AWS_PROXY", IntegrationUri=function("FetchIoTData"), PayloadFormatVersion="2.0")
gw.create_route(ApiId=http["ApiId"], RouteKey="GET /iotdata", Target="integrations/" + target["IntegrationId"])
gw.create_stage(ApiId=http["ApiId"], StageName="prod", AutoDeploy=True)
lam.add_permission(FunctionName="FetchIoTData", StatementId="http", Action="lambda:InvokeFunction", Principal="apigateway.amazonaws.com",
                   SourceArn=f"arn:aws:execute-api:{region}:{account}:{http['ApiId']}/*/*/iotdata")
answer = urllib.request.urlopen(http["ApiEndpoint"] + "/prod/iotdata?device_id=none")
ok("an HTTP API is served", answer.read() == b"{}" and answer.headers["Content-Type"] == "application/json")
quick = gw.create_api(Name="quick", ProtocolType="HTTP", Target=function("FetchIoTData"))
ok("a quick create makes route, integration and stage", gw.get_stages(ApiId=quick["ApiId"])["Items"][0]["StageName"] == "$default"
   and gw.get_routes(ApiId=quick["ApiId"])["Items"][0]["ApiGatewayManaged"])
gw.delete_cors_configuration(ApiId=http["ApiId"])
ok("delete_cors_configuration", "CorsConfiguration" not in gw.get_api(ApiId=http["ApiId"]))
gw.delete_route_settings(ApiId=http["ApiId"], StageName="prod", RouteKey="GET /iotdata")
gw.delete_route_response(ApiId=api, RouteId=other, RouteResponseId=response)
gw.delete_route(ApiId=api, RouteId=route)
gw.delete_integration(ApiId=api, IntegrationId=connect)
gw.delete_stage(ApiId=api, StageName="prod")
ok("parts are deleted", Peer(url).status == 404)
for a in gw.get_apis()["Items"]:
    gw.delete_api(ApiId=a["ApiId"])
ok("every API is deleted", gw.get_apis()["Items"] == [])
