package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/signal"
	"path/filepath"
	"runtime/pprof"
	"strings"
	"syscall"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/fieldline-iot/fieldline/internal/server"
)

// upOptions are the settings of `fieldline up`.
type upOptions struct {
	server      server.Config
	limits      []string // the flags of server.Limits
	config      string
	readyFile   string
	demo        bool
	logLevel    string
	profile     string
	allocations string
}

func upCommand(std streams) *cobra.Command {
	o := &upOptions{server: server.DefaultConfig()}
	c := &cobra.Command{
		Use:   "up",
		Short: "Run everything: broker, rules, functions, store, gateway and control API",
		Long: `Runs everything. On an empty data folder it first creates the guide's stack:
policy IoTBasicPolicy, rule SendToLambdaRule with the permission to invoke
ProcessIoTData, and the WebSocket and HTTP APIs at /prod.

Each flag may also be set by an environment variable, FIELDLINE_ and the flag's
name in capitals (FIELDLINE_DEVICE_ADDR), or by a key of the YAML file that
--config names. The flag comes first, then the variable, then the file.`,
		Example: "  fieldline up --demo\n  fieldline up --data /var/lib/fieldline --device-addr 0.0.0.0:8883 --hostname iot.example.org",
		Args:    cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			if err := o.settle(c.Flags()); err != nil {
				return err
			}
			return o.run(c.Context(), std)
		},
	}
	o.define(c.Flags())
	return c
}

func (o *upOptions) define(f *pflag.FlagSet) {
	s := &o.server
	s.Account.Region = environmentRegion()
	if account := os.Getenv("ACCOUNT_ID"); account != "" {
		s.Account.ID = account
	}
	f.StringVar(&s.Data, "data", s.Data, "folder that holds everything durable")
	f.StringArrayVar(&s.DeviceAddrs, "device-addr", s.DeviceAddrs, "MQTT over mutual TLS; may be repeated (and 127.0.0.1:443 where it may be bound, unless given)")
	f.StringVar(&s.DeviceHTTPSAddr, "device-https-addr", s.DeviceHTTPSAddr, `HTTPS publish with a client certificate; "" is off`)
	f.StringVar(&s.MQTTAddr, "mqtt-addr", "", "plain MQTT without certificates, under the policy PlainMqtt (default off)")
	f.BoolVar(&s.AllowPlainRemote, "allow-plain-remote", false, "let --mqtt-addr be reachable from other machines")
	f.StringVar(&s.GatewayAddr, "gateway-addr", s.GatewayAddr, "dashboard, WebSocket and HTTP API")
	f.StringVar(&s.GatewayCert, "gateway-cert", "", "serve the gateway as https and wss with this certificate (PEM)")
	f.StringVar(&s.GatewayKey, "gateway-key", "", "the key of --gateway-cert (PEM)")
	o.defineGate(f)
	f.StringArrayVar(&s.AllowOrigins, "allow-origin", nil, "web page that may read the gateway, such as https://app.example.org; may be repeated")
	f.StringVar(&s.ControlAddr, "control-addr", s.ControlAddr, "AWS-compatible control API and /metrics")
	f.StringVar(&s.Account.Region, "region", s.Account.Region, "AWS region that ARNs carry")
	f.StringVar(&s.Account.ID, "account-id", s.Account.ID, "AWS account that ARNs carry")
	f.StringArrayVar(&s.Hostnames, "hostname", s.Hostnames, "name in the server certificate; may be repeated, the first is what describe-endpoint answers")
	f.BoolVar(&s.Empty, "empty", false, "have a fresh data folder begin without the guide's stack, like a new account")
	f.BoolVar(&s.TrustDeviceID, "trust-device-id", false, "take readings whose device_id is not the publishing thing")
	f.BoolVar(&s.AWSStrict, "aws-strict", false, "AWS's quotas and refusals exactly: QoS 2, retained messages for wildcards, and the limits that name it")
	o.defineLimits(f)
	o.defineActions(f)
	f.DurationVar(&s.Retention, "retention", 0, "how long history is kept, such as 720h; 0 is for ever")
	f.Var(sizeOf(&s.OutboxLimit), "outbox-max-bytes", "bytes that may wait for one action outside the process, such as a queue; beyond it messages that need the action are refused")
	f.BoolVar(&o.demo, "demo", false, "also create and run the guide's device MyDevice001")
	f.StringVar(&o.config, "config", "", "YAML file with settings")
	f.StringVar(&o.readyFile, "ready-file", "", "file to write, as JSON, the bound addresses to once every listener accepts")
	f.StringVar(&o.profile, "cpu-profile", "", "file to write a CPU profile of the whole run to")
	f.StringVar(&o.allocations, "mem-profile", "", "file to write a profile of the whole run's allocations to")
	f.StringVar(&o.logLevel, "log-level", "info", "debug, info, warn or error")
}

