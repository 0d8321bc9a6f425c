package compat

import (
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// The guide's steps 2 to 8 on the AWS CLI with our zips, and then a device with what
// they made.
func TestGuideOnTheAWSCLI(t *testing.T) {
	f := up(t, "--empty")
	certs := filepath.Join(t.TempDir(), "MyDevice001")
	made := f.checklist(certs)
	f.copyRootCA(certs)
	f.command("device", "--endpoint", f.addresses.Device, "--name", "MyDevice001", "--certs", certs, "--count", "1")
	f.eventually("the reading at "+made.http, func() bool { return strings.Contains(f.fetch(made.http), `"temperature"`) })
}

// checklisted is where the guide's checklist says that its APIs are.
type checklisted struct{ webSocket, http string }

// checklist runs examples/guide/checklist.sh with more variables.
func (f *fieldline) checklist(certs string, variables ...string) (made checklisted) {
	f.t.Helper()
	out := f.output(f.tool(variables, root(f.t, "examples/guide/checklist.sh"), certs))
	for _, want := range []string{`"thingName": "MyDevice001"`, `"policyName": "IoTBasicPolicy"`, "localhost", "iot-invoke"} {
		if !strings.Contains(out, want) {
			f.t.Errorf("the checklist printed no %s:\n%s", want, out)
		}
	}
	for line := range strings.Lines(out) {
		if url, ok := strings.CutPrefix(line, "WebSocket:"); ok {
			made.webSocket = strings.TrimSpace(url)
		}
		if url, ok := strings.CutPrefix(line, "HTTP:"); ok {
			made.http = strings.TrimSpace(url)
		}
	}
	return made
}

// Every command of the guide's steps 2 and 6 as it is printed there.
func TestGuidesOwnCommands(t *testing.T) {
	f := up(t, "--empty")
	dir := t.TempDir()
	write(t, filepath.Join(dir, "iot-policy.json"), `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":["iot:Connect","iot:Publish","iot:Subscribe","iot:Receive"],"Resource":["*"]}]}`)
	write(t, filepath.Join(dir, "iot-rule.json"), `{"sql":"SELECT * FROM 'sensor/data'","actions":[{"lambda":{"functionArn":"arn:aws:lambda:us-east-1:123456789012:function:ProcessIoTData"}}],"ruleDisabled":false}`)
	script := `set -euo pipefail
aws iot create-policy --policy-name IoTBasicPolicy --policy-document file://iot-policy.json
CERT_ARN=$(aws iot create-keys-and-certificate --set-as-active --certificate-pem-outfile certificate.pem.crt --private-key-outfile private.pem.key --query certificateArn --output text)
aws iot attach-policy --policy-name IoTBasicPolicy --target "$CERT_ARN"
aws iot describe-endpoint --endpoint-type iot:Data-ATS --region $AWS_REGION
aws iot create-topic-rule --rule-name SendToLambdaRule --topic-rule-payload file://iot-rule.json --region $AWS_REGION
aws lambda add-permission --function-name ProcessIoTData --statement-id iot-invoke --action lambda:InvokeFunction --principal iot.amazonaws.com --source-arn "arn:aws:iot:$AWS_REGION:$ACCOUNT_ID:rule/SendToLambdaRule"
aws sts get-caller-identity
aws iot get-topic-rule --rule-name SendToLambdaRule
aws lambda get-policy --function-name ProcessIoTData`
	cmd := f.tool(nil, "bash", "-c", script)
	cmd.Dir = dir
	out := f.output(cmd)
	for _, want := range []string{`"endpointAddress": "localhost"`, `"Account": "123456789012"`, `"ruleName": "SendToLambdaRule"`, `iot.amazonaws.com`} {
		if !strings.Contains(out, want) {
			t.Errorf("no %s in:\n%s", want, out)
		}
	}
	if !strings.Contains(f.log.String(), "client/${iot:Connection.Thing.ThingName}") {
		t.Error("the wildcard policy drew no warning that says how to narrow it")
	}
	f.copyRootCA(dir)
	f.command("device", "--endpoint", f.addresses.Device, "--name", "MyDevice001", "--certs", dir, "--count", "1")
	if got := f.get("/prod/iotdata?device_id=MyDevice001"); !strings.Contains(got, `"temperature"`) {
		t.Errorf("after one reading /prod/iotdata answers %s", got)
	}
}

func TestAWSCLIErrorsCarryAWSsNames(t *testing.T) {
	f := up(t)
	for _, tt := range []struct{ args, want string }{
		{"iot describe-thing --thing-name nobody", "ResourceNotFoundException"},
		{"iot create-policy --policy-name Bad --policy-document {}", "MalformedPolicyException"},
		{`iot create-topic-rule --rule-name Bad --topic-rule-payload {"sql":"SELEC","actions":[]}`, "SqlParseException"},
		{"iot create-policy --policy-name IoTBasicPolicy --policy-document " + `{"Version":"2012-10-17","Statement":[]}`, "Exception"},
		{"iot list-jobs", "not supported"},
		{"lambda add-permission --function-name Nope --statement-id s --action lambda:InvokeFunction --principal iot.amazonaws.com", "ResourceNotFoundException"},
	} {
		cmd := f.tool(nil, ".venv/bin/aws", strings.Fields(tt.args)...)
		out, err := cmd.CombinedOutput()
		if err == nil || !strings.Contains(string(out), tt.want) {
			t.Errorf("aws %s: %v, want %s:\n%s", tt.args, err, tt.want, out)
		}
	}
	cmd := f.tool([]string{"AWS_ACCESS_KEY_ID=AKIAWRONG", "AWS_SECRET_ACCESS_KEY=wrong"}, ".venv/bin/aws", "iot", "list-things")
	if out, err := cmd.CombinedOutput(); err == nil || !strings.Contains(string(out), "UnrecognizedClientException") {
		t.Errorf("a wrong key: %v\n%s", err, out)
	}
}

// The guide's device script on the AWS IoT Device SDK for Python.
func TestAWSIoTDeviceSDK(t *testing.T) {
	for _, tt := range []struct {
		name string
		args []string
		port bool // give the port to the script
	}{
		{"with port", nil, true},
		{"on 443 without a port", []string{"--device-addr", "127.0.0.1:443"}, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if !tt.port {
				ln, err := net.Listen("tcp", "127.0.0.1:443")
				if err != nil {
					t.Skipf("443 cannot be bound: %v", err)
				}
				ln.Close()
			}
			f := up(t, tt.args...)
			certs := t.TempDir()
			f.command("thing", "create", "MyDevice001", "--out", certs)
			env := []string{"IOT_ENDPOINT=localhost", "CERTS=" + certs, "COUNT=3", "INTERVAL=0.1"}
			if tt.port {
				env = append(env, "IOT_PORT="+port(f.addresses.Device))
			}
			out := f.output(f.tool(env, ".venv/bin/python", root(t, "examples/guide/device_publish.py")))
			if strings.Count(out, "Published:") != 3 {
				t.Errorf("the script printed:\n%s", out)
			}
			if got := f.get("/prod/iotdata?device_id=MyDevice001&from=0"); strings.Count(got, `"seq"`) != 3 {
				t.Errorf("history: %s", got)
			}
		})
	}
}

