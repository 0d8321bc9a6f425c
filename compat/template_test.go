package compat

import (
	"os"
	"os/exec"
	"regexp"
	"strings"
	"testing"
)

const template = "../deploy/aws/template.yaml"

// readTemplate returns the SAM template.
func readTemplate(t *testing.T) string {
	t.Helper()
	text, err := os.ReadFile(template)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// starsWithoutReason returns the lines whose value has a * and whose comment does
// not say why.
func starsWithoutReason(text string) []string {
	reason := regexp.MustCompile(`# \*: \S.{15,}`)
	var bare []string
	for line := range strings.Lines(text) {
		value, _, _ := strings.Cut(line, "#")
		value = strings.ReplaceAll(value, "SELECT *", "SELECT")
		if strings.Contains(value, "*") && !reason.MatchString(line) {
			bare = append(bare, strings.TrimSpace(line))
		}
	}
	return bare
}

func TestTemplateSaysWhyForEveryStar(t *testing.T) {
	text := readTemplate(t)
	if bare := starsWithoutReason(text); len(bare) > 0 {
		t.Errorf("no reason stands on these lines:\n%s", strings.Join(bare, "\n"))
	}
	stripped := regexp.MustCompile(` # \*:.*`).ReplaceAllString(text, "")
	if len(starsWithoutReason(stripped)) == 0 {
		t.Error("the check finds nothing in a template without reasons")
	}
}

// The names that the guide's commands and code use.
func TestTemplateHasTheGuidesNames(t *testing.T) {
	text := readTemplate(t)
	for _, want := range []string{
		"PolicyName: IoTBasicPolicy", "RuleName: SendToLambdaRule", "FROM '${Topic}'", "Default: sensor/data",
		"TableName: IoTDeviceData", "TableName: WebsocketConnections", "BillingMode: PAY_PER_REQUEST",
		"AttributeName: device_id, KeyType: HASH", "AttributeName: connectionId, KeyType: HASH",
		"FunctionName: ProcessIoTData", "FunctionName: OnConnect", "FunctionName: OnDisconnect", "FunctionName: FetchIoTData",
		"Name: IoTWebsocketAPI", "RouteSelectionExpression: $request.body.action", "StageName: prod",
		"RouteKey: $connect", "RouteKey: $disconnect", "RouteKey: $default", "RouteKey: GET /iotdata",
		"DDB_TABLE:", "CONNECTIONS_TABLE:", "WEBSOCKET_API_ID:", "WEBSOCKET_STAGE: prod",
	} {
		if !strings.Contains(text, want) {
			t.Errorf("the template has no %q", want)
		}
	}
	if strings.Contains(text, "AWS_REGION:") {
		t.Error("AWS_REGION is reserved: Lambda refuses a function that sets it")
	}
}

func TestTemplatePassesCfnLint(t *testing.T) {
	if out, err := exec.Command(".venv/bin/cfn-lint", template).CombinedOutput(); err != nil {
		t.Errorf("cfn-lint: %v\n%s", err, out)
	}
}

func TestTemplatePassesSAMsTranslator(t *testing.T) {
	out, err := exec.Command(".venv/bin/python", "sdk/translate.py", template).Output()
	if err != nil || strings.Count(string(out), "ok ") != 6 {
		t.Errorf("translator: %v\n%s", err, out)
	}
}
