package compat

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
)

// step is one command of the guide, in its section; ${…} and $… are the shell's.
// save names the variable that the output goes to.
type step struct {
	section string
	save    string
	command string
	want    string // part of the output
}

// guideSteps are the guide's commands in its order, and its console steps as the
// commands that do the same. Only the zips' names, handler and runtime are ours:
// $CODE, $HANDLER and $RUNTIME.
func guideSteps() []step {
	return []step{
		{"2", "", `aws iot create-thing --thing-name MyDevice001`, "MyDevice001"},
		{"2", "", `cat > iot-policy.json <<'JSON'
{
  "Version":"2012-10-17",
  "Statement":[{
    "Effect":"Allow",
    "Action":[
      "iot:Connect",
      "iot:Publish",
      "iot:Subscribe",
      "iot:Receive"
    ],
    "Resource":["*"]
  }]
}
JSON

aws iot create-policy --policy-name IoTBasicPolicy --policy-document file://iot-policy.json`, "IoTBasicPolicy"},
		{"2", "CERT_ARN", `aws iot create-keys-and-certificate --set-as-active --certificate-pem-outfile certificate.pem.crt --private-key-outfile private.pem.key --public-key-outfile public.pem.key --query certificateArn --output text`, ":cert/"},
		{"2", "", `aws iot attach-policy --policy-name IoTBasicPolicy --target "$CERT_ARN"`, ""},
		{"2", "", `aws iot attach-thing-principal --thing-name MyDevice001 --principal "$CERT_ARN"`, ""},
		{"2", "", `aws iot describe-endpoint --endpoint-type iot:Data-ATS --region $AWS_REGION`, "endpointAddress"},

		{"4", "", `aws dynamodb create-table \
  --table-name IoTDeviceData \
  --attribute-definitions AttributeName=device_id,AttributeType=S \
  --key-schema AttributeName=device_id,KeyType=HASH \
  --billing-mode PAY_PER_REQUEST --region $AWS_REGION`, "IoTDeviceData"},
		{"4", "", `aws dynamodb create-table \
  --table-name WebsocketConnections \
  --attribute-definitions AttributeName=connectionId,AttributeType=S \
  --key-schema AttributeName=connectionId,KeyType=HASH \
  --billing-mode PAY_PER_REQUEST --region $AWS_REGION`, "WebsocketConnections"},

		{"5", "ROLE_ARN", `aws iam create-role --role-name FieldlineGuide --assume-role-policy-document '{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":{"Service":"lambda.amazonaws.com"},"Action":"sts:AssumeRole"}]}' --query Role.Arn --output text`, ":role/FieldlineGuide"},
		{"5", "", `aws iam put-role-policy --role-name FieldlineGuide --policy-name inline --policy-document '{
  "Version": "2012-10-17",
  "Statement": [
    {
      "Effect":"Allow",
      "Action":[
        "dynamodb:PutItem",
        "dynamodb:GetItem",
        "dynamodb:Scan",
        "dynamodb:DeleteItem"
      ],
      "Resource":[
        "arn:aws:dynamodb:us-east-1:123456789012:table/IoTDeviceData",
        "arn:aws:dynamodb:us-east-1:123456789012:table/WebsocketConnections"
      ]
    },
    {
      "Effect":"Allow",
      "Action":["execute-api:ManageConnections"],
      "Resource":["arn:aws:execute-api:us-east-1:123456789012:*/*/@connections/*"]
    }
  ]
}'`, ""},
		{"5", "", create("ProcessIoTData", "process_iot"), `"State": "Active"`},
		{"7", "", create("OnConnect", "on_connect"), `"State": "Active"`},
		{"7", "", create("OnDisconnect", "on_disconnect"), `"State": "Active"`},
		{"8", "", create("FetchIoTData", "fetch_iot"), `"State": "Active"`},

		{"6", "", `cat > iot-rule.json <<'JSON'
{
  "sql": "SELECT * FROM 'sensor/data'",
  "actions": [
    {
      "lambda": {
        "functionArn": "arn:aws:lambda:us-east-1:123456789012:function:ProcessIoTData"
      }
    }
  ],
  "ruleDisabled": false
}
JSON

aws iot create-topic-rule --rule-name SendToLambdaRule --topic-rule-payload file://iot-rule.json --region $AWS_REGION`, ""},
		{"6", "", `aws lambda add-permission \
  --function-name ProcessIoTData \
  --statement-id iot-invoke \
  --action lambda:InvokeFunction \
  --principal iot.amazonaws.com \
  --source-arn "arn:aws:iot:$AWS_REGION:$ACCOUNT_ID:rule/SendToLambdaRule"`, "iot-invoke"},

		{"7", "WEBSOCKET_API_ID", `aws apigatewayv2 create-api --name IoTWebsocketAPI --protocol-type WEBSOCKET --route-selection-expression '$request.body.action' --query ApiId --output text`, ""},
		{"7", "CONNECT", integrate("$WEBSOCKET_API_ID", "OnConnect", ""), ""},
		{"7", "DISCONNECT", integrate("$WEBSOCKET_API_ID", "OnDisconnect", ""), ""},
		{"7", "", `aws apigatewayv2 create-route --api-id $WEBSOCKET_API_ID --route-key '$connect' --target integrations/$CONNECT`, "$connect"},
		{"7", "", `aws apigatewayv2 create-route --api-id $WEBSOCKET_API_ID --route-key '$disconnect' --target integrations/$DISCONNECT`, "$disconnect"},
		{"7", "", `aws apigatewayv2 create-deployment --api-id $WEBSOCKET_API_ID`, "DEPLOYED"},
		{"7", "DEPLOYMENT", `aws apigatewayv2 get-deployments --api-id $WEBSOCKET_API_ID --query 'Items[0].DeploymentId' --output text`, ""},
		{"7", "", `aws apigatewayv2 create-stage --api-id $WEBSOCKET_API_ID --stage-name prod --deployment-id $DEPLOYMENT`, "prod"},
		{"7", "", permit("OnConnect", "$WEBSOCKET_API_ID/*/\\$connect"), "apigateway.amazonaws.com"},
		{"7", "", permit("OnDisconnect", "$WEBSOCKET_API_ID/*/\\$disconnect"), "apigateway.amazonaws.com"},
		{"7", "", `aws lambda update-function-configuration --function-name ProcessIoTData --environment "Variables={DDB_TABLE=IoTDeviceData,CONNECTIONS_TABLE=WebsocketConnections,WEBSOCKET_API_ID=$WEBSOCKET_API_ID,WEBSOCKET_STAGE=prod}"`, "WEBSOCKET_API_ID"},
		{"7", "WEBSOCKET_URL", `aws apigatewayv2 get-api --api-id $WEBSOCKET_API_ID --query ApiEndpoint --output text`, "ws://"},

		{"8", "HTTP_API_ID", `aws apigatewayv2 create-api --name IoTHttpAPI --protocol-type HTTP --query ApiId --output text`, ""},
		{"8", "FETCH", integrate("$HTTP_API_ID", "FetchIoTData", " --payload-format-version 2.0"), ""},
		{"8", "", `aws apigatewayv2 create-route --api-id $HTTP_API_ID --route-key 'GET /iotdata' --target integrations/$FETCH`, "GET /iotdata"},
		{"8", "", `aws apigatewayv2 create-stage --api-id $HTTP_API_ID --stage-name prod --auto-deploy`, "prod"},
		{"8", "", permit("FetchIoTData", "$HTTP_API_ID/*/GET/iotdata"), "apigateway.amazonaws.com"},
		{"8", "HTTP_URL", `aws apigatewayv2 get-api --api-id $HTTP_API_ID --query ApiEndpoint --output text`, "http://"},
	}
}

