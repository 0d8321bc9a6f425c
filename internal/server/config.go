package server

import (
	"errors"
	"fmt"
	"log/slog"
	"net"
	"regexp"
	"slices"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/fieldline-iot/fieldline/internal/broker"
	"github.com/fieldline-iot/fieldline/internal/iot"
)

// Config says what one server is. Zero values mean the defaults of
// [DefaultConfig] where a field names none.
type Config struct {
	// Data is the folder that holds everything durable.
	Data string
	// FS is the file system of the store, whose folder is in Data; nil is the
	// operating system's.
	FS vfs.FS

	DeviceAddrs      []string // MQTT over mutual TLS
	TryDevice443     bool     // also 127.0.0.1:443 for devices, where it may be bound
	DeviceHTTPSAddr  string   // HTTPS publish; "" is off
	MQTTAddr         string   // plain MQTT; "" is off
	AllowPlainRemote bool     // plain MQTT beyond loopback
	GatewayAddr      string
	GatewayCert      string // PEM files; both or neither
	GatewayKey       string
	GatewayOpen      bool   // a gateway beyond loopback answers everyone
	JWTIssuer        string // whose tokens the gateway asks for, also on loopback; "" is nobody's
	JWTAudiences     []string
	ConnectRate      int // new WebSocket connections a second; 0 is without bound
	ConnectBurst     int
	RequestRate      int // requests of the HTTP API a second; 0 is without bound
	RequestBurst     int
	AllowOrigins     []string
	ControlAddr      string

	Account   iot.Account
	Hostnames []string // the first is what DescribeEndpoint answers

	Empty         bool // a fresh data folder begins without the guide's stack
	TrustDeviceID bool
	// AWSStrict has the broker refuse and ignore what AWS IoT does; Limits are its
	// limits, and zero fields take the defaults, or AWS's quotas with AWSStrict.
	AWSStrict bool
	Limits    broker.Limits
	Actions   Actions
	Retention time.Duration // how long history is kept; 0 is for ever
	// OutboxLimit bounds what waits for one action outside the process, in bytes: at
	// the limit, messages that need the action are refused. 0 is 256 MiB.
	OutboxLimit int64

	Version string
	Log     *slog.Logger // nil discards
	// Observe, when set, is told every commit that was applied, before its
	// acknowledgement leaves; it must not block.
	Observe func(*iot.Commit)
}

// DefaultConfig returns the addresses and names of a server that nobody
// configured: loopback only.
func DefaultConfig() Config {
	return Config{
		Data:            "fieldline-data",
		DeviceAddrs:     []string{"127.0.0.1:8883"},
		TryDevice443:    true,
		DeviceHTTPSAddr: "127.0.0.1:8443",
		GatewayAddr:     "127.0.0.1:8080",
		ControlAddr:     "127.0.0.1:4566",
		ConnectRate:     500, // these four are API Gateway's
		ConnectBurst:    500,
		RequestRate:     10_000,
		RequestBurst:    5_000,
		Account:         iot.Account{Region: "us-east-1", ID: "123456789012"},
		Hostnames:       []string{"localhost"},
		OutboxLimit:     256 << 20,
	}
}

// Validate reports the first setting that cannot be, and how to mend it.
func (c *Config) Validate() error {
	switch {
	case c.Data == "":
		return errors.New("--data is empty: name a folder")
	case len(c.DeviceAddrs) == 0:
		return errors.New("--device-addr is empty: devices need at least one address")
	case len(c.Hostnames) == 0:
		return errors.New("--hostname is empty: the server certificate needs a name")
	case !regexp.MustCompile(`^\d{12}$`).MatchString(c.Account.ID):
		return fmt.Errorf("--account-id %q is not twelve digits", c.Account.ID)
	case !regexp.MustCompile(`^[a-z]{2}(-[a-z]+)+-\d$`).MatchString(c.Account.Region):
		return fmt.Errorf("--region %q is not a region's name, such as us-east-1", c.Account.Region)
	case (c.GatewayCert == "") != (c.GatewayKey == ""):
		return errors.New("--gateway-cert and --gateway-key go together: give both or neither")
	case c.Retention < 0:
		return fmt.Errorf("--retention %s is negative", c.Retention)
	}
	if c.MQTTAddr != "" && !c.AllowPlainRemote && !loopback(c.MQTTAddr) {
		return fmt.Errorf("--mqtt-addr %s is reachable from other machines and asks for no certificate: use a loopback address, or add --allow-plain-remote on a network you trust", c.MQTTAddr)
	}
	if err := errors.Join(c.validateGate(), c.validateLimits(), c.Actions.validate()); err != nil {
		return err
	}
	return c.validateAddrs()
}

func (c *Config) validateAddrs() error {
	settings := []struct {
		flag     string
		addrs    []string
		optional bool
	}{
		{"--device-addr", c.DeviceAddrs, false},
		{"--device-https-addr", []string{c.DeviceHTTPSAddr}, true},
		{"--mqtt-addr", []string{c.MQTTAddr}, true},
		{"--gateway-addr", []string{c.GatewayAddr}, false},
		{"--control-addr", []string{c.ControlAddr}, false},
	}
	for _, s := range settings {
		for _, addr := range s.addrs {
			if addr == "" && s.optional {
				continue
			}
			if _, _, err := net.SplitHostPort(addr); err != nil {
				return fmt.Errorf("%s %q is not host:port, such as 127.0.0.1:8883", s.flag, addr)
			}
		}
	}
	return nil
}

// loopback reports whether an address accepts connections of this machine only.
func loopback(addr string) bool {
	host, _, err := net.SplitHostPort(addr)
	if err != nil {
		return false
	}
	if host == "localhost" {
		return true
	}
	ip := net.ParseIP(host)
	return ip != nil && ip.IsLoopback()
}

// allowOrigin decides which web pages may talk to the gateway: the named ones
// and, on a loopback listener, pages of this machine and local files.
func (c *Config) allowOrigin(origin string) bool {
	if slices.Contains(c.AllowOrigins, origin) || slices.Contains(c.AllowOrigins, "*") {
		return true
	}
	return loopback(c.GatewayAddr) && localOrigin(origin)
}

var localOriginPattern = regexp.MustCompile(`^https?://(localhost|127\.0\.0\.1|\[::1\])(:\d+)?$`)

func localOrigin(origin string) bool {
	return origin == "null" || localOriginPattern.MatchString(origin)
}
