package main

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/spf13/pflag"

	"github.com/fieldline-iot/fieldline/internal/broker"
)

// defineLimits defines the settings of what MQTT clients may use. docs/broker.md
// says what happens beyond each.
func (o *upOptions) defineLimits(f *pflag.FlagSet) {
	l := &o.server.Limits
	*l = broker.DefaultLimits() // what --help shows; settleLimits begins anew
	aws := broker.AWSLimits()
	number := func(field *int, name, usage string, strict int) {
		f.IntVar(field, name, *field, usage+ifStrict(strict != *field, strconv.Itoa(strict)))
		o.limits = append(o.limits, name)
	}
	bytes := func(field pflag.Value, name, usage string) {
		f.Var(field, name, usage)
		o.limits = append(o.limits, name)
	}
	bytes(sizeOf(&l.Payload), "max-payload", "largest payload of a message, up to 1MiB")
	number(&l.ClientID, "max-client-id", "longest client identifier, in bytes", aws.ClientID)
	number(&l.Topic, "max-topic", "longest topic or filter, in bytes", aws.Topic)
	number(&l.Levels, "max-levels", "levels that a topic or filter may have", aws.Levels)
	number(&l.Filters, "max-filters", "filters that one SUBSCRIBE may have", aws.Filters)
	number(&l.Subscriptions, "max-subscriptions", "filters that a session may be subscribed to", aws.Subscriptions)
	number(&l.InFlight, "receive-maximum", "publishes of QoS 1 and 2 of a connection that may wait for their acknowledgement", aws.InFlight)
	number(&l.Window, "send-window", "deliveries of QoS 1 and 2 to a connection that may wait for its acknowledgement", aws.Window)
	number(&l.PublishRate, "publish-rate", "publishes that a connection may send a second; 0 is without bound", aws.PublishRate)
	bytes(sizeOf(&l.ByteRate), "byte-rate", "bytes that a connection may send a second; 0 is without bound"+ifStrict(true, sizeOf(&aws.ByteRate).String()))
	number(&l.Sessions, "max-sessions", "sessions that are stored", aws.Sessions)
	number(&l.SessionMessages, "session-messages", "messages that are kept for one session", aws.SessionMessages)
	bytes(sizeOf(&l.SessionBytes), "session-bytes", "bytes of messages that are kept for one session")
	number(&l.QueueMessages, "queue-messages", "messages that wait in memory for one connection", aws.QueueMessages)
	bytes(sizeOf(&l.QueueBytes), "queue-bytes", "bytes of messages that wait in memory for one connection")
	bytes(sizeOf(&l.QueuedBytes), "memory-limit", "bytes of messages that wait in memory for all connections")
	number(&l.AcceptRate, "accept-rate", "MQTT connections that are accepted a second; 0 is without bound", aws.AcceptRate)
	number(&l.AcceptBurst, "accept-burst", "MQTT connections that are accepted at once", aws.AcceptBurst)
	number(&l.ConnectRate, "client-connect-rate", "times that one client identifier may connect a second; 0 is without bound", aws.ConnectRate)
	f.Uint16Var(&l.KeepAliveMin, "keep-alive-min", l.KeepAliveMin, "least keep-alive, in seconds; none unless given"+ifStrict(true, fmt.Sprint(aws.KeepAliveMin)))
	f.Uint16Var(&l.KeepAliveMax, "keep-alive-max", l.KeepAliveMax, "longest keep-alive, in seconds; none unless given"+ifStrict(true, fmt.Sprint(aws.KeepAliveMax)))
	f.DurationVar(&l.SessionExpiry, "session-expiry", l.SessionExpiry, "longest that a session outlives its connection"+ifStrict(true, aws.SessionExpiry.String()))
	o.limits = append(o.limits, "keep-alive-min", "keep-alive-max", "session-expiry")
}

// ifStrict tells of a default that is another with --aws-strict.
func ifStrict(another bool, value string) string {
	if !another {
		return ""
	}
	return " (with --aws-strict " + value + ")"
}

// settleLimits leaves zero the limits that nobody has set, for them to take the
// default, which depends on --aws-strict. Where 0 stands for no bound, it becomes
// what the broker has for that.
func (o *upOptions) settleLimits(flags *pflag.FlagSet) error {
	given := make(map[string]string)
	for _, name := range o.limits {
		if f := flags.Lookup(name); f.Changed {
			given[name] = f.Value.String()
		}
	}
	o.server.Limits = broker.Limits{}
	for name, value := range given {
		switch value {
		case "0", "0s":
			switch name {
			case "publish-rate", "byte-rate", "accept-rate", "client-connect-rate":
				value = "-1"
			default:
				return fmt.Errorf("--%s 0: give more than 0, or leave it out for the default", name)
			}
		}
		if err := flags.Lookup(name).Value.Set(value); err != nil {
			return fmt.Errorf("--%s: %w", name, err)
		}
	}
	return nil
}

// size is a flag of a number of bytes: plain, or with a unit such as KiB or MB.
type size struct {
	get func() int64
	set func(int64)
}

func sizeOf[T int | int64](field *T) size {
	return size{get: func() int64 { return int64(*field) }, set: func(n int64) { *field = T(n) }}
}

// sizeUnit is a unit of sizes, and how many bytes it is.
type sizeUnit struct {
	name  string
	bytes int64
}

// sizeUnits are the units of sizes, the largest first.
func sizeUnits() []sizeUnit {
	return []sizeUnit{
		{"GiB", 1 << 30},
		{"GB", 1e9},
		{"MiB", 1 << 20},
		{"MB", 1e6},
		{"KiB", 1 << 10},
		{"KB", 1e3},
		{"kB", 1e3},
		{"B", 1},
		{"", 1},
	}
}

// String writes the size in the largest binary unit that gives a whole number.
func (s size) String() string {
	n := s.get()
	for _, unit := range sizeUnits() {
		if strings.HasSuffix(unit.name, "iB") && n != 0 && n%unit.bytes == 0 {
			return strconv.FormatInt(n/unit.bytes, 10) + unit.name
		}
	}
	return strconv.FormatInt(n, 10)
}

// Set reads a size.
func (s size) Set(text string) error {
	for _, unit := range sizeUnits() {
		number, ok := strings.CutSuffix(text, unit.name)
		if !ok {
			continue
		}
		n, err := strconv.ParseInt(strings.TrimSpace(number), 10, 64)
		if err != nil || n*unit.bytes/unit.bytes != n {
			return fmt.Errorf("%q is not a number of bytes, such as 65536, 64KiB or 1MiB", text)
		}
		s.set(n * unit.bytes)
		return nil
	}
	return nil // every text ends in the last unit, which is none
}

// Type names what the flag takes, for --help.
func (size) Type() string { return "bytes" }