// defineGate defines the settings of who may read from the gateway, and how often.
func (o *upOptions) defineGate(f *pflag.FlagSet) {
	s := &o.server
	f.BoolVar(&s.GatewayOpen, "gateway-open", false, "let a gateway beyond loopback answer everyone, not only the operator")
	f.StringVar(&s.JWTIssuer, "jwt-issuer", "", "ask readers for a token of this OpenID Connect issuer, such as https://cognito-idp.us-east-1.amazonaws.com/us-east-1_EXAMPLE")
	f.StringArrayVar(&s.JWTAudiences, "jwt-audience", nil, "aud, or client_id, that a token must have; may be repeated")
	f.IntVar(&s.ConnectRate, "connect-rate", s.ConnectRate, "new WebSocket connections a second, of one address a fifth of that; 0 is without bound")
	f.IntVar(&s.ConnectBurst, "connect-burst", s.ConnectBurst, "new WebSocket connections at once")
	f.IntVar(&s.RequestRate, "request-rate", s.RequestRate, "requests of the HTTP API a second, of one address a fifth of that; 0 is without bound")
	f.IntVar(&s.RequestBurst, "request-burst", s.RequestBurst, "requests of the HTTP API at once")
}

func (o *upOptions) settle(flags *pflag.FlagSet) error {
	if o.config == "" {
		o.config = os.Getenv(variable("config"))
	}
	if err := settle(flags, o.config); err != nil {
		return err
	}
	if err := o.settleLimits(flags); err != nil {
		return wrongUse(err)
	}
	o.server.TryDevice443 = !flags.Lookup("device-addr").Changed
	o.server.Version = version()
	if err := o.server.Validate(); err != nil {
		return wrongUse(err)
	}
	return nil
}

func (o *upOptions) run(ctx context.Context, std streams) error {
	var level slog.Level
	if err := level.UnmarshalText([]byte(o.logLevel)); err != nil {
		return wrongUse(fmt.Errorf("--log-level %q: debug, info, warn or error", o.logLevel))
	}
	o.server.Log = slog.New(slog.NewTextHandler(std.err, &slog.HandlerOptions{Level: level}))
	if o.profile != "" {
		end, err := startProfile(o.profile)
		if err != nil {
			return err
		}
		defer end()
	}
	if o.allocations != "" {
		end, err := startAllocations(o.allocations)
		if err != nil {
			return err
		}
		defer end()
	}
	first := newNarrator(demoDevice)
	if o.demo {
		o.server.Observe = first.observe
	}
	s, err := server.New(o.server)
	if err != nil {
		return err
	}
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	defer reloadOnHangup(s, std.out)()
	if os.Getenv("GOGC") == "" && os.Getenv("GOMEMLIMIT") == "" {
		go paceCollector(ctx)
	}
	demo := make(chan error, 1)
	err = s.Run(ctx, o.readyFile, func() {
		printWhere(std.out, s, o.server.Data)
		if !o.demo {
			demo <- nil
			return
		}
		go first.narrate(ctx, std.out, s)
		go func() {
			err := runDemo(ctx, s, o.server.Data, o.server.Log)
			if err != nil {
				stop()
			}
			demo <- err
		}()
	})
	if err == nil {
		err = <-demo
	}
	if err == nil || errors.Is(err, context.Canceled) {
		fmt.Fprintln(std.out, "stopped cleanly")
		return nil
	}
	return err
}

