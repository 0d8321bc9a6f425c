package compat

import (
	"path/filepath"
	"strings"
	"testing"
)

// The checklist without code of one's own: the built-in functions store, push and
// answer through the APIs, tables and rule that it makes.
func TestChecklistWithBuiltInFunctions(t *testing.T) {
	f := up(t, "--empty")
	certs := filepath.Join(t.TempDir(), "MyDevice001")
	made := f.checklist(certs, "CODE=")
	f.copyRootCA(certs)
	f.receive(made.webSocket, certs)
	if got := f.fetch(made.http); !strings.Contains(got, `"temperature"`) {
		t.Errorf("after one reading %s answers %s", made.http, got)
	}
	if out := f.output(f.tool(nil, ".venv/bin/aws", "dynamodb", "scan", "--table-name", "IoTDeviceData")); !strings.Contains(out, `"temperature"`) {
		t.Errorf("IoTDeviceData shows %s", out)
	}
}
