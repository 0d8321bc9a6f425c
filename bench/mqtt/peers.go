package main

import (
	"context"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"

	"github.com/fieldline-iot/fieldline/bench/process"
)

// subject is the broker that the others are compared with.
const subject = "fieldline"

// broker is a program under measurement.
type broker struct {
	name    string
	version string // where it has one
	// start starts it afresh, with a listener for mutual TLS or a plain one.
	start func(ctx context.Context, secure bool) (running, error)
	// fleet is the devices that its secure listener knows.
	fleet func(ctx context.Context) (*fleet, error)
}

// running is a broker that has been started.
type running struct {
	*process.Process
	metrics string // where it tells its allocations; "" where it does not
}

// newBrokers are the brokers to measure, fieldline last. Programs that are built
// for it, and all certificates, are in dir.
func newBrokers(ctx context.Context, s settings, dir string) ([]broker, error) {
	p := &peers{dir: dir}
	devices := sync.OnceValues(func() (*fleet, error) { return newFleet(dir, s.idle) })
	fleet := func(context.Context) (*fleet, error) { return devices() }
	known := []broker{
		{name: "mosquitto", start: p.mosquitto(s.mosquitto), fleet: fleet},
		{name: "mochi", start: p.mochi, fleet: fleet},
		{name: "nats", start: p.nats, fleet: fleet},
		{name: "forwarder", start: p.forwarder},
	}
	var brokers []broker
	for _, name := range strings.FieldsFunc(s.peers, func(r rune) bool { return r == ',' }) {
		i := slices.IndexFunc(known, func(b broker) bool { return b.name == name })
		if i < 0 {
			return nil, fmt.Errorf("-peers: there is no %q, only mosquitto, mochi, nats and forwarder", name)
		}
		b := known[i]
		var err error
		if b.version, err = p.prepare(ctx, name, s); err != nil {
			return nil, err
		}
		brokers = append(brokers, b)
	}
	f := newFieldline(s, dir)
	return append(brokers, broker{name: subject, start: f.start, fleet: f.fleet}), nil
}

// prepare builds a peer, unless it is mosquitto, and returns its version, which
// is go.mod's.
func (p *peers) prepare(ctx context.Context, name string, s settings) (version string, err error) {
	const here = "github.com/fieldline-iot/fieldline/bench/mqtt"
	switch name {
	case "mosquitto":
		return mosquittoVersion(ctx, s.mosquitto)
	case "mochi":
		if err := build(ctx, p.program(name), here+"/mochi"); err != nil {
			return "", err
		}
		return moduleVersion(p.program(name), "github.com/mochi-mqtt/server/v2")
	case "nats":
		const server = "github.com/nats-io/nats-server/v2" // its own main
		if err := build(ctx, p.program(name), server); err != nil {
			return "", err
		}
		return moduleVersion(p.program(name), server)
	default:
		return "", build(ctx, p.program(name), here+"/forward")
	}
}

func build(ctx context.Context, path, program string) error {
	fmt.Fprintln(os.Stderr, "building", program)
	cmd := exec.CommandContext(ctx, "go", "build", "-o", path, program)
	if text, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("building %s: %w\n%s", program, err, text)
	}
	return nil
}

// peers starts the others' brokers.
type peers struct{ dir string }

func (p *peers) program(name string) string { return filepath.Join(p.dir, name) }

func (p *peers) mosquitto(path string) func(ctx context.Context, secure bool) (running, error) {
	return func(ctx context.Context, secure bool) (running, error) {
		return launch(func(dir, host, port string) (*exec.Cmd, error) {
			// user root: it reads the certificates as whom it was started by.
			config := fmt.Sprintf("user root\nlistener %s %s\nallow_anonymous true\nmax_inflight_messages 0\nmax_queued_messages 0\nset_tcp_nodelay true\n", port, host)
			if secure {
				config += fmt.Sprintf("cafile %s\ncertfile %s\nkeyfile %s\nrequire_certificate true\n", p.program(rootFile), p.program(serverFile), p.program(keyFile))
			}
			file := filepath.Join(dir, "mosquitto.conf")
			return exec.CommandContext(ctx, path, "-c", file), os.WriteFile(file, []byte(config), 0o600)
		})
	}
}

func (p *peers) mochi(ctx context.Context, secure bool) (running, error) {
	return launch(func(_, host, port string) (*exec.Cmd, error) {
		args := []string{"-addr", net.JoinHostPort(host, port)}
		if secure {
			args = append(args, "-root", p.program(rootFile), "-cert", p.program(serverFile), "-key", p.program(keyFile))
		}
		return exec.CommandContext(ctx, p.program("mochi"), args...), nil
	})
}

// nats has JetStream on a folder of its own, with its defaults: it syncs every
// two minutes. Its bound of unacknowledged deliveries is raised above the load.
func (p *peers) nats(ctx context.Context, secure bool) (running, error) {
	return launch(func(dir, host, port string) (*exec.Cmd, error) {
		config := fmt.Sprintf("server_name: bench\nlisten: \"127.0.0.1:-1\"\njetstream { store_dir: %q }\nmqtt {\n  host: %q\n  port: %s\n  max_ack_pending: 60000\n", filepath.Join(dir, "jetstream"), host, port)
		if secure {
			config += fmt.Sprintf("  tls { ca_file: %q, cert_file: %q, key_file: %q, verify: true }\n", p.program(rootFile), p.program(serverFile), p.program(keyFile))
		}
		file := filepath.Join(dir, "nats.conf")
		return exec.CommandContext(ctx, p.program("nats"), "-c", file), os.WriteFile(file, []byte(config+"}\n"), 0o600)
	})
}

func (p *peers) forwarder(ctx context.Context, _ bool) (running, error) {
	return launch(func(_, host, port string) (*exec.Cmd, error) {
		return exec.CommandContext(ctx, p.program("forwarder"), "-addr", net.JoinHostPort(host, port)), nil
	})
}

// launch starts a program that listens where it is told to, in a folder of its
// own; it is ready once it accepts.
func launch(command func(dir, host, port string) (*exec.Cmd, error)) (r running, err error) {
	dir, err := os.MkdirTemp("", "bench-broker-")
	if err != nil {
		return r, err
	}
	addr, err := process.FreeAddr()
	if err != nil {
		return r, err
	}
	host, port, err := net.SplitHostPort(addr)
	if err != nil {
		return r, err
	}
	cmd, err := command(dir, host, port)
	if err != nil {
		return r, err
	}
	r.Process, err = process.Start(cmd, dir, func() (string, bool) {
		c, err := net.Dial("tcp", addr)
		if err != nil {
			return "", false
		}
		return addr, c.Close() == nil
	})
	return r, err
}