func create(function, zip string) string {
	return `aws lambda create-function --function-name ` + function + ` --runtime $RUNTIME --handler $HANDLER --role $ROLE_ARN --timeout 30 --zip-file fileb://$CODE/` + zip + `$SUFFIX.zip --environment "Variables={DDB_TABLE=IoTDeviceData,CONNECTIONS_TABLE=WebsocketConnections}"`
}

func integrate(api, function, more string) string {
	return `aws apigatewayv2 create-integration --api-id ` + api + ` --integration-type AWS_PROXY --integration-uri arn:aws:apigateway:$AWS_REGION:lambda:path/2015-03-31/functions/arn:aws:lambda:$AWS_REGION:$ACCOUNT_ID:function:` + function + `/invocations --query IntegrationId --output text` + more
}

func permit(function, source string) string {
	return `aws lambda add-permission --function-name ` + function + ` --statement-id apigateway-invoke --action lambda:InvokeFunction --principal apigateway.amazonaws.com --source-arn "arn:aws:execute-api:$AWS_REGION:$ACCOUNT_ID:` + source + `"`
}

// follow runs steps in one shell and returns the variables that they saved.
func (f *fieldline) follow(dir string, steps []step, extra []string) map[string]string {
	f.t.Helper()
	saved := make(map[string]string)
	env := extra
	for _, s := range steps {
		cmd := f.tool(env, "bash", "-euo", "pipefail", "-c", s.command)
		cmd.Dir = dir
		out := f.output(cmd)
		if !strings.Contains(out, s.want) {
			f.t.Fatalf("step %s: no %s in the answer of\n%s\n%s", s.section, s.want, s.command, out)
		}
		if s.save != "" {
			saved[s.save] = strings.TrimSpace(out)
			env = append(env, s.save+"="+saved[s.save])
		}
	}
	return saved
}

