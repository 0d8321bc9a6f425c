// Package compat runs the real clients of AWS IoT and the web against the built
// program: the AWS CLI, the AWS IoT device SDK, mosquitto's tools and Chromium.
package compat

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// program is the built program.
const program = "../bin/fieldline"

// patience bounds every wait; it is no figure of speed.
const patience = 60 * time.Second

// fieldline is a running server with a data folder of its own.
type fieldline struct {
	t         *testing.T
	data      string
	log       *buffer
	out       *buffer
	addresses struct{ Device, Device_https, MQTT, Gateway, Control string }
}

// buffer collects a process's output, safely for readers meanwhile.
type buffer struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (b *buffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.text.Write(p)
}

func (b *buffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.text.String()
}

// up starts a server on free ports and stops it, by its own process, at the end.
func up(t *testing.T, args ...string) *fieldline {
	t.Helper()
	f := &fieldline{t: t, data: t.TempDir(), log: new(buffer), out: new(buffer)}
	ready := filepath.Join(t.TempDir(), "ready.json")
	cmd := exec.Command(program, append([]string{
		"up", "--data", f.data, "--ready-file", ready, "--device-addr", "127.0.0.1:0", "--device-https-addr", "127.0.0.1:0",
		"--gateway-addr", "127.0.0.1:0", "--control-addr", "127.0.0.1:0",
	}, args...)...)
	cmd.Stdout, cmd.Stderr = f.out, f.log
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	t.Cleanup(func() {
		_ = cmd.Process.Signal(syscall.SIGINT)
		select {
		case err := <-ended:
			if err != nil {
				t.Errorf("fieldline up ended with %v", err)
			}
		case <-time.After(patience):
			_ = cmd.Process.Kill()
			t.Error("fieldline up did not stop")
		}
		if t.Failed() {
			t.Logf("server log:\n%s", f.log)
		}
	})
	f.eventually("the ready file", func() bool {
		text, err := os.ReadFile(ready)
		return err == nil && json.Unmarshal(text, &f.addresses) == nil
	})
	return f
}

// in returns the same server for a subtest, whose failures are then its own.
func (f *fieldline) in(t *testing.T) *fieldline {
	sub := *f
	sub.t = t
	return &sub
}

// eventually waits until a condition holds.
func (f *fieldline) eventually(what string, holds func() bool) {
	f.t.Helper()
	for deadline := time.Now().Add(patience); time.Now().Before(deadline); time.Sleep(50 * time.Millisecond) {
		if holds() {
			return
		}
	}
	f.t.Fatalf("waited in vain for %s\nserver log:\n%s", what, f.log)
}

// environment is the caller's with what `fieldline env` prints.
func (f *fieldline) environment() []string {
	f.t.Helper()
	env := os.Environ()
	venv, err := filepath.Abs(".venv/bin")
	if err != nil {
		f.t.Fatal(err)
	}
	env = append(env, "PATH="+venv+":"+os.Getenv("PATH"), "AWS_PAGER=", "AWS_CONFIG_FILE=/dev/null", "AWS_EC2_METADATA_DISABLED=true")
	for line := range strings.Lines(f.command("env")) {
		name, value, _ := strings.Cut(strings.TrimPrefix(strings.TrimSpace(line), "export "), "=")
		env = append(env, name+"="+strings.Trim(value, "'"))
	}
	return env
}

// command runs a fieldline command against the server and returns its output.
func (f *fieldline) command(args ...string) string {
	f.t.Helper()
	cmd := exec.Command(program, append(args, "--data", f.data, "--control-addr", f.addresses.Control, "--gateway-addr", f.addresses.Gateway)...)
	return f.output(cmd)
}

// output runs a command to its end and returns what it printed.
func (f *fieldline) output(cmd *exec.Cmd) string {
	f.t.Helper()
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		f.t.Fatalf("%s: %v\n%s%s", strings.Join(cmd.Args, " "), err, out, stderr.String())
	}
	return string(out)
}

// tool runs a program of the clients' world with the server's environment.
func (f *fieldline) tool(extra []string, name string, args ...string) *exec.Cmd {
	f.t.Helper()
	ctx, cancel := context.WithTimeout(f.t.Context(), 6*patience)
	f.t.Cleanup(cancel)
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Env = append(f.environment(), extra...)
	return cmd
}

// script runs a script of sdk/ with the server's environment: Python for .py, Node
// for .mjs. It prints a line "ok …" for each thing that it has checked, and ends
// with an error at the first that is not so.
func (f *fieldline) script(name string, extra ...string) string {
	f.t.Helper()
	interpreter := ".venv/bin/python"
	if strings.HasSuffix(name, ".mjs") {
		interpreter = need(f.t, "node")
	}
	out := f.output(f.tool(extra, interpreter, "sdk/"+name))
	if !strings.Contains(out, "ok ") {
		f.t.Errorf("%s checked nothing:\n%s", name, out)
	}
	return out
}

// get reads a document of the gateway.
func (f *fieldline) get(path string) string {
	f.t.Helper()
	return f.fetch("http://" + f.addresses.Gateway + path)
}

// fetch reads a document at a URL.
func (f *fieldline) fetch(url string) string {
	f.t.Helper()
	res, err := http.Get(url)
	if err != nil {
		f.t.Fatal(err)
	}
	defer res.Body.Close()
	text, err := io.ReadAll(res.Body)
	if err != nil {
		f.t.Fatal(err)
	}
	return string(text)
}

// need finds a tool of the system. Without it the test is skipped by name; under
// CI=true that is a failure.
func need(t *testing.T, name string) string {
	t.Helper()
	path, err := exec.LookPath(name)
	if err == nil {
		return path
	}
	if os.Getenv("CI") == "true" {
		t.Fatalf("%s is missing", name)
	}
	t.Skipf("%s is missing (apt-get install it)", name)
	return ""
}

// port is the port of host:port.
func port(addr string) string { return addr[strings.LastIndex(addr, ":")+1:] }

// root is an absolute path below the repository's root.
func root(t *testing.T, path string) string {
	t.Helper()
	abs, err := filepath.Abs(filepath.Join("..", path))
	if err != nil {
		t.Fatal(err)
	}
	return abs
}