func TestMosquittoClients(t *testing.T) {
	pub, sub := need(t, "mosquitto_pub"), need(t, "mosquitto_sub")
	f := up(t)
	certs := t.TempDir()
	f.command("thing", "create", "MyDevice001", "--out", certs)
	login := []string{
		"-h", "localhost", "-p", port(f.addresses.Device), "--cafile", filepath.Join(certs, "AmazonRootCA1.pem"),
		"--cert", filepath.Join(certs, "certificate.pem.crt"), "--key", filepath.Join(certs, "private.pem.key"),
	}
	for _, version := range []string{"mqttv311", "mqttv5"} {
		t.Run(version, func(t *testing.T) {
			f := f.in(t)
			certs := t.TempDir()
			f.command("thing", "create", "listener-"+version, "--out", certs)
			args := []string{
				"-h", "localhost", "-p", port(f.addresses.Device), "--cafile", filepath.Join(certs, "AmazonRootCA1.pem"),
				"--cert", filepath.Join(certs, "certificate.pem.crt"), "--key", filepath.Join(certs, "private.pem.key"),
				"-i", "listener-" + version, "-V", version, "-q", "1", "-t", "sensor/data", "-C", "1", "-d",
			}
			// Into a pipe mosquitto_sub holds its lines back; stdbuf has it write them.
			listener := exec.Command(need(t, "stdbuf"), append([]string{"-o0", sub}, args...)...)
			heard := new(buffer)
			listener.Stdout = heard
			if err := listener.Start(); err != nil {
				t.Fatal(err)
			}
			defer listener.Process.Kill()
			f.eventually("the subscription", func() bool { return strings.Contains(heard.String(), "Subscribed") })
			payload := `{"device_id":"MyDevice001","temperature":21.50}`
			f.output(exec.Command(pub, append(login, "-i", "MyDevice001", "-V", version, "-q", "1", "-t", "sensor/data", "-m", payload)...))
			f.eventually("the message", func() bool { return strings.Contains(heard.String(), payload) })
		})
	}
	t.Run("another client id is refused", func(t *testing.T) {
		out, err := exec.Command(pub, append(login, "-i", "somebody-else", "-t", "sensor/data", "-m", "{}", "-q", "1")...).CombinedOutput()
		if err == nil {
			t.Errorf("the policy let it in:\n%s", out)
		}
	})
}

// copyRootCA puts the root certificate beside a device's files, as the console's
// download does.
func (f *fieldline) copyRootCA(dir string) {
	f.t.Helper()
	text, err := os.ReadFile(filepath.Join(f.data, "ca", "AmazonRootCA1.pem"))
	if err != nil {
		f.t.Fatal(err)
	}
	write(f.t, filepath.Join(dir, "AmazonRootCA1.pem"), string(text))
}

func write(t *testing.T, path, text string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}
