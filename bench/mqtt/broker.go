package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// broker is a program under measurement.
type broker struct {
	name  string
	start func(ctx context.Context) (*process, error)
}

// process is a running broker with its plain MQTT address.
type process struct {
	addr string
	pid  int
	stop func() error
}

// patience bounds starting and stopping a broker.
const patience = 20 * time.Second

// launch starts a command with a folder of its own; ready reports its address.
func launch(cmd *exec.Cmd, dir string, ready func() (string, bool)) (*process, error) {
	log, err := os.Create(filepath.Join(dir, "log"))
	if err != nil {
		return nil, err
	}
	defer log.Close()
	cmd.Stdout, cmd.Stderr = log, log
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	stop := func() error {
		defer os.RemoveAll(dir)
		_ = cmd.Process.Signal(syscall.SIGTERM)
		select {
		case <-ended:
			return nil
		case <-time.After(patience):
			return errors.Join(errors.New("the broker did not stop"), cmd.Process.Kill())
		}
	}
	for deadline := time.Now().Add(patience); time.Now().Before(deadline); time.Sleep(20 * time.Millisecond) {
		if addr, ok := ready(); ok {
			return &process{addr, cmd.Process.Pid, stop}, nil
		}
	}
	text, _ := os.ReadFile(log.Name())
	return nil, errors.Join(fmt.Errorf("the broker did not start:\n%s", text), stop())
}

func fieldlineBroker(path, profile string) broker {
	return broker{"fieldline", func(ctx context.Context) (*process, error) {
		dir, err := os.MkdirTemp("", "bench-fieldline-")
		if err != nil {
			return nil, err
		}
		file := filepath.Join(dir, "ready.json")
		cmd := exec.CommandContext(ctx, path, "up", "--data", filepath.Join(dir, "data"), "--ready-file", file, "--log-level", "warn",
			"--mqtt-addr", "127.0.0.1:0", "--device-addr", "127.0.0.1:0", "--device-https-addr", "127.0.0.1:0",
			"--gateway-addr", "127.0.0.1:0", "--control-addr", "127.0.0.1:0", "--cpu-profile", profile)
		return launch(cmd, dir, func() (string, bool) {
			text, err := os.ReadFile(file)
			var addresses struct{ MQTT string }
			return addresses.MQTT, err == nil && json.Unmarshal(text, &addresses) == nil && addresses.MQTT != ""
		})
	}}
}

func mosquittoBroker(path string) broker {
	return broker{"mosquitto", func(ctx context.Context) (*process, error) {
		dir, err := os.MkdirTemp("", "bench-mosquitto-")
		if err != nil {
			return nil, err
		}
		addr, err := freeAddr()
		if err != nil {
			return nil, err
		}
		_, port, _ := net.SplitHostPort(addr)
		config := filepath.Join(dir, "mosquitto.conf")
		text := "listener " + port + " 127.0.0.1\nallow_anonymous true\nmax_inflight_messages 0\nmax_queued_messages 0\nset_tcp_nodelay true\n"
		if err := os.WriteFile(config, []byte(text), 0o600); err != nil {
			return nil, err
		}
		return launch(exec.CommandContext(ctx, path, "-c", config), dir, func() (string, bool) {
			c, err := net.Dial("tcp", addr)
			if err != nil {
				return "", false
			}
			return addr, c.Close() == nil
		})
	}}
}

// freeAddr is a loopback address that nobody listens on now.
func freeAddr() (string, error) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	return ln.Addr().String(), ln.Close()
}

// clockTicks is the unit of /proc/PID/stat, a second's part; 100 on Linux.
const clockTicks = 100

// cpuTime is the processor time that a process has used, on Linux.
func cpuTime(pid int) (time.Duration, error) {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return 0, err
	}
	fields := strings.Fields(string(text[strings.LastIndexByte(string(text), ')')+1:]))
	var ticks int
	for _, field := range fields[11:13] { // utime, stime
		n, err := strconv.Atoi(field)
		if err != nil {
			return 0, err
		}
		ticks += n
	}
	return time.Duration(ticks) * time.Second / clockTicks, nil
}
