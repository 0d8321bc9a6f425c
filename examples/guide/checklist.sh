#!/usr/bin/env bash
# The guide's steps 2 to 8 on the AWS CLI, against a server started with
# `fieldline up --empty`. First: eval "$(fieldline env)"
#
#     checklist.sh [OUT]
#
# Writes the device's files to the folder OUT (default ./MyDevice001).
# AmazonRootCA1.pem is in the server's data folder under ca/. The functions are
# the zips that `make lambda` builds; CODE names another folder with
# process_iot, on_connect, on_disconnect and fetch_iot zips (such as the one that
# lambda/package.sh makes of the guide's Python functions), with HANDLER and
# SUFFIX to match. CODE= (empty) leaves the functions that the server has built in.
set -euo pipefail

out=${1:-MyDevice001}
here=$(cd "$(dirname "$0")" && pwd)
case $(uname -m) in aarch64 | arm64) machine=arm64 ;; *) machine=amd64 ;; esac
CODE=${CODE-$here/../../bin/lambda}
HANDLER=${HANDLER:-bootstrap}
SUFFIX=${SUFFIX--$machine}
VARIABLES="DDB_TABLE=IoTDeviceData,CONNECTIONS_TABLE=WebsocketConnections,WEBSOCKET_STAGE=prod"

arn() { printf 'arn:aws:%s:%s:%s:%s' "$1" "$AWS_REGION" "$ACCOUNT_ID" "$2"; }
localized() { sed -e "s/us-east-1/$AWS_REGION/g; s/123456789012/$ACCOUNT_ID/g" "$here/$1"; }

create_function() { # NAME ZIP
  [ -n "$CODE" ] || return 0
  aws lambda create-function --function-name "$1" --runtime provided.al2023 --handler "$HANDLER" \
    --role "$ROLE_ARN" --timeout 30 --zip-file "fileb://$CODE/$2$SUFFIX.zip" \
    --environment "Variables={$VARIABLES}" --query FunctionArn --output text
}

let_in() { # NAME SOURCE: lets API Gateway invoke a function
  aws lambda add-permission --function-name "$1" --statement-id apigateway-invoke \
    --action lambda:InvokeFunction --principal apigateway.amazonaws.com \
    --source-arn "$(arn execute-api "$2")" --query Statement --output text
}

integration() { # API NAME [MORE …]: prints the integration's id
  local api=$1 name=$2
  shift 2
  aws apigatewayv2 create-integration --api-id "$api" --integration-type AWS_PROXY \
    --integration-uri "arn:aws:apigateway:$AWS_REGION:lambda:path/2015-03-31/functions/$(arn lambda "function:$name")/invocations" \
    --query IntegrationId --output text "$@"
}

route() { # API KEY INTEGRATION
  aws apigatewayv2 create-route --api-id "$1" --route-key "$2" --target "integrations/$3" --query RouteKey --output text
}

echo "1. thing, certificate and policy (step 2)"
mkdir -p "$out"
aws iot create-thing --thing-name MyDevice001
CERT_ARN=$(aws iot create-keys-and-certificate --set-as-active \
  --certificate-pem-outfile "$out/certificate.pem.crt" \
  --private-key-outfile "$out/private.pem.key" \
  --public-key-outfile "$out/public.pem.key" \
  --query certificateArn --output text)
chmod 600 "$out/private.pem.key"
aws iot create-policy --policy-name IoTBasicPolicy --policy-document "$(localized iot-policy.json)"
aws iot attach-policy --policy-name IoTBasicPolicy --target "$CERT_ARN"
aws iot attach-thing-principal --thing-name MyDevice001 --principal "$CERT_ARN"

echo "2. endpoint (step 2)"
aws iot describe-endpoint --endpoint-type iot:Data-ATS --query endpointAddress --output text

echo "3. tables (step 4)"
for table in IoTDeviceData:device_id WebsocketConnections:connectionId; do
  aws dynamodb create-table --table-name "${table%:*}" \
    --attribute-definitions "AttributeName=${table#*:},AttributeType=S" \
    --key-schema "AttributeName=${table#*:},KeyType=HASH" \
    --billing-mode PAY_PER_REQUEST --query TableDescription.TableStatus --output text
done

echo "4. role and functions (steps 5, 7 and 8)"
ROLE_ARN=$(aws iam create-role --role-name FieldlineGuide --query Role.Arn --output text --assume-role-policy-document \
  '{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":{"Service":"lambda.amazonaws.com"},"Action":"sts:AssumeRole"}]}')
aws iam put-role-policy --role-name FieldlineGuide --policy-name guide --policy-document "$(localized lambda-role-policy.json)"
create_function ProcessIoTData process_iot
create_function OnConnect on_connect
create_function OnDisconnect on_disconnect
create_function FetchIoTData fetch_iot

echo "5. rule and its permission (step 6)"
aws iot create-topic-rule --rule-name SendToLambdaRule --topic-rule-payload "$(localized iot-rule.json)"
aws lambda add-permission \
  --function-name ProcessIoTData \
  --statement-id iot-invoke \
  --action lambda:InvokeFunction \
  --principal iot.amazonaws.com \
  --source-arn "$(arn iot rule/SendToLambdaRule)"

echo "6. WebSocket API (step 7)"
WEBSOCKET_API_ID=$(aws apigatewayv2 create-api --name IoTWebsocketAPI --protocol-type WEBSOCKET \
  --route-selection-expression '$request.body.action' --query ApiId --output text)
route "$WEBSOCKET_API_ID" '$connect' "$(integration "$WEBSOCKET_API_ID" OnConnect)"
route "$WEBSOCKET_API_ID" '$disconnect' "$(integration "$WEBSOCKET_API_ID" OnDisconnect)"
aws apigatewayv2 create-stage --api-id "$WEBSOCKET_API_ID" --stage-name prod --auto-deploy --query StageName --output text
let_in OnConnect "$WEBSOCKET_API_ID/*/\$connect"
let_in OnDisconnect "$WEBSOCKET_API_ID/*/\$disconnect"
if [ -n "$CODE" ]; then
  aws lambda update-function-configuration --function-name ProcessIoTData \
    --environment "Variables={$VARIABLES,WEBSOCKET_API_ID=$WEBSOCKET_API_ID}" --query LastUpdateStatus --output text
fi

echo "7. HTTP API (step 8)"
HTTP_API_ID=$(aws apigatewayv2 create-api --name IoTHttpAPI --protocol-type HTTP --query ApiId --output text)
route "$HTTP_API_ID" 'GET /iotdata' "$(integration "$HTTP_API_ID" FetchIoTData --payload-format-version 2.0)"
aws apigatewayv2 create-stage --api-id "$HTTP_API_ID" --stage-name prod --auto-deploy --query StageName --output text
let_in FetchIoTData "$HTTP_API_ID/*/GET/iotdata"

echo "done: start a device with the files in $out"
echo "WebSocket: $(aws apigatewayv2 get-api --api-id "$WEBSOCKET_API_ID" --query ApiEndpoint --output text)/prod"
echo "HTTP:      $(aws apigatewayv2 get-api --api-id "$HTTP_API_ID" --query ApiEndpoint --output text)/prod/iotdata?device_id=MyDevice001"
