package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/spf13/pflag"

	"github.com/fieldline-iot/fieldline/internal/broker"
	"github.com/fieldline-iot/fieldline/internal/server"
)

// limitsOf are the limits that command line arguments give, filled in as the broker
// does.
func limitsOf(t *testing.T, args ...string) (broker.Limits, error) {
	t.Helper()
	o := &upOptions{server: server.DefaultConfig()}
	flags := pflag.NewFlagSet("up", pflag.ContinueOnError)
	o.define(flags)
	if err := flags.Parse(args); err != nil {
		t.Fatal(err)
	}
	err := o.settle(flags)
	return o.server.Limits.OrDefaults(o.server.AWSStrict), err
}

func TestLimitsOfTheCommandLine(t *testing.T) {
	file := filepath.Join(t.TempDir(), "settings.yaml")
	if err := os.WriteFile(file, []byte("publish-rate: 7\nsession-bytes: 1GiB\nmax-levels: 9\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	t.Setenv("FIELDLINE_MAX_LEVELS", "10")
	standard, aws := broker.DefaultLimits(), broker.AWSLimits()
	standard.Levels, aws.Levels = 10, 10
	change := func(l broker.Limits, how func(*broker.Limits)) broker.Limits { how(&l); return l }
	tests := []struct {
		name string
		args []string
		want broker.Limits
	}{
		{"nothing given", nil, standard},
		{"AWS's", []string{"--aws-strict"}, aws},
		{
			"AWS's but for some",
			[]string{"--aws-strict", "--max-payload", "1MiB", "--session-expiry", "168h", "--keep-alive-max", "2400"},
			change(aws, func(l *broker.Limits) {
				l.Payload, l.SessionExpiry, l.KeepAliveMax = 1<<20, 168*time.Hour, 2400
			}),
		},
		{
			"no rates, although AWS has some",
			[]string{"--aws-strict", "--publish-rate", "0", "--byte-rate", "0", "--accept-rate", "0", "--client-connect-rate", "0"},
			change(aws, func(l *broker.Limits) { l.PublishRate, l.ByteRate, l.AcceptRate, l.ConnectRate = -1, -1, -1, -1 }),
		},
		{
			"a default that AWS has another of",
			[]string{"--aws-strict", "--max-subscriptions", "1000"},
			change(aws, func(l *broker.Limits) { l.Subscriptions = 1000 }),
		},
		{
			"a file, below the environment",
			[]string{"--config", file},
			change(standard, func(l *broker.Limits) { l.PublishRate, l.SessionBytes = 7, 1<<30 }),
		},
		{"the command line, above both", []string{"--config", file, "--publish-rate", "8", "--max-levels", "11"}, change(standard, func(l *broker.Limits) {
			l.PublishRate, l.SessionBytes, l.Levels = 8, 1<<30, 11
		})},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got, err := limitsOf(t, tt.args...)
			if err != nil || got != tt.want {
				t.Errorf("got %+v, %v\nwant %+v", got, err, tt.want)
			}
		})
	}
}

func TestLimitsThatAreNone(t *testing.T) {
	for _, tt := range []struct{ args, says string }{
		{"--max-payload=0", "--max-payload 0: give more than 0"},
		{"--session-expiry=0", "--session-expiry 0"},
		{"--max-payload=2MiB", "--max-payload is 2097152 bytes, at most 1048576"},
		{"--max-filters=-1", "Filters"},
	} {
		if _, err := limitsOf(t, tt.args); err == nil || !strings.Contains(err.Error(), tt.says) {
			t.Errorf("%s: %v, want %q", tt.args, err, tt.says)
		}
	}
}

func TestSizes(t *testing.T) {
	for _, tt := range []struct {
		text  string
		bytes int
		shown string
	}{
		{"0", 0, "0"},
		{"-1", -1, "-1"},
		{"1000", 1000, "1000"},
		{"2048", 2048, "2KiB"},
		{"512KiB", 512 << 10, "512KiB"},
		{"64 MiB", 64 << 20, "64MiB"},
		{"1GiB", 1 << 30, "1GiB"},
		{"5MB", 5_000_000, "5000000"},
		{"7B", 7, "7"},
	} {
		var n int
		s := sizeOf(&n)
		if err := s.Set(tt.text); err != nil || n != tt.bytes || s.String() != tt.shown {
			t.Errorf("%s is %d, shown as %s (%v); want %d as %s", tt.text, n, s, err, tt.bytes, tt.shown)
		}
	}
	for _, text := range []string{"", "x", "1.5MiB", "MiB", "1TiB", "9999999999999GiB"} {
		if err := sizeOf(new(int64)).Set(text); err == nil || !strings.Contains(err.Error(), "64KiB") {
			t.Errorf("%q: %v", text, err)
		}
	}
}

// TestTheManualHasEveryLimit checks the table in docs/broker.md: a row for each flag,
// with both of its defaults.
func TestTheManualHasEveryLimit(t *testing.T) {
	text, err := os.ReadFile("../../docs/broker.md")
	if err != nil {
		t.Fatal(err)
	}
	o := &upOptions{server: server.DefaultConfig()}
	flags := pflag.NewFlagSet("up", pflag.ContinueOnError)
	o.define(flags)
	shown := func(name string) string {
		value := strings.TrimSuffix(flags.Lookup(name).Value.String(), "0m0s")
		if value == "0" {
			return "none"
		}
		return value
	}
	standard := make(map[string]string)
	for _, name := range o.limits {
		standard[name] = shown(name)
	}
	o.server.Limits = broker.AWSLimits()
	for _, name := range o.limits {
		if row := "\n| `--" + name + "` | " + standard[name] + " | " + shown(name) + " | "; !strings.Contains(string(text), row) {
			t.Errorf("docs/broker.md has no row %q", strings.TrimSpace(row))
		}
	}
	if rows := strings.Count(string(text), "\n| `--"); rows != len(o.limits) {
		t.Errorf("docs/broker.md has %d rows of flags, want %d", rows, len(o.limits))
	}
}
