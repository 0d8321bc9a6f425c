package compat

import (
	"encoding/json"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// browse runs one scenario of browser.mjs in headless Chromium.
func (f *fieldline) browse(scenario string, settings map[string]string) string {
	f.t.Helper()
	chromium := need(f.t, "chromium")
	if err := os.MkdirAll("artifacts", 0o755); err != nil {
		f.t.Fatal(err)
	}
	settings["chromium"] = chromium
	settings["gateway"] = "http://" + f.addresses.Gateway
	text, err := json.Marshal(settings)
	if err != nil {
		f.t.Fatal(err)
	}
	return f.output(f.tool(nil, need(f.t, "node"), "browser.mjs", scenario, string(text)))
}

// device creates a device and runs it over a real connection.
func (f *fieldline) device(name string, args ...string) {
	f.t.Helper()
	certs := filepath.Join(f.t.TempDir(), name)
	f.command("thing", "create", name, "--out", certs)
	f.command(append([]string{"device", "--endpoint", f.addresses.Device, "--name", name, "--certs", certs}, args...)...)
}

// guidesPage serves the guide's page from an origin of its own and returns its URL
// under the given host name.
func (f *fieldline) guidesPage(host string) string {
	f.t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		f.t.Fatal(err)
	}
	pages := &http.Server{Handler: http.FileServer(http.Dir(root(f.t, "examples/guide")))}
	go pages.Serve(ln)
	f.t.Cleanup(func() { pages.Close() })
	return "http://" + host + ":" + port(ln.Addr().String()) + "/browser.html?ws=ws://" + f.addresses.Gateway + "/prod"
}

// The guide's step 9, in a page of another origin.
func TestGuidesBrowserCode(t *testing.T) {
	f := up(t, "--demo")
	out := f.browse("guide", map[string]string{"page": f.guidesPage("localhost")})
	if !strings.Contains(out, `"temperature"`) {
		t.Errorf("the page showed %s", out)
	}
}

// The same page, when a site of the web serves it.
func TestForeignPageIsRefused(t *testing.T) {
	f := up(t, "--demo")
	f.browse("foreign", map[string]string{"page": f.guidesPage("foreign.example")})
}

// The dashboard: the fleet fills and updates by itself, a device has its charts,
// any name is text, and the operator adds a device that then connects.
func TestDashboard(t *testing.T) {
	f := up(t, "--demo")
	f.device("pump-07", "--count", "3", "--interval", "100ms")
	odd := "<b>Öl</b> & 50% / " + strings.Repeat("x", 100)
	f.command("pub", "sensor/data", `{"device_id":"`+odd+`","temperature":1.50}`)
	login := strings.TrimSpace(f.command("login"))
	out := f.browse("dashboard", map[string]string{"login": login, "device": odd})
	var made struct{ Files map[string]string }
	if err := json.Unmarshal([]byte(out), &made); err != nil {
		t.Fatalf("%v in %s", err, out)
	}
	certs := t.TempDir()
	for name, text := range made.Files {
		write(t, filepath.Join(certs, name), text)
	}
	f.command("device", "--endpoint", f.addresses.Device, "--name", "added-in-browser", "--certs", certs, "--count", "1")
	if got := f.get("/prod/iotdata?device_id=added-in-browser"); !strings.Contains(got, `"temperature"`) {
		t.Errorf("the added device's reading: %s", got)
	}
}

func TestDashboardByKeyboard(t *testing.T) {
	f := up(t, "--demo")
	f.device("pump-07", "--count", "1")
	f.browse("keyboard", map[string]string{})
}

// When the server goes away the dashboard says so, and catches up by itself.
func TestDashboardSaysWhenItIsReconnecting(t *testing.T) {
	f := up(t, "--demo")
	f.browse("reconnect", map[string]string{})
}
