package servertest

import (
	"bufio"
	"context"
	"crypto/tls"
	"encoding/json"
	"fmt"
	"log/slog"
	"os"
	"os/exec"
	"os/signal"
	"syscall"
	"testing"

	"github.com/fieldline-iot/fieldline/internal/mqtt"
	"github.com/fieldline-iot/fieldline/internal/server"
)

// childData, in the environment, makes the test binary a server on that data
// folder, in a process of its own that a test may kill.
const childData = "FIELDLINE_TEST_SERVER_DATA"

// childAllow, in the environment of a child, is a host that its rules may post to.
const childAllow = "FIELDLINE_TEST_SERVER_ALLOW"

func TestMain(m *testing.M) {
	if data := os.Getenv(childData); data != "" {
		if err := serve(data); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	os.Exit(m.Run())
}

// serve runs a server until SIGTERM: it logs on standard error and says where it
// is on standard output.
func serve(data string) error {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM)
	defer stop()
	cfg := Config(data)
	cfg.MQTTAddr = "127.0.0.1:0"
	if host := os.Getenv(childAllow); host != "" {
		cfg.Actions.AllowHosts = []string{host}
	}
	cfg.Log = slog.New(slog.NewTextHandler(os.Stderr, nil))
	s, err := server.New(cfg)
	if err != nil {
		return err
	}
	return s.Run(ctx, "", func() {
		text, _ := json.Marshal(s.Addresses()) // strings always marshal
		fmt.Println(string(text))
	})
}

// child is a server in a process of its own.
type child struct {
	cmd       *exec.Cmd
	log       *Log
	addresses server.Addresses
}

// spawn starts a child, with more in its environment, and returns once it accepts.
func spawn(t *testing.T, data string, env ...string) *child {
	t.Helper()
	c := &child{cmd: exec.Command(os.Args[0]), log: new(Log)}
	c.cmd.Env = append(append(os.Environ(), childData+"="+data), env...)
	c.cmd.Stderr = c.log
	out, err := c.cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := c.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = c.cmd.Process.Kill() // it may be gone, and waited for, already
		_ = c.cmd.Wait()
		if t.Failed() {
			t.Logf("log of the server in process %d:\n%s", c.cmd.Process.Pid, c.log)
		}
	})
	line, err := bufio.NewReader(out).ReadBytes('\n')
	if err != nil {
		t.Fatalf("the server did not start: %v", err)
	}
	if err := json.Unmarshal(line, &c.addresses); err != nil {
		t.Fatal(err)
	}
	return c
}

// connect connects a device to the child.
func (c *child) connect(t *testing.T, name string, config *tls.Config, v mqtt.Version) *Client {
	t.Helper()
	return connect(t, c.addresses.Device, name, config, v)
}

// kill ends the process as kill -9 does.
func (c *child) kill(t *testing.T) {
	t.Helper()
	if err := c.cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = c.cmd.Wait() // reports the kill
}

// stop ends the process in order.
func (c *child) stop(t *testing.T) {
	t.Helper()
	if err := c.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	if err := c.cmd.Wait(); err != nil {
		t.Errorf("the server did not stop in order: %v", err)
	}
}
