#!/usr/bin/env bash
# The guide's steps 2, 3 and 6 on the AWS CLI, against a server started with
# `fieldline up --empty`. First: eval "$(fieldline env)"
#
# Writes the device's files to the folder named as the first argument (default
# ./MyDevice001). AmazonRootCA1.pem is in the server's data folder under ca/.
set -euo pipefail

out=${1:-MyDevice001}
here=$(cd "$(dirname "$0")" && pwd)
arn() { printf 'arn:aws:%s:%s:%s:%s' "$1" "$AWS_REGION" "$ACCOUNT_ID" "$2"; }
localized() { sed -e "s/us-east-1/$AWS_REGION/g; s/123456789012/$ACCOUNT_ID/g" "$here/$1"; }

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

echo "3. rule and its permission (step 6)"
aws iot create-topic-rule --rule-name SendToLambdaRule --topic-rule-payload "$(localized iot-rule.json)"
aws lambda add-permission \
  --function-name ProcessIoTData \
  --statement-id iot-invoke \
  --action lambda:InvokeFunction \
  --principal iot.amazonaws.com \
  --source-arn "$(arn iot rule/SendToLambdaRule)"

echo "done: start a device with the files in $out"
