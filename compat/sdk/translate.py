"""Runs SAM's translator on the template, for each value of Buffer and of the
authorisation, and checks that what comes out is a template of plain resources."""

import copy
import sys

import boto3
from samtranslator.parser.parser import Parser
from samtranslator.translator.translator import Translator
from samtranslator.yaml_helper import yaml_parse


def main():
    with open(sys.argv[1], encoding="utf-8") as f:
        template = yaml_parse(f)
    session = boto3.Session(region_name="us-east-1")
    for function in template["Resources"].values():  # as `sam package` leaves it
        if function["Type"] == "AWS::Serverless::Function":
            function["Properties"]["CodeUri"] = "s3://bucket/key"
    for buffer in ("none", "sqs", "kinesis"):
        for auth in ("JWT", "IAM"):
            translator = Translator({}, Parser(), boto_session=session)
            plain = translator.translate(copy.deepcopy(template), {"Buffer": buffer, "WebSocketAuth": auth})
            serverless = [name for name, r in plain["Resources"].items() if r["Type"].startswith("AWS::Serverless::")]
            assert not serverless, f"left untranslated: {serverless}"
            names = {r["Properties"].get("FunctionName") for r in plain["Resources"].values() if r["Type"] == "AWS::Lambda::Function"}
            assert {"ProcessIoTData", "OnConnect", "OnDisconnect", "FetchIoTData", "AuthorizeWebSocket"} <= names, names
            print("ok", buffer, auth, len(plain["Resources"]), "resources")


main()
