package compat

import (
	"bufio"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"
)

func TestDynamoDBThroughBoto3(t *testing.T) { up(t, "--empty").script("dynamodb.py") }

func TestDynamoDBThroughTheJavaScriptSDK(t *testing.T) { up(t, "--empty").script("dynamodb.mjs") }

// Another implementation answers generated requests as Fieldline does, but for the
// differences that the script lists with their reasons.
func TestDynamoDBAgreesWithAnotherImplementation(t *testing.T) {
	peer := dynalite(t)
	t.Log(up(t, "--empty").script("dynamodb_cases.py", "PEER_ENDPOINT="+peer))
}

// The tables of readings and connections work on both: on Fieldline with the key of
// its data folder, on dynalite as far as it goes.
func TestReadingsAndConnectionsInDynamoDB(t *testing.T) {
	f := up(t, "--empty")
	t.Run("Fieldline", func(t *testing.T) {
		f.in(t).integrate("DYNAMODB_ENDPOINT=http://" + f.addresses.Control)
	})
	t.Run("dynalite", func(t *testing.T) {
		f.in(t).integrate("DYNAMODB_ENDPOINT="+dynalite(t), "DYNAMODB_LACKS=ReturnValuesOnConditionCheckFailure")
	})
}

// integrate runs the tests of the package dynamo against a DynamoDB.
func (f *fieldline) integrate(extra ...string) {
	f.t.Helper()
	cmd := f.tool(extra, need(f.t, "go"), "test", "-count=1", "-v", "./internal/dynamo")
	cmd.Dir = root(f.t, ".")
	out := f.output(cmd)
	f.t.Log(out)
	if !strings.Contains(out, "--- PASS: TestReadingsComeBackByteForByte") { // it needs the DynamoDB
		f.t.Errorf("nothing was tested:\n%s", out)
	}
}

// dynalite starts dynalite and returns its address. It ends with the test.
func dynalite(t *testing.T) string {
	t.Helper()
	cmd := exec.Command(need(t, "node"), "dynalite.mjs", "0")
	log := new(buffer)
	cmd.Stderr = log
	stdin, err := cmd.StdinPipe() // held open: it ends with it
	if err != nil {
		t.Fatal(err)
	}
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Signal(syscall.SIGTERM)
		kill := time.AfterFunc(patience, func() { _ = cmd.Process.Kill() })
		defer kill.Stop()
		if err := cmd.Wait(); err != nil {
			t.Errorf("dynalite ended with %v\n%s", err, log)
		}
		stdin.Close()
	})
	address, err := bufio.NewReader(stdout).ReadString('\n')
	if err != nil {
		t.Fatalf("dynalite did not start: %v\n%s", err, log)
	}
	return strings.TrimSpace(address)
}

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