// goZips is the folder of the Lambda zips for this machine.
func goZips(t *testing.T) string {
	t.Helper()
	dir := root(t, "bin/lambda")
	if _, err := os.Stat(filepath.Join(dir, "process_iot-"+runtime.GOARCH+".zip")); err != nil {
		t.Fatalf("%v (make lambda builds it)", err)
	}
	return dir
}

// pythonZips packs the guide's functions in Python, once for all tests.
func pythonZips(t *testing.T) string {
	t.Helper()
	dir := root(t, "compat/artifacts/python")
	cmd := exec.Command(root(t, "examples/guide/lambda/package.sh"), dir)
	venv, err := filepath.Abs(".venv/bin/python")
	if err != nil {
		t.Fatal(err)
	}
	cmd.Env = append(os.Environ(), "PYTHON="+venv)
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("packing the Python functions: %v\n%s", err, out)
	}
	return dir
}

// The whole guide on the AWS CLI, from an empty account to a reading in a browser
// and over HTTP, with nothing but what `fieldline env` prints: with our Go
// functions, and with the guide's in Python.
func TestGuideStepByStep(t *testing.T) {
	for _, tt := range []struct {
		name, suffix, handler string
		zips                  func(*testing.T) string
	}{
		{"Go", "-" + runtime.GOARCH, "bootstrap", goZips},
		{"Python", "", "app.lambda_handler", pythonZips},
	} {
		t.Run(tt.name, func(t *testing.T) {
			f := up(t, "--empty")
			dir := t.TempDir()
			code := []string{"CODE=" + tt.zips(t), "SUFFIX=" + tt.suffix, "HANDLER=" + tt.handler, "RUNTIME=provided.al2023"}
			made := f.follow(dir, guideSteps(), code)
			f.copyRootCA(dir)
			f.receive(made["WEBSOCKET_URL"]+"/prod", dir)
			f.eventually("the reading at FetchIoTData", func() bool {
				return strings.Contains(f.fetch(made["HTTP_URL"]+"/prod/iotdata?device_id=MyDevice001"), `"temperature"`)
			})
			f.checkGuideTables()
		})
	}
}

// receive connects a WebSocket client (step 9), runs the guide's device script for
// one reading (step 3) and checks that the client gets it (step 10).
func (f *fieldline) receive(url, certs string) {
	f.t.Helper()
	listener := f.tool(nil, ".venv/bin/python", "sdk/listen.py", url, "1")
	heard, complaints := new(buffer), new(buffer)
	listener.Stdout, listener.Stderr = heard, complaints
	if err := listener.Start(); err != nil {
		f.t.Fatal(err)
	}
	f.eventually("the WebSocket client", func() bool { return strings.Contains(heard.String(), "connected") })
	device := []string{"CERTS=" + certs, "COUNT=1", "IOT_PORT=" + port(f.addresses.Device)}
	if out := f.output(f.tool(device, ".venv/bin/python", root(f.t, "examples/guide/device_publish.py"))); !strings.Contains(out, "Published:") {
		f.t.Fatalf("the device script printed:\n%s", out)
	}
	if err := listener.Wait(); err != nil {
		f.t.Fatalf("the WebSocket client: %v\n%s%s", err, heard, complaints)
	}
	frame := strings.TrimPrefix(heard.String(), "connected\n")
	var reading struct {
		DeviceID    string   `json:"device_id"`
		Temperature *float64 `json:"temperature"`
	}
	if err := json.Unmarshal([]byte(frame), &reading); err != nil || reading.DeviceID != "MyDevice001" || reading.Temperature == nil {
		f.t.Fatalf("the WebSocket client got %q", frame)
	}
}

// checkGuideTables looks where the guide's step 12 says to look.
func (f *fieldline) checkGuideTables() {
	f.t.Helper()
	for _, tt := range []struct{ args, want string }{
		{"dynamodb get-item --table-name IoTDeviceData --key {\"device_id\":{\"S\":\"MyDevice001\"}}", `"temperature"`},
		{"dynamodb scan --table-name WebsocketConnections", `"Count": 0`},
		{"logs filter-log-events --log-group-name /aws/lambda/ProcessIoTData", "REPORT RequestId"},
		{"logs filter-log-events --log-group-name /aws/lambda/OnDisconnect", "END RequestId"},
	} {
		f.eventually(tt.want, func() bool {
			out, _ := f.tool(nil, ".venv/bin/aws", strings.Fields(tt.args)...).CombinedOutput()
			return strings.Contains(string(out), tt.want)
		})
	}
}
