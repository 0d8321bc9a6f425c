package compat

import (
	"strings"
	"testing"
)

func TestDynamoDBThroughBoto3(t *testing.T) { up(t, "--empty").script("dynamodb.py") }

func TestDynamoDBThroughTheJavaScriptSDK(t *testing.T) { up(t, "--empty").script("dynamodb.mjs") }

// The guide's tables of the built-in stack show what is live, and are not written to.
func TestGuidesTablesAreLiveViews(t *testing.T) {
	f := up(t)
	certs := t.TempDir()
	f.command("thing", "create", "MyDevice001", "--out", certs)
	f.command("device", "--endpoint", f.addresses.Device, "--name", "MyDevice001", "--certs", certs, "--count", "1")
	aws := func(script string) string {
		return f.output(f.tool(nil, "bash", "-c", "aws dynamodb "+script+" 2>&1 || true"))
	}
	if got := aws(`get-item --table-name IoTDeviceData --key '{"device_id":{"S":"MyDevice001"}}'`); !strings.Contains(got, `"temperature"`) {
		t.Errorf("after one reading the table has %s", got)
	}
	if got := aws(`scan --table-name IoTDeviceData --query Count`); strings.TrimSpace(got) != "1" {
		t.Errorf("after one reading the scan counts %s", got)
	}
	if got := aws(`scan --table-name WebsocketConnections --query Count`); strings.TrimSpace(got) != "0" {
		t.Errorf("without a WebSocket client the scan counts %s", got)
	}
	if got := aws(`put-item --table-name IoTDeviceData --item '{"device_id":{"S":"x"}}'`); !strings.Contains(got, "ValidationException") || !strings.Contains(got, "ProcessIoTData") {
		t.Errorf("writing to the view says %s", got)
	}
}
