package main

import (
	"context"
	"encoding/json"
	"net"
	"os"
	"os/exec"
	"path/filepath"

	"github.com/fieldline-iot/fieldline/bench/process"
)

// broker is a program under measurement.
type broker struct {
	name  string
	start func(ctx context.Context) (*process.Process, error)
}

func fieldlineBroker(path, profile string) broker {
	return broker{"fieldline", func(ctx context.Context) (*process.Process, error) {
		dir, err := os.MkdirTemp("", "bench-fieldline-")
		if err != nil {
			return nil, err
		}
		file := filepath.Join(dir, "ready.json")
		cmd := exec.CommandContext(ctx, path, "up", "--data", filepath.Join(dir, "data"), "--ready-file", file, "--log-level", "warn",
			"--mqtt-addr", "127.0.0.1:0", "--device-addr", "127.0.0.1:0", "--device-https-addr", "127.0.0.1:0",
			"--gateway-addr", "127.0.0.1:0", "--control-addr", "127.0.0.1:0", "--cpu-profile", profile)
		return process.Start(cmd, dir, func() (string, bool) {
			text, err := os.ReadFile(file)
			var addresses struct{ MQTT string }
			return addresses.MQTT, err == nil && json.Unmarshal(text, &addresses) == nil && addresses.MQTT != ""
		})
	}}
}

func mosquittoBroker(path string) broker {
	return broker{"mosquitto", func(ctx context.Context) (*process.Process, error) {
		dir, err := os.MkdirTemp("", "bench-mosquitto-")
		if err != nil {
			return nil, err
		}
		addr, err := process.FreeAddr()
		if err != nil {
			return nil, err
		}
		_, port, _ := net.SplitHostPort(addr)
		config := filepath.Join(dir, "mosquitto.conf")
		text := "listener " + port + " 127.0.0.1\nallow_anonymous true\nmax_inflight_messages 0\nmax_queued_messages 0\nset_tcp_nodelay true\n"
		if err := os.WriteFile(config, []byte(text), 0o600); err != nil {
			return nil, err
		}
		return process.Start(exec.CommandContext(ctx, path, "-c", config), dir, func() (string, bool) {
			c, err := net.Dial("tcp", addr)
			if err != nil {
				return "", false
			}
			return addr, c.Close() == nil
		})
	}}
}