// reloadOnHangup has SIGHUP read certificates again, until end is called. On a
// terminal the signal keeps its meaning: the window has been closed.
func reloadOnHangup(s *server.Server, out io.Writer) (end func()) {
	if terminal(out) {
		return func() {}
	}
	hangup, done := make(chan os.Signal, 1), make(chan struct{})
	signal.Notify(hangup, syscall.SIGHUP)
	go func() {
		for {
			select {
			case <-hangup:
				s.ReloadCertificates()
			case <-done:
				return
			}
		}
	}()
	return func() {
		signal.Stop(hangup)
		close(done)
	}
}

// startProfile writes a CPU profile until end is called.
func startProfile(path string) (end func(), err error) {
	f, err := os.Create(path)
	if err != nil {
		return nil, fmt.Errorf("--cpu-profile: %w", err)
	}
	if err := pprof.StartCPUProfile(f); err != nil {
		return nil, errors.Join(fmt.Errorf("--cpu-profile: %w", err), f.Close())
	}
	return func() {
		pprof.StopCPUProfile()
		f.Close()
	}, nil
}

// startAllocations writes, when end is called, where everything was allocated
// that was until then.
func startAllocations(path string) (end func(), err error) {
	f, err := os.Create(path)
	if err != nil {
		return nil, fmt.Errorf("--mem-profile: %w", err)
	}
	return func() {
		_ = pprof.Lookup("allocs").WriteTo(f, 0) // as far as the disk lets it
		f.Close()
	}, nil
}

// envLine is the command that prints this server's environment: with the flags that
// find a server which is not where fieldline looks without them.
func envLine(data, control, gateway string) string {
	line := "fieldline env"
	defaults := server.DefaultConfig()
	if usual, err := filepath.Abs(defaults.Data); err != nil || data != usual {
		line += " --data " + shellQuote(data)
	}
	if control != defaults.ControlAddr {
		line += " --control-addr " + shellQuote(control)
	}
	if gateway != "http://"+defaults.GatewayAddr {
		line += " --gateway-addr " + shellQuote(strings.TrimPrefix(gateway, "http://"))
	}
	return line
}

// printWhere tells the user where everything is.
func printWhere(w io.Writer, s *server.Server, data string) {
	if abs, err := filepath.Abs(data); err == nil {
		data = abs
	}
	a := s.Addresses()
	fmt.Fprintf(w, "Fieldline is up.\n\n")
	line := func(what, where, note string) { fmt.Fprintf(w, "  %-11s %-38s %s\n", what, where, note) }
	line("dashboard", s.GatewayURL()+"/", "look at every device, live")
	line("devices", strings.Join(s.DeviceEndpoints(), " "), "MQTT over mutual TLS")
	if a.DeviceHTTPS != "" {
		line("", a.DeviceHTTPS, "HTTPS publish with a client certificate")
	}
	if a.MQTT != "" {
		line("", a.MQTT, "plain MQTT, no certificates")
	}
	line("websocket", s.WebSocketURL(), "every reading, as it is stored")
	line("http api", s.GatewayURL()+"/prod/iotdata", "latest readings and history")
	line("control", "http://"+a.Control, fmt.Sprintf(`AWS CLI and SDKs: eval "$(%s)"`, envLine(data, a.Control, s.GatewayURL())))
	line("data", data, "")
	fmt.Fprintf(w, "\nTo change things in the dashboard, open this link; it works once:\n\n  operator    %s\n\n", s.LoginURL())
}
