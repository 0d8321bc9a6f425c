package compat

import (
	"bufio"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"
)

// The performers of rules' actions on servers that are not ours, which are away
// again and again.
func TestTargetsOnRealServers(t *testing.T) {
	for _, tt := range []struct {
		name, services string
		serve          func(*testing.T) string
		want           int // tests that pass
	}{
		{"moto", "sqs,kinesis,dynamodb,cloudwatchlogs", moto, 4},
		{"dynalite", "dynamodb", dynalite, 1},
	} {
		t.Run(tt.name, func(t *testing.T) {
			direct := tt.serve(t)
			g := newGate(t, direct)
			stop, stopped := make(chan struct{}), make(chan struct{})
			go func() {
				defer close(stopped)
				for {
					for _, flip := range []func(){g.shut, g.open} {
						select {
						case <-stop:
							return
						case <-time.After(150 * time.Millisecond):
							flip()
						}
					}
				}
			}()
			defer func() { close(stop); <-stopped }()
			cmd := exec.Command(need(t, "go"), "test", "-count=1", "-v", "-run=Real", "./internal/target")
			cmd.Env = append(os.Environ(), "TARGET_ENDPOINT="+g.url(), "TARGET_DIRECT="+direct, "TARGET_SERVICES="+tt.services,
				"AWS_ACCESS_KEY_ID=test", "AWS_SECRET_ACCESS_KEY=test", "AWS_CONFIG_FILE=/dev/null")
			(&fieldline{t: t}).tested(cmd, tt.want)
		})
	}
}

// Tables and log groups of Fieldline itself are targets too.
func TestTargetsOnFieldline(t *testing.T) {
	f := up(t, "--empty")
	f.tested(f.tool([]string{"TARGET_ENDPOINT=http://" + f.addresses.Control, "TARGET_SERVICES=dynamodb,cloudwatchlogs"},
		need(t, "go"), "test", "-count=1", "-v", "-run=Real", "./internal/target"), 2)
}

// tested runs tests of the main module, of which some must have passed and none
// failed.
func (f *fieldline) tested(cmd *exec.Cmd, want int) {
	f.t.Helper()
	cmd.Dir = root(f.t, ".")
	out := f.output(cmd)
	f.t.Log(out)
	if n := strings.Count(out, "--- PASS: "); n != want {
		f.t.Errorf("%d tests passed, want %d", n, want)
	}
}

// moto starts moto and returns its address. It ends with the test.
func moto(t *testing.T) string {
	t.Helper()
	cmd := exec.Command(".venv/bin/python", "motoserver.py")
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
		stdin.Close()
		kill := time.AfterFunc(patience, func() { _ = cmd.Process.Kill() })
		defer kill.Stop()
		if err := cmd.Wait(); err != nil {
			t.Errorf("moto ended with %v\n%s", err, log)
		}
	})
	address, err := bufio.NewReader(stdout).ReadString('\n')
	if err != nil {
		t.Fatalf("moto did not start: %v\n%s", err, log)
	}
	return strings.TrimSpace(address)
}
